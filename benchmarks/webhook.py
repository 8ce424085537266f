"""What waiters cost, and how fast they learn of an end: a real API server, a webhook with TLS, one process for callers.

    PYTHONPATH=tests .venv/bin/python benchmarks/webhook.py [WAITERS]

Every waiter waits for an EvsJob of its own; ends are written one by one, and at last one for which all wait. Latency is
from the moment at which the API server has answered the write to the answer that the waiter holds.
"""

import asyncio
import os
import ssl
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from controlplane import ControlPlane
from support.certificates import make_authority, make_certificate
from support.operator_process import install_crds
from support.webhook import GROUP, RULES, SENDER, Api, WebhookProcess, start_webhook, status_of, token_of

ENDS = 100
_TICKS = os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def _cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class Callers:
    """Who waits, and who writes the ends."""

    def __init__(self, plane: ControlPlane, webhook: WebhookProcess, token: str) -> None:
        self._webhook = webhook
        self._sent = {"Authorization": f"Bearer {token}"}
        self._door = ssl.create_default_context(cafile=str(webhook.ca_file))
        self._server = plane.server
        self._admin = {"Authorization": f"Bearer {token_of(plane.admin_kubeconfig)}"}
        self._trust = ssl.create_default_context(cafile=str(plane.ca_file))

    async def run(self, number: int) -> None:
        """Measure, and print."""
        pid = self._webhook.process.pid
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=290)) as session:
            before, used = _memory(pid), _cpu(pid)
            waits = [asyncio.create_task(self._wait(session, f"job-{n}")) for n in range(number)]
            await self._until_waiting(session, number)
            print(
                f"{number} waiters: {before:.0f} MB before, {_memory(pid):.0f} MB now, {_cpu(pid) - used:.2f} s of CPU"
            )
            used, began = _cpu(pid), time.monotonic()
            await asyncio.sleep(10)
            print(f"CPU while they wait: {(_cpu(pid) - used) / (time.monotonic() - began):.2%}")
            late = []
            for n in range(ENDS):
                written = await self._end(session, f"job-{n}")
                late.append((await waits[n] - written) * 1000)
            _print(f"an end to its waiter, {number} waiting", late)
            for wait in waits[ENDS:]:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            all_of_one = [asyncio.create_task(self._wait(session, "shared")) for _ in range(number)]
            await self._until_waiting(session, number)
            used, written = _cpu(pid), await self._end(session, "shared")
            _print(f"one end to {number} waiters", [(await one - written) * 1000 for one in all_of_one])
            print(f"CPU for that: {_cpu(pid) - used:.2f} s")

    async def _wait(self, session: aiohttp.ClientSession, name: str) -> float:
        url = f"{self._webhook.url}/v1/namespaces/default/evsjobs/{name}?wait=280s"
        async with session.get(url, headers=self._sent, ssl=self._door) as answer:
            assert answer.status == 200, answer.status
            assert (await answer.json())["ended"]
        return time.monotonic()

    async def _end(self, session: aiohttp.ClientSession, name: str) -> float:
        url = f"{self._server}/apis/{GROUP}/v1alpha1/namespaces/default/evsjobs/{name}"
        async with session.get(url, headers=self._admin, ssl=self._trust) as answer:
            body = {"status": status_of(await answer.json(), "Complete")}
        headers = {**self._admin, "Content-Type": "application/merge-patch+json"}
        async with session.patch(f"{url}/status", json=body, headers=headers, ssl=self._trust) as answer:
            assert answer.status == 200
            return time.monotonic()

    async def _until_waiting(self, session: aiohttp.ClientSession, number: int) -> None:
        line = f"evs_operator_webhook_waiters {number}.0"
        while True:
            async with session.get(f"http://127.0.0.1:{self._webhook.port}/metrics") as answer:
                if line in await answer.text():
                    return
            await asyncio.sleep(0.1)


def _print(what: str, late: list[float]) -> None:
    late.sort()
    at = [f"{name} {late[int(share * (len(late) - 1))]:.0f} ms" for name, share in (("p90", 0.9), ("p99", 0.99))]
    print(f"{what}: median {statistics.median(late):.0f} ms, {', '.join(at)}, longest {late[-1]:.0f} ms")


def main(number: int) -> None:
    """Run with so many waiters."""
    with tempfile.TemporaryDirectory() as place, ControlPlane.start() as plane:
        directory = Path(place)
        make_authority(directory, "authority")
        make_certificate(directory, "webhook", "authority", "IP:127.0.0.1")
        install_crds(plane)
        api = Api(plane)
        for name in (*(f"job-{n}" for n in range(number)), "shared"):
            api.make("default", name)
        kubeconfig = plane.kubeconfig_for("webhook", "webhook", [], cluster_rules=RULES)
        token = token_of(plane.kubeconfig_for("default", "sender", SENDER))
        files = directory / "webhook.crt", directory / "webhook.key", directory / "authority.crt"
        with start_webhook(kubeconfig, certificate=files) as webhook:
            asyncio.run(Callers(plane, webhook, token).run(number))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
