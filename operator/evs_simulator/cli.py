"""The command line: `evs-simulator --address HOST:PORT`.

The first line on stdout names the URL, also where port 0 took a free one; nothing else is printed. Ends with 0 on
SIGINT and SIGTERM, with 2 for a wrong flag and 1 for an address that cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import ssl
import sys
from collections.abc import Callable, Sequence

from .server import Server
from .world import World

_DEFAULT_ADDRESS = "127.0.0.1:8081"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator until it is told to end; return the exit code."""
    flags = _parser().parse_args(argv)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(flags))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evs-simulator",
        description="Simulate the EVS jobs API, its gateway and the part of IAM in front of it.",
        allow_abbrev=False,
    )
    default = os.environ.get("EVS_SIMULATOR_ADDRESS", _DEFAULT_ADDRESS)
    where = "where to listen; port 0 takes a free one (EVS_SIMULATOR_ADDRESS, default %(default)s)"
    parser.add_argument("--address", type=_address, default=default, metavar="HOST:PORT", help=where)
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="N", help="run jobs N times faster")
    parser.add_argument("--tls-certificate", metavar="FILE", help="serve https with this certificate (PEM)")
    parser.add_argument("--tls-key", metavar="FILE", help="its key, where it is in another file")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.0 < speed < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number greater than 0")
    return speed


async def _serve(flags: argparse.Namespace) -> int:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        server = Server(World(speed=flags.speed), flags.address, _tls(flags))
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


def _tls(flags: argparse.Namespace) -> ssl.SSLContext | None:
    if flags.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(flags.tls_certificate, flags.tls_key)
    return context


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for every platform
        return None
    return uvloop.new_event_loop
