"""A stand-in for curl on machines that have none: what `examples/` and the runbooks use of it, and no more."""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request
from pathlib import Path


def main() -> int:
    """Make one request as curl would; 22 where the server refuses it, 7 where none answers."""
    parser = argparse.ArgumentParser(prog="curl")
    parser.add_argument("-s", "--silent", action="store_true")
    parser.add_argument("-S", "--show-error", action="store_true")
    parser.add_argument("-f", "--fail", "--fail-with-body", dest="fail", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("-D", "--dump-header", type=Path)
    parser.add_argument("-m", "--max-time", type=float, default=30)
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("--data")
    parser.add_argument("url")
    asked = parser.parse_args()
    headers = dict(_text(header).split(": ", 1) for header in asked.header)
    body = None if asked.data is None else _text(asked.data).encode()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = asked.url if "://" in asked.url else f"http://{asked.url}"
    try:
        with direct.open(urllib.request.Request(url, body, headers), timeout=asked.max_time) as answer:
            if asked.dump_header:
                asked.dump_header.write_text(str(answer.headers))
            shown = answer.read().decode()
            if asked.output:
                asked.output.write_text(shown)
            else:
                sys.stdout.write(shown)
    except urllib.error.HTTPError as refused:
        sys.stdout.write(refused.read().decode())
        if not asked.fail:
            return 0
        sys.stderr.write(f"curl: (22) {refused}\n")
        return 22
    except (urllib.error.URLError, OSError) as failed:
        sys.stderr.write(f"curl: (7) {failed}\n")
        return 7
    return 0


def _text(value: str) -> str:
    return Path(value[1:]).read_text(encoding="utf-8") if value.startswith("@") else value


if __name__ == "__main__":
    sys.exit(main())
