"""The command line: `evs-simulator --address HOST:PORT`.

The first line on stdout names the URL, also where port 0 took a free one; nothing else is printed. Ends with 0 on
SIGINT and SIGTERM, with 2 for a wrong flag and 1 for an address that cannot be used.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import click

from .server import Server
from .world import World

_Work = Callable[[], Coroutine[None, None, int]]
_WRONG_USE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator until it is told to end; return the exit code."""
    try:
        serve: _Work | int = _simulate.main(argv, prog_name="evs-simulator", standalone_mode=False)
    except click.UsageError as error:
        sys.stderr.write(f"evs-simulator: {' '.join(error.format_message().split())}\n")
        return _WRONG_USE
    if not callable(serve):  # it was --help
        return serve
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(serve())


class _Address(click.ParamType[tuple[str, int]]):
    name = "HOST:PORT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        host, colon, port = str(value).rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
            self.fail(f"{value!r} is not HOST:PORT", param, ctx)
        return host.strip("[]"), int(port)


class _Speed(click.ParamType[float]):
    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            speed = float(value)
        except ValueError:
            speed = 0.0
        if not 0.0 < speed < 1e6:
            self.fail(f"{value!r} is not a number greater than 0", param, ctx)
        return speed


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--address",
    type=_Address(),
    default="127.0.0.1:8081",
    envvar="EVS_SIMULATOR_ADDRESS",
    show_envvar=True,
    help="Where to listen; port 0 takes a free one.",
)
@click.option("--speed", type=_Speed(), default="1", help="Run jobs N times faster.")
@click.option("--tls-certificate", type=Path, metavar="FILE", help="Serve https with this certificate (PEM).")
@click.option("--tls-key", type=Path, metavar="FILE", help="Its key, if it is in another file.")
def _simulate(address: tuple[str, int], speed: float, tls_certificate: Path | None, tls_key: Path | None) -> _Work:
    """Simulate the EVS jobs API, its gateway and the part of IAM in front of it."""
    return lambda: _serve(address, speed, tls_certificate, tls_key)


async def _serve(address: tuple[str, int], speed: float, certificate: Path | None, key: Path | None) -> int:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        server = Server(World(speed=speed), address, _tls(certificate, key))
        url = await server.start()
    except OSError as error:
        sys.stderr.write(f"evs-simulator: {error}\n")
        return 1
    try:
        sys.stdout.write(f"evs-simulator listening on {url}\n")
        sys.stdout.flush()
        await ended.wait()
    finally:
        await server.stop()
    return 0


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for every platform
        return None
    return uvloop.new_event_loop
