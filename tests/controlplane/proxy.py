"""A TLS proxy in front of the API server that breaks what it is told to break, and keeps a journal.

Tests of the operator put it between: `FaultProxy.start(plane)`, `proxy.kubeconfig(…)` for the client, `proxy.fail(…)`,
`proxy.cut_watches()`. It shows the API server's own certificate, so that only the address differs. It runs in a thread
of its own with its own event loop (`relay`); every method may be called from any thread, from synchronous and from
asynchronous tests, and has happened on return.
"""

import asyncio
import json
import re
import ssl
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from aiohttp import web

from controlplane.faults import Fault, Seen
from controlplane.plane import ControlPlane
from controlplane.relay import Relay, Watch

_CALL_WITHIN = 10.0
_TURNS = 5  # of the event loop, until a transport that was aborted has closed its socket

T = TypeVar("T")


class FaultProxy:
    """One running proxy; a context manager that stops it."""

    def __init__(self, upstream: str, ca_file: Path) -> None:
        """Start it in front of an https origin whose certificate lies in `ca_file`, its key beside it; see `start`."""
        self._journal: list[Seen] = []
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        self._relay, self._runner, port = self._call(self._listen(upstream, ca_file))
        self.server = f"https://127.0.0.1:{port}"

    @classmethod
    def start(cls, plane: ControlPlane) -> Self:
        """Start one in front of a control plane, without faults."""
        return cls(plane.server, plane.ca_file)

    def stop(self) -> None:
        """Close every connection and end; twice is once."""
        if not self._thread.is_alive():
            return
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        """Return itself, running since it was made."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def kubeconfig(self, original: Path) -> Path:
        """Write a kubeconfig beside `original` that is the same but goes through the proxy."""
        config = json.loads(original.read_text())
        config["clusters"][0]["cluster"]["server"] = self.server
        path = original.with_name(f"{original.stem}.through-{self.server.rpartition(':')[2]}.kubeconfig")
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    def fail(self, fault: Fault) -> None:
        """Break the requests that match, from now on; an earlier fault goes first where both match."""
        self._on_relay(lambda relay: relay.faults.append(fault))

    def heal(self) -> None:
        """Forget all faults; a request that hangs goes on hanging, a mute watch stays mute."""
        self._on_relay(lambda relay: relay.faults.clear())

    def watches(self, path: str = "") -> int:
        """Count the open watches whose path and query match the regular expression."""
        return self._on_relay(lambda relay: len(_matching(relay, path)))

    def cut_watches(self, path: str = "") -> int:
        """Reset the matching watches; returns how many."""
        return self._each(path, Watch.reset)

    def mute_watches(self, path: str = "") -> int:
        """Let the matching watches stay open and say nothing any more (a half-open connection); returns how many."""

        def mute(watch: Watch) -> None:
            watch.mute = True

        return self._each(path, mute)

    def expire_watches(self, path: str = "") -> int:
        """End the matching watches by the event 410 Expired; returns how many."""

        async def expire() -> int:
            found = _matching(self._relay, path)
            for watch in found:
                await watch.expire()
            return len(found)

        return self._call(expire())

    @property
    def journal(self) -> tuple[Seen, ...]:
        """The requests so far, in the order in which their answers began."""
        with self._changed:
            return tuple(self._journal)

    def wait_for(self, condition: Callable[[Sequence[Seen]], bool], timeout: float = 30.0) -> None:
        """Wait until the journal fulfils a condition; TimeoutError after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self._journal), timeout):
                raise TimeoutError(f"not within {timeout:.0f} s; the journal ends: {self._journal[-5:]}")

    def _record(self, seen: Seen) -> None:
        with self._changed:
            self._journal.append(seen)
            self._changed.notify_all()

    def _each(self, path: str, action: Callable[[Watch], None]) -> int:
        def act(relay: Relay) -> int:
            found = _matching(relay, path)
            for watch in found:
                action(watch)
            return len(found)

        return self._on_relay(act)

    def _on_relay(self, action: Callable[[Relay], T]) -> T:
        async def act() -> T:
            return action(self._relay)

        return self._call(act())

    def _call(self, coroutine: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CALL_WITHIN)

    async def _listen(self, upstream: str, ca_file: Path) -> tuple[Relay, web.AppRunner, int]:
        relay = Relay(upstream, ssl.create_default_context(cafile=ca_file), self._record)
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", relay.handle)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
        await runner.setup()
        shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        shown.load_cert_chain(ca_file, ca_file.with_suffix(".key"))
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=shown)
        await site.start()
        return relay, runner, runner.addresses[0][1]

    async def _end(self) -> None:
        """Abort what is open, for a TLS goodbye would wait for the other side, and see the handlers off."""
        for connection in self._runner.server.connections if self._runner.server is not None else ():
            if connection.transport is not None:
                connection.transport.abort()
        await self._runner.cleanup()
        await self._relay.close()
        ours = asyncio.current_task()
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not ours), return_exceptions=True)
        for _ in range(_TURNS):
            await asyncio.sleep(0)


def _matching(relay: Relay, path: str) -> list[Watch]:
    return [watch for watch in relay.watches if re.search(path, watch.path)]
