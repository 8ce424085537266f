"""How many sockets are open at most, and whose are closed for somebody else's."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import Counter
from dataclasses import dataclass

import pytest

from evs_operator.cloud.auth.authentication import TokenAuth
from evs_operator.cloud.auth.credentials import Token
from evs_operator.cloud.client import EvsClient
from evs_operator.cloud.network import LargeAnswers, Network, Sockets
from evs_operator.evs import errors
from support.jobs import JOB_ID

PROJECT = "0" * 32


@dataclass(eq=False)
class Pool:
    turn: str
    opened: int = 0
    busy: int = 0
    closed: int = 0

    def close_idle(self) -> None:
        self.closed += 1


def call(sockets: Sockets, pool: Pool) -> None:
    sockets.used(pool)
    pool.busy -= 1


def test_a_turn_that_opens_more_than_it_may_loses_what_it_used_longest_ago() -> None:
    sockets = Sockets(of_turn=3, in_all=100)
    pools = [Pool("a") for _ in range(5)]
    other = Pool("b")
    for pool in (other, *pools):
        call(sockets, pool)
    assert [pool.closed for pool in pools] == [1, 1, 0, 0, 0]
    assert (other.closed, len(sockets)) == (0, 4)


def test_where_all_together_are_too_many_the_turn_with_most_loses() -> None:
    sockets = Sockets(of_turn=100, in_all=10)
    small = [Pool(f"team-{number}") for number in range(3)]
    large = [Pool("attacker") for _ in range(20)]
    for pool in (*small, *large):
        call(sockets, pool)
    assert len(sockets) == 10
    assert not any(pool.closed for pool in small)


def test_a_pool_in_use_is_not_closed() -> None:
    sockets = Sockets(of_turn=2, in_all=100)
    busy = [Pool("a") for _ in range(5)]
    for pool in busy:
        sockets.used(pool)
    assert not any(pool.closed for pool in busy)


def test_a_pool_counts_as_many_sockets_as_it_had_calls_under_way_together() -> None:
    sockets = Sockets()
    pool = Pool("a")
    for _ in range(3):
        sockets.used(pool)
    pool.busy = 0
    for _ in range(10):
        call(sockets, pool)
    assert len(sockets) == 3
    sockets.left(pool)
    assert (len(sockets), pool.opened) == (0, 0)


async def test_a_client_whose_connections_were_closed_opens_them_again() -> None:
    body = b'{"status":"RUNNING","entities":{}}'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        except (asyncio.IncompleteReadError, OSError):
            open_now.discard(writer)
            writer.close()

    open_now: set[asyncio.StreamWriter] = set()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    network = Network()
    network.sockets = Sockets(of_turn=4, in_all=100)
    clients = [EvsClient(url, TokenAuth(Token("t")), network=network, turn="a") for _ in range(12)]
    async with server:
        for _ in range(2):
            for client in clients:
                assert (await client.get_job(PROJECT, JOB_ID)).status == "RUNNING"
        await asyncio.sleep(0.1)
        assert len(open_now) == 4
        for client in clients:
            await client.aclose()
        await asyncio.sleep(0.1)
        assert not open_now
    assert not len(network.sockets)


@pytest.mark.parametrize("turns", [("a", "a"), ("a", "b")])
async def test_clients_of_one_network_share_the_urls_that_were_parsed(turns: tuple[str, str]) -> None:
    network = Network()
    clients = [EvsClient("https://evs.example.com", TokenAuth(Token("t")), network=network, turn=t) for t in turns]
    assert clients[0]._url("https://evs.example.com/x") is clients[1]._url("https://evs.example.com/x")


async def test_few_large_answers_are_read_at_a_time_and_who_has_none_is_let_in() -> None:
    large, reading, most = LargeAnswers(of_turn=2, in_all=4, with_first=6), Counter[str](), Counter[str]()

    async def read(turn: str, seconds: float) -> None:
        async with large.room(turn):
            reading[turn] += 1
            most[turn] = max(most[turn], reading[turn])
            most["all"] = max(most["all"], reading.total())
            try:
                await asyncio.sleep(seconds)
            finally:
                reading[turn] -= 1

    hanging = [asyncio.create_task(read(f"attacker-{n % 3}", 0.2)) for n in range(30)]
    await asyncio.sleep(0)
    assert reading.total() == 4
    await asyncio.wait_for(read("victim", 0.0), 0.1)
    for task in hanging[::2]:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    assert most["all"] <= 6
    assert max(most[f"attacker-{n}"] for n in range(3)) == 2
    await asyncio.wait_for(asyncio.gather(*(read("later", 0.0) for _ in range(20))), 1.0)


async def test_who_gives_up_in_the_moment_of_getting_room_leaves_it_to_the_others() -> None:
    large = LargeAnswers(of_turn=1, in_all=1, with_first=1)

    async def read() -> None:
        async with large.room("a"):
            await asyncio.sleep(0)

    for _ in range(20):
        tasks = [asyncio.create_task(read()) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.wait_for(read(), 1.0)


async def test_answers_that_never_end_hold_few_bytes_however_many_there_are() -> None:
    sent: Counter[int] = Counter()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n")
            for _ in range(61):
                writer.write(b" " * 131_072)
                await writer.drain()
                sent[id(writer)] += 131_072
            await asyncio.sleep(60)
        except (OSError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    network = Network()
    tracemalloc.start()
    async with server:
        clients = [
            EvsClient(url, TokenAuth(Token("t")), network=network, turn=f"ns-{n % 2}", total_timeout=3.0)
            for n in range(30)
        ]
        calls = [asyncio.create_task(client.get_job(PROJECT, JOB_ID)) for client in clients]
        await asyncio.sleep(1.5)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        found = await asyncio.gather(*calls, return_exceptions=True)
        for client in clients:
            await client.aclose()
    assert held < 60 * 1024 * 1024
    assert all(isinstance(error, errors.CloudError) for error in found)
