"""The process of `evs-operator webhook`: makes the parts once, runs them, and ends them in order.

The end: /readyz fails and all who wait are answered 202; requests still come for two seconds, until the Service has
learned of it, and are answered without a wait; then nothing is accepted any more and what is in flight is finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Coroutine
from typing import Any, Final

from evs_operator import __version__
from evs_operator.api import EVS_JOB
from evs_operator.kube.api import KubeApi
from evs_operator.kube.config.cluster import Cluster, ClusterError, load_cluster
from evs_operator.kube.watch import source
from evs_operator.kube.watch.pauses import Pauses
from evs_operator.kube.watch.pulse import Pulse

from .access import CallerApi
from .bodies import Bodies
from .front import Front
from .guard import GuardedServer
from .health import Health
from .jobs import Jobs
from .metrics import Metrics
from .routes import Parts, router_of
from .settings import WebhookSettings
from .tls import LOOK_EVERY, Certificate, CertificateError
from .waiters import Waiters

_WRONG_USE: Final = 2
_DRAIN: Final = 2.0
"""Seconds for which requests are still accepted at the end."""
_BESIDE_WAITERS: Final = 512
"""Connections beyond those of waiters."""
_PROBES: Final = 64
_WATCH_LASTED: Final = 10.0
_WATCH_CONNECTIONS: Final = 8

_log = logging.getLogger("evs_operator.webhook")


async def run(settings: WebhookSettings) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    _log.info("%s", _introduction(settings))
    try:
        certificate = Certificate(settings.certificate) if settings.certificate else None
        cluster = await load_cluster(settings.kubeconfig)
    except CertificateError as error:
        _log.error("--tls-cert-file, --tls-key-file: %s", error)
        return _WRONG_USE
    except ClusterError as error:
        _log.error("%s", error)
        return _WRONG_USE
    if not cluster.trusted:  # every caller's token would go to whoever answers
        _log.error("the API server must be reached by https, with a certificate that is verified")
        return _WRONG_USE
    webhook = Webhook(settings, cluster, certificate)
    try:
        return await webhook.run()
    finally:
        await webhook.aclose()


class Webhook:
    """All parts of one process."""

    def __init__(self, settings: WebhookSettings, cluster: Cluster, certificate: Certificate | None) -> None:
        self._settings = settings
        self._cluster = cluster
        self._certificate = certificate
        self._watch_api = KubeApi(cluster, connections=_WATCH_CONNECTIONS)
        self._caller_api = CallerApi(cluster)
        self._waiters = Waiters(settings.max_waiters)
        self._metrics = Metrics(lambda: self._waiters.number)
        self._pulse = Pulse(time.monotonic)
        self._listed = asyncio.Event()
        self._stop = asyncio.Event()
        parts = Parts(settings, Jobs(self._caller_api), self._waiters, Bodies(), self._metrics)
        self._door = GuardedServer(
            Front(router_of(parts), self._metrics, settings.max_wait_seconds),
            settings.listen,
            most=settings.max_waiters + _BESIDE_WAITERS,
            tls=certificate.context if certificate else None,
        )
        self._health = GuardedServer(Health(self._metrics, self._unready), settings.http_address, most=_PROBES)

    async def run(self) -> int:
        """Run all parts until asked to stop; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        for flag, server in (("--http-address", self._health), ("--listen", self._door)):
            try:
                await server.listen()
            except OSError as error:
                _log.error("%s: %s", flag, error)
                return _WRONG_USE
        _log.info("listening on port %d", self._door.port)
        async with _tasks(self._watch(), self._care(), self._health.serve()), asyncio.TaskGroup() as group:
            group.create_task(self._door.serve(), name="door")
            await self._stop.wait()
            await self._drain()
        _log.info("stopped")
        return 0

    async def aclose(self) -> None:
        """Close every connection."""
        await self._watch_api.aclose()
        await self._caller_api.aclose()

    async def _drain(self) -> None:
        _log.info("stopping: %d requests that wait are answered", self._waiters.number)
        self._waiters.stop()
        await asyncio.sleep(_DRAIN)
        self._door.end()

    async def _watch(self) -> None:
        """Watch EvsJobs as ourselves, and start again whenever the watch ends."""
        pauses = Pauses(_WATCH_LASTED)
        while True:
            began = time.monotonic()
            await source.watch(
                self._cluster,
                self._watch_api,
                (EVS_JOB,),
                self._settings.namespaces,
                self._waiters.take,
                self._on_listed,
                self._metrics.watch_restarts.inc,
                self._pulse,
            )
            self._metrics.watch_restarts.inc()
            await asyncio.sleep(pauses.after(time.monotonic() - began))

    def _on_listed(self) -> None:
        self._listed.set()
        self._waiters.listed()

    async def _care(self) -> None:
        """Look at the files of the certificate."""
        while self._certificate is not None:
            await asyncio.sleep(LOOK_EVERY)
            self._certificate.look(lambda result: self._metrics.certificate_reloads.labels(result=result).inc())

    def _unready(self) -> str:
        if self._stop.is_set():
            return "stopping"
        if not self._listed.is_set():
            return "waiting: the first list of EvsJobs is not complete"
        return self._pulse.problem()


@contextlib.asynccontextmanager
async def _tasks(*work: Coroutine[Any, Any, None]) -> Any:
    """Run them until the end of the block; one that ends before it is a defect, and ends the process."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def _introduction(settings: WebhookSettings) -> str:
    namespaces = ", ".join(settings.namespaces) or "all"
    return (
        f"evs-operator webhook {__version__}: namespaces: {namespaces}; TLS: {'yes' if settings.certificate else 'no'};"
        f" waits: {settings.max_waiters} at a time, {settings.max_wait_seconds} s at most"
    )
