"""Who gets a name looked up when: in turns, each name once, with failures remembered for a while."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from evs_operator.cloud.auth.authentication import TokenAuth
from evs_operator.cloud.auth.credentials import Token
from evs_operator.cloud.client import EvsClient
from evs_operator.cloud.names import Names, is_unknown
from evs_operator.cloud.network import Network
from evs_operator.evs import errors


class Dns:
    """A DNS that the test writes: it knows each host but those below .invalid, and is mute about those in `mute`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.release = threading.Event()

    def getaddrinfo(self, host: str, port: int, *rest: object) -> list[object]:
        self.asked.append(host)
        if host.endswith(".mute"):
            self.release.wait(30)
        if host.endswith((".invalid", ".mute")):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if host.endswith(".outage"):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("80.158.0.1", port)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2003:4000::1", port, 0, 0)),
        ]


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dns]:
    found = Dns()
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    yield found
    found.release.set()


async def look_up(shared: Names, host: str, turn: str = "victim", port: int = 443) -> list[str]:
    return [str(found["host"]) for found in await shared.of_turn(turn).resolve(host, port, socket.AF_UNSPEC)]


async def test_a_name_stands_for_the_addresses_that_dns_tells(dns: Dns) -> None:
    shared = Names()
    first = await shared.of_turn("a").resolve("evs.example.com", 443, socket.AF_UNSPEC)
    assert [(r["host"], r["port"], r["family"]) for r in first] == [
        ("80.158.0.1", 443, socket.AF_INET),
        ("2003:4000::1", 443, socket.AF_INET6),
    ]
    other = await shared.of_turn("b").resolve("EVS.example.com", 8443, socket.AF_UNSPEC)
    assert [r["port"] for r in other] == [8443, 8443]
    assert dns.asked == ["evs.example.com"]


async def test_a_name_is_looked_up_once_for_all_who_wait_for_it(dns: Dns) -> None:
    shared = Names()
    await asyncio.gather(*(look_up(shared, "evs.example.com", f"team-{n % 7}") for n in range(50)))
    assert dns.asked == ["evs.example.com"]


async def test_addresses_are_forgotten_after_a_while(dns: Dns) -> None:
    shared = Names(kept=0.05)
    await look_up(shared, "evs.example.com")
    await asyncio.sleep(0.1)
    await look_up(shared, "evs.example.com")
    assert len(dns.asked) == 2


@pytest.mark.parametrize(("host", "unknown"), [("evs.invalid", True), ("evs.outage", False)])
async def test_a_failure_is_remembered_for_a_while(dns: Dns, host: str, unknown: bool) -> None:
    shared = Names(failed_for=0.2)
    for _ in range(5):
        with pytest.raises(socket.gaierror) as raised:
            await look_up(shared, host)
        assert is_unknown(raised.value) is unknown
    assert dns.asked == [host]
    await asyncio.sleep(0.25)
    with pytest.raises(socket.gaierror):
        await look_up(shared, host)
    assert len(dns.asked) == 2


async def test_a_name_that_dns_is_mute_about_is_given_up_and_not_asked_for_by_each_poll(dns: Dns) -> None:
    shared = Names(longest=0.1)
    for _ in range(3):
        with pytest.raises(socket.gaierror, match="no answer within"):
            await look_up(shared, "evs.mute")
    assert dns.asked == ["evs.mute"]


async def test_what_dns_says_too_late_counts_from_then_on(dns: Dns, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Names(longest=0.05)

    def slow(host: str, port: int, *rest: object) -> list[object]:
        time.sleep(0.15)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("80.158.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(socket.gaierror):
        await look_up(shared, "evs.example.com")
    await asyncio.sleep(0.2)
    assert await look_up(shared, "evs.example.com") == ["80.158.0.1"]


async def test_sixty_names_of_one_namespace_that_hang_do_not_delay_anothers(dns: Dns) -> None:
    shared = Names()
    hanging = [asyncio.create_task(look_up(shared, f"evs{n}.mute", "attacker")) for n in range(60)]
    await asyncio.sleep(0.05)
    assert len(dns.asked) == 4
    started = time.monotonic()
    for number in range(20):
        assert await look_up(shared, f"evs{number}.example.com")
    assert time.monotonic() - started < 1.0
    await give_up(hanging)


async def test_a_hundred_namespaces_whose_names_hang_do_not_delay_anothers(dns: Dns) -> None:
    shared = Names()
    hanging = [asyncio.create_task(look_up(shared, f"evs{n}.mute", f"attacker-{n % 100}")) for n in range(400)]
    await asyncio.sleep(0.1)
    assert len(dns.asked) <= 256
    assert await asyncio.wait_for(look_up(shared, "evs.example.com"), 1.0)
    await give_up(hanging)


async def test_a_name_that_waits_in_somebody_elses_turn_is_looked_up_in_ones_own(dns: Dns) -> None:
    shared = Names()
    hanging = [asyncio.create_task(look_up(shared, f"evs{n}.mute", "attacker")) for n in range(10)]
    hanging.append(asyncio.create_task(look_up(shared, "evs.example.com", "attacker")))
    await asyncio.sleep(0.05)
    assert "evs.example.com" not in dns.asked
    assert await asyncio.wait_for(look_up(shared, "evs.example.com"), 1.0)
    await give_up(hanging)


async def test_who_waits_too_long_for_a_turn_is_told_and_the_name_is_not_called_unknown(dns: Dns) -> None:
    shared = Names(longest=0.1)
    hanging = [asyncio.create_task(look_up(shared, f"evs{n}.mute", "attacker")) for n in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(socket.gaierror, match="too many names") as raised:
        await look_up(shared, "evs.example.com", "attacker")
    assert not is_unknown(raised.value)
    assert await look_up(shared, "evs.example.com", "victim")
    await give_up(hanging)


async def test_who_gives_up_waiting_leaves_the_look_up_to_the_others(dns: Dns) -> None:
    shared = Names()
    gone = asyncio.create_task(look_up(shared, "evs.mute"))
    stays = asyncio.create_task(look_up(shared, "evs.mute"))
    await asyncio.sleep(0.05)
    gone.cancel()
    dns.release.set()
    with pytest.raises(socket.gaierror):
        await stays
    assert dns.asked == ["evs.mute"]


@pytest.mark.parametrize("host", ["a" * 70 + ".example.com", "a..example.com"])
async def test_what_is_no_host_name_is_not_known(host: str) -> None:
    with pytest.raises(socket.gaierror):
        await look_up(Names(), host)


async def test_what_is_remembered_is_bounded(dns: Dns) -> None:
    shared = Names(remembered=10)
    for number in range(30):
        await look_up(shared, f"evs{number}.example.com")
    for number in range(20, 30):
        await look_up(shared, f"evs{number}.example.com")
    assert len(dns.asked) == 30
    await look_up(shared, "evs19.example.com")
    assert len(dns.asked) == 31


def test_a_look_up_that_hangs_does_not_hold_up_the_end_of_the_process(dns: Dns) -> None:
    async def once() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(look_up(Names(), "evs.mute"), 0.05)

    started = time.monotonic()
    asyncio.run(once())
    assert time.monotonic() - started < 2.0
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "look-up")


@pytest.mark.parametrize(
    ("host", "said"),
    [("evs.invalid", "its name is not known to DNS"), ("evs.outage", "DNS does not tell its address")],
)
async def test_a_message_tells_a_name_that_is_not_known_from_a_dns_in_trouble(dns: Dns, host: str, said: str) -> None:
    async with EvsClient(f"https://{host}", TokenAuth(Token("t")), network=Network(), turn="a") as client:
        with pytest.raises(errors.Unreachable, match=said):
            await client.get_job("0" * 32, "0" * 32)


async def give_up(tasks: list[asyncio.Task[list[str]]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
