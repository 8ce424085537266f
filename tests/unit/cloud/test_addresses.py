"""Which addresses a name may stand for, and when that is looked at."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from evs_operator.cloud.addresses import GuardedResolver, is_public, is_shared
from evs_operator.cloud.auth.authentication import TokenAuth
from evs_operator.cloud.auth.credentials import Token
from evs_operator.cloud.client import EvsClient
from evs_operator.cloud.endpoints import AllowList, EndpointNotAllowed
from evs_operator.evs import errors

PUBLIC = ["80.158.0.1", "8.8.8.8", "2003:4000::1", "::ffff:80.158.0.1", "64:ff9b::509e:1", "2002:509e:1::1"]
INSIDE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.254"),
    *("192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.254", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:100.64.0.1", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1"),
    *("2001:0:509e:1::80ff:fffe", "", "localhost", "evs.example.com"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public_in_every_form(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_leads_inside_is_not_public_in_any_form(address: str) -> None:
    assert not is_public(address)


def test_the_shared_address_space_ends_where_it_ends() -> None:
    assert [is_shared(a) for a in ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0", "::1", "x")] == [
        *(False, True, True, False, False, False)
    ]


@pytest.mark.parametrize("address", [a for a in INSIDE if a and a[0] in "0123456789:f"])
@pytest.mark.parametrize("host", ["evs.corp.example", "evs.eu-de.otc.t-systems.com"])
def test_a_name_that_stands_for_an_address_inside_is_refused_and_the_refusal_says_what_to_do(
    host: str, address: str
) -> None:
    if is_shared(address) and host.endswith("t-systems.com"):
        return  # has a test of its own
    with pytest.raises(EndpointNotAllowed, match=f"name it exactly with --allow-endpoint https://{host}"):
        AllowList(["https://*.corp.example"]).check_address(host, 443, address)


def test_a_cloud_may_be_reached_over_its_own_network() -> None:
    allow = AllowList(["https://*.corp.example"])
    for host in ("evs.eu-de.otc.t-systems.com", "iam.cn-north-4.myhuaweicloud.com", "IAM.myhuaweicloud.com"):
        allow.check_address(host, 443, "100.125.6.106")
    for host in ("evs.corp.example", "obs.eu-de.otc.t-systems.com", "otc.t-systems.com"):
        with pytest.raises(EndpointNotAllowed):
            allow.check_address(host, 443, "100.125.6.106")


def test_a_name_that_was_named_exactly_may_stand_for_any_address_at_that_port_only() -> None:
    allow = AllowList(["https://evs.corp.example:8443", "http://simulator"])
    allow.check_address("EVS.corp.example", 8443, "10.0.0.1")
    allow.check_address("simulator", 80, "127.0.0.1")
    for host, port in (("evs.corp.example", 443), ("iam.corp.example", 8443), ("simulator", 443)):
        with pytest.raises(EndpointNotAllowed):
            allow.check_address(host, port, "10.0.0.1")


class Names(AbstractResolver):
    """A DNS that the test writes; each name gives its addresses in turn."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            ResolveResult(hostname=host, host=a, port=port, family=socket.AF_INET, proto=0, flags=0) for a in addresses
        ]

    async def close(self) -> None:
        """Hold nothing."""


async def test_one_address_inside_refuses_all_of_a_name() -> None:
    guarded = GuardedResolver(AllowList().check_address, Names(["80.158.0.1", "10.0.0.1"]))
    with pytest.raises(EndpointNotAllowed):
        await guarded.resolve("evs.corp.example", 443)


async def test_the_addresses_that_were_looked_at_are_those_that_are_connected_to() -> None:
    guarded = GuardedResolver(AllowList().check_address, Names(["80.158.0.1"], ["127.0.0.1"]))
    assert [found["host"] for found in await guarded.resolve("evs.corp.example", 443)] == ["80.158.0.1"]
    with pytest.raises(EndpointNotAllowed):  # asked again, the name leads elsewhere
        await guarded.resolve("evs.corp.example", 443)


@pytest.fixture
async def listener() -> AsyncIterator[tuple[int, list[bytes]]]:
    """Give the port of a server of this machine, and what reached it."""
    reached: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], reached


async def test_a_call_to_a_name_that_leads_inside_opens_no_connection(
    listener: tuple[int, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, reached = listener
    asked: list[object] = []

    def getaddrinfo(host: str, port: int, *rest: object) -> list[object]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    url = f"https://evs.corp.example:{port}"
    async with EvsClient(url, TokenAuth(Token("t")), allow=AllowList(["https://*.corp.example"])) as client:
        with pytest.raises(errors.EndpointRefused, match="--allow-endpoint") as raised:
            await client.get_job("0" * 32, "0" * 32)
    assert "127.0.0.1" not in raised.value.message
    assert (asked, reached) == (["evs.corp.example"], [])

    async with EvsClient(url, TokenAuth(Token("t")), allow=AllowList([url])) as client:
        with pytest.raises(errors.Unreachable):  # connected now, and no TLS there
            await client.get_job("0" * 32, "0" * 32)
    assert reached
