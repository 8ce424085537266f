"""The client against servers that break the rules of HTTP, or only stretch them: bytes on a socket, written here."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from evs_operator.cloud.auth.authentication import TokenAuth
from evs_operator.cloud.auth.credentials import Password, Token
from evs_operator.cloud.auth.sign_in import auth_for
from evs_operator.cloud.client import MAX_BODY, EvsClient
from evs_operator.evs import errors
from support.jobs import JOB_ID, body

PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
JOB = json.dumps(body("RUNNING")).encode()

Handler = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """Serve a handler that gets each request's head and writes what it likes; yield the origin."""
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            connections.add(task)
        try:
            while True:
                await handler(await reader.readuntil(b"\r\n\r\n"), writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def answering(*parts: bytes, close: bool = False) -> Handler:
    async def handler(head: bytes, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
        if close:
            writer.close()

    return handler


def answer(content: bytes = JOB, headers: str = "", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{headers}\r\n".encode() + content


def client(url: str, *, total: float = 5.0, read: float = 5.0, max_body: int = MAX_BODY) -> EvsClient:
    return EvsClient(
        url, TokenAuth(Token("t")), read_timeout=read, total_timeout=total, connect_timeout=2.0, max_body=max_body
    )


async def refused(handler: Handler, *, total: float = 5.0, read: float = 5.0, max_body: int = MAX_BODY) -> Exception:
    async with served(handler) as url, client(url, total=total, read=read, max_body=max_body) as asking:
        with pytest.raises(errors.CloudError) as raised:
            await asking.get_job(PROJECT, JOB_ID)
        host = url.split("://")[1]
    found = raised.value
    assert host in found.message
    assert "?" not in found.message
    assert len(found.message) <= 512
    return found


async def hang(head: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def drip(head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless(head: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b" " * 0x1000 + b"\r\n")
        await writer.drain()


async def reset(head: bytes, writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()


async def test_a_server_that_never_answers_is_left_at_the_read_time() -> None:
    assert type(await refused(hang, read=0.2)) is errors.PollTimeout


async def test_a_server_that_drips_is_left_at_the_total_time() -> None:
    assert type(await refused(drip, total=0.3)) is errors.PollTimeout


async def test_a_connection_that_is_reset_is_unreachable() -> None:
    assert type(await refused(reset)) is errors.Unreachable


async def test_a_connection_closed_before_the_answer_is_unreachable() -> None:
    assert type(await refused(answering(close=True))) is errors.Unreachable


async def test_an_answer_cut_off_in_its_body_is_unreachable_and_no_job() -> None:
    whole = answer()
    assert type(await refused(answering(whole[:-5], close=True))) is errors.Unreachable


async def test_a_refused_connection_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with client(url) as asking:
            with pytest.raises(errors.Unreachable, match="connection refused"):
                await asking.get_job(PROJECT, JOB_ID)


async def test_a_name_unknown_to_dns_is_unreachable() -> None:
    async with client("http://evs.invalid") as asking:
        with pytest.raises(errors.Unreachable, match=r"evs\.invalid is not reachable"):
            await asking.get_job(PROJECT, JOB_ID)


@pytest.mark.parametrize(
    "raw",
    [
        b"hello world\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Big: " + b"secret-token-" * 20_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_an_invalid_response_that_quotes_nothing(raw: bytes) -> None:
    found = await refused(answering(raw, close=True))
    assert type(found) is errors.InvalidResponse
    assert (
        "secret-token" not in f"{found} {found.__cause__} {found.__context__ if not found.__suppress_context__ else ''}"
    )


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_within_the_limit_is_read_and_one_byte_more_is_not(chunked: bool) -> None:
    def sized(size: int) -> bytes:
        content = JOB.ljust(size)
        if not chunked:
            return answer(content)
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, content)

    async with served(answering(sized(50_000))) as url, client(url, max_body=50_000) as asking:
        assert (await asking.get_job(PROJECT, JOB_ID)).status == "RUNNING"
    found = await refused(answering(sized(50_001)), max_body=50_000)
    assert type(found) is errors.InvalidResponse
    assert "more than 50000 bytes" in str(found)


async def test_an_answer_without_end_is_left_at_the_limit() -> None:
    assert type(await refused(endless, max_body=1_000_000)) is errors.InvalidResponse


async def test_an_answer_in_chunks_of_a_byte_is_read_up_to_a_number_of_them_and_no_further() -> None:
    def chunked(size: int) -> bytes:
        content = JOB.ljust(size)
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in content)
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"

    async with served(answering(chunked(20_000))) as url, client(url) as asking:
        assert (await asking.get_job(PROJECT, JOB_ID)).status == "RUNNING"
    raw = chunked(2_000_000)
    started = time.thread_time()
    found = await refused(answering(raw))
    assert type(found) is errors.Unreachable
    assert "too many chunks" in str(found)
    assert time.thread_time() - started < 1.5  # 2 s and more where all of them are read; the test's server counts too


async def test_the_limit_is_eight_mebibytes_unless_told_otherwise() -> None:
    async with served(answering(answer(JOB.ljust(MAX_BODY)))) as url, client(url) as asking:
        assert (await asking.get_job(PROJECT, JOB_ID)).status == "RUNNING"
    assert MAX_BODY == 8 * 1024 * 1024
    assert type(await refused(answering(answer(JOB.ljust(MAX_BODY + 1))))) is errors.InvalidResponse


@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip", "deflate"])
async def test_an_answer_that_unpacks_to_more_than_the_limit_is_not_read(coding: str) -> None:
    packed = b" " * 50_000_000
    for _ in coding.split(", "):
        packed = zlib.compress(packed) if coding == "deflate" else gzip.compress(packed)
    found = await refused(answering(answer(packed, f"Content-Encoding: {coding}\r\n")))
    assert type(found) is errors.InvalidResponse
    assert "more than 8388608 bytes" in str(found)


def packed_as(coding: str, content: bytes) -> bytes:
    match coding.lower():
        case "gzip" | "x-gzip":
            return gzip.compress(content)
        case "deflate":
            return zlib.compress(content)
        case "raw deflate":
            return zlib.compress(content, wbits=-15)
        case "gzip, deflate":
            return zlib.compress(gzip.compress(content))
    return content


CODINGS = [
    "gzip",
    "GZip",
    "x-gzip",
    "deflate",
    "raw deflate",
    "gzip, deflate",
    "identity",
    "UTF-8",
    "utf8",
    "none",
    "br",
]
CODINGS += ["zstd", "compress", "aws-chunked", "", ",", "gzip;q=1", "x" * 300]


@pytest.mark.parametrize("coding", CODINGS)
async def test_whatever_coding_an_answer_names_its_job_is_read_where_that_can_be(coding: str) -> None:
    raw = answer(packed_as(coding, JOB), f"Content-Encoding: {coding.removeprefix('raw ')}\r\n")
    async with served(answering(raw)) as url, client(url) as asking:
        assert (await asking.get_job(PROJECT, JOB_ID)).status == "RUNNING"


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "gzip, deflate"])
async def test_an_answer_that_is_not_packed_as_it_says_is_read_as_it_is(coding: str) -> None:
    async with (
        served(answering(answer(JOB, f"Content-Encoding: {coding}\r\n"))) as url,
        client(url) as asking,
    ):
        assert (await asking.get_job(PROJECT, JOB_ID)).status == "RUNNING"


REFUSALS: list[tuple[str, str, type[errors.CloudError]]] = [
    ("401 Unauthorized", "", errors.Unauthorized),
    ("403 Forbidden", "", errors.Forbidden),
    ("404 Not Found", "", errors.EndpointInvalid),
    ("429 Too Many Requests", "Retry-After: 7\r\n", errors.RateLimited),
    ("302 Found", "Location: https://sso.example.com/\r\n", errors.EndpointInvalid),
    ("400 Bad Request", "", errors.Rejected),
    ("502 Bad Gateway", "", errors.ServerError),
    ("503 Service Unavailable", "Retry-After: 120\r\n", errors.ServerError),
]


def broken(kind: str, status: str, headers: str) -> Handler:
    """Return a handler whose answers' bodies cannot be read in one of the ways there are."""
    page = b"<html>no</html>" * 100
    match kind:
        case "unknown coding":
            return answering(answer(b"\x28\xb5\x2f\xfd" * 9, headers + "Content-Encoding: zstd\r\n", status))
        case "cut gzip":
            return answering(answer(gzip.compress(page)[:-9], headers + "Content-Encoding: gzip\r\n", status))
        case "too long":
            return answering(answer(page * 8000, headers, status))
        case "too long unpacked":
            packed = gzip.compress(page * 8000)
            return answering(answer(packed, headers + "Content-Encoding: gzip\r\n", status))
        case "cut off":
            return answering(f"HTTP/1.1 {status}\r\nContent-Length: 99\r\n{headers}\r\nabc".encode(), close=True)
        case "chunks cut off":
            head = f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n{headers}\r\n9\r\nabc"
            return answering(head.encode(), close=True)
        case "hangs":
            return answering(f"HTTP/1.1 {status}\r\nContent-Length: 99\r\n{headers}\r\nabc".encode())
    raise ValueError(kind)


@pytest.mark.parametrize(
    "kind",
    ["unknown coding", "cut gzip", "too long", "too long unpacked", "cut off", "chunks cut off", "hangs"],
)
@pytest.mark.parametrize(("status", "headers", "meaning"), REFUSALS)
async def test_a_refusal_whose_body_cannot_be_read_means_what_its_status_line_says(
    status: str, headers: str, meaning: type[errors.CloudError], kind: str
) -> None:
    found = await refused(broken(kind, status, headers), max_body=1_000_000, read=0.3)
    assert type(found) is meaning
    assert found.http_status == int(status[:3])
    if meaning is errors.RateLimited:
        assert found.retry_after == 7.0


@pytest.mark.parametrize("kind", ["too long", "too long unpacked", "cut gzip"])
async def test_an_answer_to_a_query_whose_body_cannot_be_read_is_no_job(kind: str) -> None:
    assert type(await refused(broken(kind, "200 OK", ""), max_body=1_000_000)) is errors.InvalidResponse


@pytest.mark.parametrize(
    "kind",
    ["unknown coding", "cut gzip", "too long", "too long unpacked", "cut off", "chunks cut off", "hangs"],
)
async def test_a_token_of_iam_is_taken_whatever_its_answers_body_is(kind: str) -> None:
    tokens: list[bytes] = []

    async def evs(head: bytes, writer: asyncio.StreamWriter) -> None:
        tokens.append(next(line for line in head.splitlines() if line.lower().startswith(b"x-auth-token:")))
        writer.write(answer())

    iam = broken(kind, "201 Created", "X-Subject-Token: granted-token\r\n")
    async with served(evs) as evs_url, served(iam) as iam_url:
        password = Password("user", "password", "domain", iam_url)
        auth = auth_for(password, PROJECT, clock=lambda: datetime.now(UTC))
        async with EvsClient(evs_url, auth, read_timeout=0.3, total_timeout=5.0) as asking:
            assert (await asking.get_job(PROJECT, JOB_ID)).status == "RUNNING"
    assert tokens[0].endswith(b": granted-token")


async def test_no_redirect_is_followed() -> None:
    heads: list[bytes] = []

    async def handler(head: bytes, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(answer(b"", "Location: /elsewhere?token=abc\r\n", "302 Found"))

    assert type(await refused(handler)) is errors.EndpointInvalid
    assert len(heads) == 1


async def test_connections_are_used_again() -> None:
    writers: set[int] = set()

    async def handler(head: bytes, writer: asyncio.StreamWriter) -> None:
        writers.add(id(writer))
        writer.write(answer())

    async with served(handler) as url, client(url) as asking:
        for _ in range(5):
            await asking.get_job(PROJECT, JOB_ID)
    assert len(writers) == 1


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced_unseen() -> None:
    async def handler(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer())
        await writer.drain()
        writer.close()

    async with served(handler) as url, client(url) as asking:
        for _ in range(3):
            assert (await asking.get_job(PROJECT, JOB_ID)).status == "RUNNING"


async def test_a_caller_that_gives_up_leaves_the_client_usable() -> None:
    asked = asyncio.Event()

    async def handler(head: bytes, writer: asyncio.StreamWriter) -> None:
        if asked.is_set():
            writer.write(answer())
            return
        asked.set()
        await hang(head, writer)

    async with served(handler) as url, client(url) as asking:
        call = asyncio.create_task(asking.get_job(PROJECT, JOB_ID))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await asking.get_job(PROJECT, JOB_ID)).status == "RUNNING"


async def test_a_hung_iam_is_a_time_out_of_all_that_wait_for_its_token() -> None:
    async with served(hang) as iam, served(answering(answer())) as evs:
        auth = auth_for(Password("u", "p", "d", iam), PROJECT, clock=lambda: datetime.now(UTC))
        async with EvsClient(evs, auth, read_timeout=0.2, total_timeout=0.5) as asking:
            calls = [asking.get_job(PROJECT, JOB_ID) for _ in range(5)]
            found = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in found} == {errors.PollTimeout}


async def test_an_iam_that_refuses_connections_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        iam = f"http://127.0.0.1:{taken.getsockname()[1]}"
        auth = auth_for(Password("u", "p", "d", iam), PROJECT, clock=lambda: datetime.now(UTC))
        async with EvsClient("http://evs.invalid", auth) as asking:
            with pytest.raises(errors.Unreachable, match=iam.split("://")[1]):
                await asking.get_job(PROJECT, JOB_ID)


@pytest.mark.parametrize("url", ["evs.example.com", "", "/v3", "ftp://iam.example.com", "https://iam example.com"])
async def test_an_iam_endpoint_that_is_none_is_an_error_like_any_other(url: str) -> None:
    auth = auth_for(Password("u", "p", "d", url), PROJECT, clock=lambda: datetime.now(UTC))
    async with EvsClient("http://evs.invalid", auth) as asking:
        with pytest.raises(errors.CloudError):
            await asking.get_job(PROJECT, JOB_ID)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "../../admin", "a/b", "a?b=c", "a#b", "a b", "ä", "%2e%2e", "a\n", "\ud800", "\x00", "a" * 129],
)
async def test_nothing_but_an_id_becomes_a_part_of_the_path(text: str) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"asked for {request.url}")

    async with EvsClient("http://evs", TokenAuth(Token("t")), transport=httpx.MockTransport(handler)) as asking:
        for project, job in ((PROJECT, text), (text, JOB_ID)):
            with pytest.raises(errors.Rejected) as raised:
                await asking.get_job(project, job)
            raised.value.message.encode()


@pytest.mark.parametrize("kind", [httpx.ConnectTimeout, httpx.ReadTimeout, httpx.PoolTimeout, httpx.WriteTimeout])
async def test_a_time_out_of_any_transport_is_a_time_out(kind: type[httpx.TimeoutException]) -> None:
    assert type(await raised_by(kind("slow"))) is errors.PollTimeout


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("x"),
        httpx.ReadError("x"),
        httpx.RemoteProtocolError("x"),
        ConnectionResetError(),
        OSError(5, "x"),
    ],
)
async def test_any_other_error_of_a_transport_is_unreachable(error: Exception) -> None:
    assert type(await raised_by(error)) is errors.Unreachable


async def raised_by(error: Exception) -> Exception:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    async with EvsClient("http://evs", TokenAuth(Token("t")), transport=httpx.MockTransport(handler)) as asking:
        with pytest.raises(errors.CloudError) as raised:
            await asking.get_job(PROJECT, JOB_ID)
    return raised.value
