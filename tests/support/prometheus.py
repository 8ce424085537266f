"""A real Prometheus for tests: its two programs found or fetched once, one process started, questions asked.

`prometheus` and `promtool` on the PATH are used as they are. Else they come from the user's cache, and into it from
the distribution's package where there is apt: downloaded and unpacked, which needs no root and starts no service.
Where neither is possible the tests fail with a line that says what to do.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from controlplane.children import Child, clean_environment
from controlplane.gotools import cache_root

from .operator_process import eventually

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_FETCH_WITHIN = 300


class PrometheusMissingError(RuntimeError):
    """Prometheus is neither there nor can it be fetched; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths of the two programs."""

    prometheus: Path
    promtool: Path


def programs() -> Programs:
    """Find Prometheus and promtool, or fetch them (20 MB, once per user)."""
    on_path = [shutil.which(name) for name in ("prometheus", "promtool")]
    if on_path[0] and on_path[1]:
        return Programs(Path(on_path[0]), Path(on_path[1]))
    cache = cache_root() / "prometheus"
    if not (cache / "usr/bin/promtool").is_file():
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache.parent, prefix="prometheus-") as place:
            _fetch(Path(place))
            if not cache.exists():  # another process may have been faster
                (Path(place) / "unpacked").rename(cache)
    return Programs(cache / "usr/bin/prometheus", cache / "usr/bin/promtool")


def _fetch(place: Path) -> None:
    """Unpack the distribution's package; with package lists of our own where the machine's are not there."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise PrometheusMissingError(
            "tests of metrics and alerts need prometheus and promtool: install Prometheus so that both are on the PATH"
        )
    for directory in ("state/lists/partial", "cache/archives/partial"):
        (place / directory).mkdir(parents=True)
    own = [f"Dir::State={place}/state", "Dir::State::status=/var/lib/dpkg/status", f"Dir::Cache={place}/cache"]
    options = [word for option in own for word in ("-o", option)]
    ways = [[["apt-get", "download"]], [["apt-get", *options, "update"], ["apt-get", *options, "download"]]]
    said = ""
    for way in ways:
        for command in way:
            words = [*command, "prometheus"] if command[-1] == "download" else command
            done = subprocess.run(
                words,
                cwd=place,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_FETCH_WITHIN,
                check=False,
            )
            said = done.stderr
        for package in place.glob("prometheus_*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(place / "unpacked")], check=True, capture_output=True)
            return
    raise PrometheusMissingError(
        "prometheus could not be fetched with apt-get; install it so that prometheus and promtool are on the PATH."
        f" apt-get says: {said.strip()[-500:]}"
    )


class Prometheus:
    """A running Prometheus that scrapes and evaluates every second."""

    def __init__(self, place: Path, port: int) -> None:
        self._targets = place / "targets.json"
        self.url = f"http://127.0.0.1:{port}"

    def scrape(self, targets: Mapping[str, int]) -> None:
        """Scrape these ports of this machine from now on, each under the label job."""
        groups = [{"targets": [f"127.0.0.1:{port}"], "labels": {"job": job}} for job, port in targets.items()]
        made = self._targets.with_suffix(".new")
        made.write_text(json.dumps(groups))
        made.rename(self._targets)

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of the HTTP API; a refusal is a ValueError with Prometheus's words."""
        query = urllib.parse.urlencode(parameters)
        try:
            with _DIRECT.open(f"{self.url}/api/v1/{path}?{query}", timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error).get("error", str(error))) from error

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an instant query."""
        return list(self.ask("query", query=expression)["result"])

    def query_range(self, expression: str, *, seconds: float, step: float) -> list[dict[str, Any]]:
        """Return the series of a query over the last `seconds`, a value each `step` seconds."""
        now = time.time()
        times = {"start": f"{now - seconds:.3f}", "end": f"{now:.3f}", "step": str(step)}
        return list(self.ask("query_range", query=expression, **times)["result"])

    def firing(self, expression: str = "ALERTS") -> set[tuple[str, str]]:
        """Return job and name of the alerts that fire."""
        found = self.query(f'{expression}{{alertstate="firing"}}')
        return {(series["metric"].get("job", ""), series["metric"]["alertname"]) for series in found}

    def _answers(self) -> bool:
        try:
            with _DIRECT.open(f"{self.url}/-/ready", timeout=5) as answer:
                return int(answer.status) == 200
        except OSError:
            return False


@contextmanager
def run_prometheus(rules: Mapping[str, Any]) -> Iterator[Prometheus]:
    """Run Prometheus with these rules, without targets at first."""
    command = programs().prometheus
    with tempfile.TemporaryDirectory(prefix="prometheus-test-") as directory, socket.socket() as free:
        place = Path(directory)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        prometheus = Prometheus(place, port)
        prometheus.scrape({})
        (place / "rules.yaml").write_text(yaml.safe_dump(dict(rules)))
        (place / "prometheus.yaml").write_text(json.dumps(_configuration(place)))
        arguments = [
            f"--config.file={place}/prometheus.yaml",
            f"--storage.tsdb.path={place}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ]
        child = Child([str(command), *arguments], log=place / "log", env={**clean_environment(), "HOME": os.sep})
        try:
            eventually(prometheus._answers, 60, child.last_words)
            yield prometheus
        finally:
            child.stop()


def _configuration(place: Path) -> dict[str, Any]:
    found = {"files": [f"{place}/targets.json"], "refresh_interval": "1s"}
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [f"{place}/rules.yaml"],
        "scrape_configs": [{"job_name": "operators", "file_sd_configs": [found]}],
    }
