"""The webhook on bad days: API server away, process at its end, certificates renewed, senders slow or hostile."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from controlplane import ControlPlane, Fault, FaultProxy
from support.certificates import make_certificate
from support.operator_process import eventually
from support.webhook import (
    JOB_ID,
    SENDER,
    Answer,
    Api,
    WebhookProcess,
    events_of,
    start_webhook,
    token_of,
    until_waiting,
    waiting,
)

pytestmark = pytest.mark.controlplane


def _jobs(namespace: str, name: str = "", query: str = "") -> str:
    return f"/v1/namespaces/{namespace}/evsjobs{f'/{name}' if name else ''}{f'?{query}' if query else ''}"


@pytest.fixture(scope="module")
def proxy(crds: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy.start(crds) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def distant(webhook_kubeconfig: Path, proxy: FaultProxy) -> Iterator[WebhookProcess]:
    """Give a webhook, without TLS, that reaches the API server through a proxy."""
    with start_webhook(proxy.kubeconfig(webhook_kubeconfig), "--max-waiters", "8") as running:
        yield running


@pytest.fixture
def broken(proxy: FaultProxy) -> Iterator[FaultProxy]:
    yield proxy
    proxy.heal()


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(path="/evsjobs/a", drop=True), 503),
        (Fault(path="/evsjobs/a", status=500), 503),
        (Fault(path="/evsjobs/a", status=504), 503),
        (Fault(path="/evsjobs/a", status=429, retry_after=7), 429),
        (Fault(path="/evsjobs/a", status=302), 503),
    ],
    ids=lambda it: str(getattr(it, "status", it)),
)
def test_an_api_server_in_trouble_is_503_with_a_time_to_wait(
    distant: WebhookProcess, broken: FaultProxy, sender: str, namespace: str, fault: Fault, status: int
) -> None:
    broken.fail(fault)
    answer = distant.ask("GET", _jobs(namespace, "a", "wait=5s"), sender)
    assert answer.status == status
    assert int(answer.headers["retry-after"]) == (7 if fault.retry_after else 5)
    assert answer.json["status"] == status
    assert "127.0.0.1" not in answer.body.decode()


@pytest.mark.parametrize("end", ["cut", "expire"])
def test_an_end_that_the_watch_missed_is_told_when_it_lists_again(
    distant: WebhookProcess, broken: FaultProxy, sender: str, namespace: str, api: Api, end: str
) -> None:
    """The watch is away while the job ends, and while an EvsJob is deleted and made anew."""
    for name in ("ends", "goes", "returns"):
        api.make(namespace, name)
    with ThreadPoolExecutor(3) as pool:
        waits = {
            name: pool.submit(distant.ask, "GET", _jobs(namespace, name, "wait=50s"), sender)
            for name in ("ends", "goes", "returns")
        }
        until_waiting(distant, 3)
        broken.fail(Fault(verb="watch", path="/evsjobs", drop=True))
        (broken.cut_watches if end == "cut" else broken.expire_watches)("/evsjobs")
        api.say(namespace, "ends", "Complete")
        api.delete(namespace, "goes")
        api.delete(namespace, "returns")
        api.make(namespace, "returns")
        api.say(namespace, "returns", "Complete")
        broken.heal()
        answers = {name: done.result(60) for name, done in waits.items()}
    assert {name: answer.status for name, answer in answers.items()} == {"ends": 200, "goes": 404, "returns": 404}


def test_an_end_just_before_the_time_is_over_is_told_though_no_watch_lives(
    distant: WebhookProcess, broken: FaultProxy, sender: str, namespace: str, api: Api
) -> None:
    api.make(namespace, "a")
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(distant.ask, "GET", _jobs(namespace, "a", "wait=4s"), sender)
        until_waiting(distant, 1)
        broken.mute_watches("/evsjobs")
        api.say(namespace, "a", "Failed")
        assert waits.result(20).json["state"] == "Failed"
    broken.cut_watches("/evsjobs")


def test_rights_that_are_taken_away_during_a_wait_end_it_at_the_latest_with_its_time(
    distant: WebhookProcess, crds: ControlPlane, namespace: str, api: Api
) -> None:
    token = token_of(crds.kubeconfig_for(namespace, "dismissed", SENDER))
    api.make(namespace, "a")
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(distant.ask, "GET", _jobs(namespace, "a", "wait=4s"), token)
        until_waiting(distant, 1)
        crds.kubectl("delete", "rolebinding", "dismissed", "-n", namespace)
        assert waits.result(20).status == 403


def test_too_many_waiters_are_429_and_a_smaller_namespace_gets_a_place_of_the_largest(
    distant: WebhookProcess, sender: str, namespace: str, api: Api, crds: ControlPlane
) -> None:
    other = f"{namespace}-other"
    crds.kubectl("create", "namespace", other)
    for place in (namespace, other):
        api.make(place, "a")
    with ThreadPoolExecutor(9) as pool:
        first = [pool.submit(distant.ask, "GET", _jobs(namespace, "a", "wait=40s"), sender) for _ in range(8)]
        until_waiting(distant, 8)
        refused = distant.ask("GET", _jobs(namespace, "a", "wait=5s"), sender)
        assert (refused.status, refused.headers["retry-after"]) == (429, "5")
        made = distant.ask("POST", _jobs(namespace, query="name=b&wait=5s"), sender, {"job_id": JOB_ID})
        assert made.status == 429
        assert distant.ask("GET", _jobs(namespace, "b"), sender).status == 404
        assert distant.ask("GET", _jobs(namespace, "a"), sender).status == 200
        guest = pool.submit(distant.ask, "GET", _jobs(other, "a", "wait=40s"), sender)
        eventually(lambda: sum(one.done() for one in first) == 1, 20)
        assert next(one.result() for one in first if one.done()).status == 202
        for place in (namespace, other):
            api.say(place, "a", "Complete")
        assert Counter(one.result(20).status for one in first) == {200: 7, 202: 1}
        assert guest.result(20).status == 200


def test_at_its_end_waiters_get_202_and_the_process_exits_in_good_order(
    webhook_kubeconfig: Path, sender: str, namespace: str, api: Api
) -> None:
    api.make(namespace, "a")
    with start_webhook(webhook_kubeconfig) as running, ThreadPoolExecutor(21) as pool:
        gets = [pool.submit(running.ask, "GET", _jobs(namespace, "a", "wait=5m"), sender) for _ in range(20)]
        post = pool.submit(running.ask, "POST", _jobs(namespace, query="name=b&wait=5m"), sender, {"job_id": JOB_ID})
        until_waiting(running, 21)
        connection = running.connect()
        headers = {"Authorization": f"Bearer {sender}", "Accept": "text/event-stream"}
        connection.request("GET", _jobs(namespace, "a"), headers=headers)
        events = events_of(connection)
        assert next(events)["state"] == "Pending"
        running.process.send_signal(signal.SIGTERM)
        answers = [one.result(20) for one in [*gets, post]]
        assert {(one.status, one.json["ended"], one.headers["retry-after"]) for one in answers} == {(202, False, "1")}
        assert answers[-1].headers["location"] == _jobs(namespace, "b")
        assert running.http("/readyz")[0] == 503
        assert running.ask("GET", _jobs(namespace, "a", "wait=5m"), sender).status == 202
        assert list(events) == []
        connection.close()
        assert running.process.wait(20) == 0


def test_a_certificate_is_exchanged_under_load_and_a_broken_one_leaves_the_last_in_use(
    webhook_kubeconfig: Path, webhook_certificate: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    directory = webhook_certificate[2].parent
    make_certificate(directory, "renewed", "authority", "IP:127.0.0.1")
    files = tmp_path / "tls.crt", tmp_path / "tls.key"
    _install(directory, "webhook", files)
    with start_webhook(webhook_kubeconfig, certificate=(*files, webhook_certificate[2])) as running:
        done, failures = threading.Event(), []

        def load() -> int:
            asked = 0
            while not done.is_set():
                try:
                    assert running.ask("GET", "/openapi.json", None).status == 200
                except (OSError, ssl.SSLError) as error:
                    failures.append(error)
                asked += 1
            return asked

        with ThreadPoolExecutor(4) as pool:
            loads = [pool.submit(load) for _ in range(4)]
            assert _subject(running) == "webhook"
            files[1].write_text("half a key")
            eventually(lambda: "cannot be used, the last one stays" in running.log, 20)
            assert _subject(running) == "webhook"
            _install(directory, "renewed", files)
            eventually(lambda: _subject(running) == "renewed", 20)
            done.set()
            assert sum(one.result(20) for one in loads) > 20
        assert failures == []
        assert 'certificate_reloads_total{result="loaded"} 1.0' in running.http("/metrics")[1]


def _install(directory: Path, name: str, files: tuple[Path, Path]) -> None:
    for suffix, path in zip(("crt", "key"), files, strict=True):
        shutil.copy(directory / f"{name}.{suffix}", path.with_suffix(".new"))
        path.with_suffix(".new").rename(path)


def _subject(running: WebhookProcess) -> str:
    context = ssl.create_default_context(cafile=str(running.ca_file))
    with (
        socket.create_connection(("127.0.0.1", running.door)) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as it,
    ):
        certificate = it.getpeercert() or {}
    return dict(pair for part in certificate["subject"] for pair in part)["commonName"]  # type: ignore[misc]


MANIFEST = {"apiVersion": "evs-operator.dev/v1alpha1", "kind": "EvsJob", "spec": {"jobId": JOB_ID}}
BODIES: dict[str, tuple[bytes, dict[str, str], int]] = {
    "a form": (b"job_id=1", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "no type": (b"{}", {"Content-Type": ""}, 415),
    "another charset": (b"{}", {"Content-Type": "application/json; charset=utf-16"}, 415),
    "yaml": (b"job_id: a", {"Content-Type": "application/yaml"}, 415),
    "packed": (b"{}", {"Content-Encoding": "gzip"}, 415),
    "nothing": (b"", {}, 400),
    "no object": (b'["job_id"]', {}, 400),
    "half an object": (b'{"job_id": ', {}, 400),
    "not UTF-8": (b'{"job_id": "\xff"}', {}, 400),
    "no number": (b'{"job_id": NaN}', {}, 400),
    "a huge number": (b'{"job_id": 1e999}', {}, 400),
    "too many digits": (b'{"job_id": ' + b"1" * 5000 + b"}", {}, 400),
    "deep": (b'{"job_id":' + b"[" * 1000 + b"]" * 1000 + b"}", {}, 400),
    "very deep": (b'{"job_id":' + b"[" * 200_000 + b"]" * 200_000 + b"}", {}, 400),
    "no job id": (b'{"order_id": "CS2211171600X4J6V"}', {}, 400),
    "a path as job id": (b'{"job_id": "../../secrets/x"}', {}, 400),
    "another kind": (b'{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}', {}, 400),
    "another namespace": (json.dumps({**MANIFEST, "metadata": {"namespace": "kube-system"}}).encode(), {}, 400),
    "a generated name": (json.dumps({**MANIFEST, "metadata": {"generateName": "a-"}}).encode(), {}, 400),
    "read from a cluster": (
        json.dumps({**MANIFEST, "metadata": {"name": "a", "resourceVersion": "5"}}).encode(),
        {},
        400,
    ),
    "a field that is not there": (
        json.dumps({**MANIFEST, "spec": {"jobId": JOB_ID, "deadlineSecond": 5}}).encode(),
        {},
        422,
    ),
    "a path as name": (json.dumps({**MANIFEST, "metadata": {"name": "../x"}}).encode(), {}, 400),
    "no spec": (json.dumps({**MANIFEST, "spec": None}).encode(), {}, 400),
    "one byte more than 1 MiB": (b'{"job_id": "' + b"a" * (1024 * 1024 - 13) + b'"}', {}, 413),
    "a list of a million": (b'{"job_id": [' + b"1," * 500_000 + b"1]}", {}, 400),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_is_none_of_the_kinds_is_refused_with_what_is_wrong(
    webhook: WebhookProcess, sender: str, namespace: str, kind: str
) -> None:
    content, headers, status = BODIES[kind]
    answer = webhook.ask("POST", _jobs(namespace), sender, content, headers)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), answer
    assert len(answer.body) < 1000


def test_a_body_of_one_mebibyte_is_taken_from_who_may_create(
    webhook: WebhookProcess, sender: str, namespace: str
) -> None:
    start, end = b'{"job_id": "' + JOB_ID.encode() + b'", "padding": "', b'"}'
    content = start + b"a" * (1024 * 1024 - len(start) - len(end)) + end
    assert webhook.ask("POST", _jobs(namespace), "not-a-token", content).status == 401
    assert webhook.ask("POST", _jobs(namespace), sender, content).status == 201


def test_a_large_body_in_pieces_of_a_stranger_is_refused_before_it_is_read(
    webhook: WebhookProcess, namespace: str
) -> None:
    connection = webhook.connect()
    connection.putrequest("POST", _jobs(namespace))
    for name, value in (("Authorization", "Bearer x"), ("Content-Type", "application/json")):
        connection.putheader(name, value)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    for _ in range(9):
        connection.send(b"2000\r\n" + b" " * 0x2000 + b"\r\n")
    assert connection.getresponse().status == 401
    connection.close()


def test_slow_senders_keep_nobody_waiting_and_are_hung_up_on_or_told_408(
    distant: WebhookProcess, sender: str, namespace: str
) -> None:
    """Heads that never end, sent by drops, and bodies that never end."""
    head = (
        f"POST {_jobs(namespace)} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {sender}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    ).encode()
    bodies = [socket.create_connection(("127.0.0.1", distant.door), timeout=60) for _ in range(100)]
    heads = [socket.create_connection(("127.0.0.1", distant.door), timeout=60) for _ in range(3)]
    for raw in bodies:
        raw.sendall(head)
    for raw, sent in zip(heads, (b"", b"GET /op", b"GET /openapi.json HTTP/1.1\r\nHost: a\r\nX"), strict=True):
        raw.sendall(sent)
    began = time.monotonic()
    assert distant.ask("POST", _jobs(namespace), sender, {"job_id": JOB_ID}).status == 201
    assert time.monotonic() - began < 10
    with ThreadPoolExecutor(3) as pool:
        assert all(5 < lasted < 25 for lasted in pool.map(_until_hung_up, heads, [b"", b"x", b"y"]))
    assert {raw.recv(12) for raw in bodies} == {b"HTTP/1.1 408"}
    for raw in (*heads, *bodies):
        raw.close()


def _until_hung_up(raw: socket.socket, drop: bytes) -> float:
    """Send a drop again and again; return the seconds until the other side had enough."""
    began = time.monotonic()
    raw.settimeout(0.5)
    while time.monotonic() - began < 30:
        try:
            if raw.recv(1) == b"":
                break
        except TimeoutError:
            with suppress(ConnectionError):
                raw.sendall(drop)
        except ConnectionError:
            break
    return time.monotonic() - began


def test_a_thousand_idle_connections_keep_nobody_out(distant: WebhookProcess) -> None:
    """More than it holds: 8 waiters and 512 others."""
    idle: list[socket.socket] = []
    try:
        idle += (socket.create_connection(("127.0.0.1", distant.door), timeout=10) for _ in range(700))
        assert distant.ask("GET", "/openapi.json", None).status == 200
    finally:
        for raw in idle:
            raw.close()


def test_what_is_no_http_is_answered_as_a_problem(distant: WebhookProcess) -> None:
    for sent in (b"\x16\x03\x01\x00\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"y" * 70_000 + b"\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", distant.door), timeout=10) as raw:
            raw.sendall(sent)
            answer = b"".join(iter(lambda raw=raw: raw.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"application/problem+json" in answer


TRICKS = [
    "/v1/namespaces/{ns}/evsjobs/../secrets/x",
    "/v1/namespaces/{ns}/evsjobs/..%2fsecrets%2fx",
    "/v1/namespaces/{ns}/evsjobs/%2e%2e",
    "/v1/namespaces/{ns}/evsjobs/a%2freconcile",
    "/v1/namespaces/{ns}/evsjobs/a%00",
    "/v1/namespaces/{ns}/evsjobs/a%0d%0aX-Evil:%201",
    "/v1/namespaces/{ns}/evsjobs/a;b",
    "/v1/namespaces/{ns}/evsjobs/a/",
    "/v1/namespaces/{ns}/evsjobs/",
    "/v1/namespaces/{ns}/evsjobs/a/status",
    "/v1/namespaces/../evsjobs/a",
    "/v1/namespaces//evsjobs/a",
    "/v1/namespaces/{ns}%2f../kube-system/evsjobs/a",
    "//v1/namespaces/{ns}/evsjobs/a",
    "/V1/namespaces/{ns}/evsjobs/A",
    "/v1/namespaces/{ns}/evsjobs/" + "a" * 254,
    "/v1/namespaces/{ns}/evsjobs/a?wait=1&wait=2",
    "/v1/namespaces/{ns}/evsjobs/a?wait=-1",
    "/v1/namespaces/{ns}/evsjobs/a?wait=1e9",
    "/v1/namespaces/{ns}/evsjobs/a?wait=%D9%A1s",
    "/v1/namespaces/{ns}/evsjobs/a?fieldManager=x",
    "/v1/namespaces/{ns}/evsjobs/a?%ff=1",
    "/v1/namespaces/{ns}/evsjobs?labelSelector=a%0d%0ab",
    "/v1/namespaces/{ns}/evsjobs?labelSelector=" + "a" * 5000,
    "/v1/namespaces/{ns}/evsjobs?limit=1&continue=x",
    "http://evil.example.com/v1/namespaces/{ns}/evsjobs/a",
    "*",
]


@pytest.mark.parametrize("path", TRICKS)
def test_no_trick_in_path_or_query_reaches_the_api_server_and_nothing_is_redirected(
    distant: WebhookProcess, proxy: FaultProxy, sender: str, namespace: str, path: str
) -> None:
    before = [seen for seen in proxy.journal if seen.user_agent.startswith("evs-operator-webhook")]
    answer = _raw(distant, f"GET {path.replace('{ns}', namespace)}", sender)
    assert answer.status in (400, 404), answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert not {"location", "x-evil"} & set(answer.headers)
    assert "evil" not in answer.body.decode()
    after = [seen for seen in proxy.journal if seen.user_agent.startswith("evs-operator-webhook")]
    assert after == before


def _raw(running: WebhookProcess, line: str, token: str) -> Answer:
    with socket.create_connection(("127.0.0.1", running.door), timeout=10) as raw:
        raw.sendall(
            f"{line} HTTP/1.1\r\nHost: evil.example.com\r\nConnection: close\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        content = b"".join(iter(lambda: raw.recv(4096), b""))
    top, _, body = content.partition(b"\r\n\r\n")
    lines = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines[1:])}
    return Answer(int(lines[0].split()[1]), headers, body)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_a_method_that_a_path_has_not_is_405_with_those_that_it_has(
    distant: WebhookProcess, sender: str, namespace: str, method: str
) -> None:
    answer = distant.ask(method, _jobs(namespace, "a"), sender)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_two_requests_smuggled_as_one_are_not_understood(distant: WebhookProcess, namespace: str) -> None:
    head = f"POST {_jobs(namespace)} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    head += "0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    with socket.create_connection(("127.0.0.1", distant.door), timeout=10) as raw:
        raw.sendall(head.encode())
        raw.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.count(b"HTTP/1.1 ") <= 2
    assert b" 20" not in answer[:15]


def test_each_request_is_one_line_without_query_body_or_token(
    distant: WebhookProcess, sender: str, namespace: str
) -> None:
    secret = "s3cr3t-in-the-query"
    distant.ask("GET", _jobs(namespace, query=f"labelSelector={secret}"), sender)
    distant.ask("POST", _jobs(namespace), sender, {"job_id": JOB_ID, "x": "s3cr3t-in-the-body"})
    distant.ask("GET", f"/{secret}", sender)

    def of_this() -> list[str]:
        own = (f"evsjob={namespace}/", f"namespace={namespace}")
        return [line for line in distant.log.splitlines() if any(place in line for place in own)]

    eventually(lambda: len(of_this()) == 2, 10, lambda: distant.log)
    lines = of_this()
    assert [line.partition("webhook  ")[2].partition(" in ")[0] for line in lines] == [
        "GET list: 200",
        "POST create: 201",
    ]
    assert "s3cr3t" not in distant.log
    assert sender[:20] not in distant.log
    assert waiting(distant) == 0
