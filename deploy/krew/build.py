"""Builds `kubectl evsjob` as one file, and what krew needs to install it: `make plugin`.

    dist/kubectl-evsjob.pyz      the plugin, with click and `evs_operator.api` inside
    dist/kubectl-evsjob.tar.gz   the same and the licence, as krew fetches it
    dist/evsjob.yaml             the manifest for krew, with the checksum of that archive

The same sources and the same Python give the same bytes. The bytecode is that of the Python that builds; any other from
3.11 on reads the sources beside it. The help is rendered here, so that it needs neither.
"""

import gzip
import hashlib
import importlib.util
import io
import json
import os
import py_compile
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
MOST_BYTES = 1_000_000
_SHEBANG = b"#!/usr/bin/env python3\n"
_TIME = (1980, 1, 1, 0, 0, 0)
_NOT_NEEDED = {"click/testing.py", "click/_winconsole.py"}


def main(target: Path) -> int:
    """Build all three into a directory; return the exit code."""
    target.mkdir(exist_ok=True)
    program = pyz()
    if len(program) > MOST_BYTES:
        print(f"the plugin has {len(program)} bytes, more than {MOST_BYTES}", file=sys.stderr)
        return 1
    archive = tar(program)
    (target / "kubectl-evsjob.pyz").write_bytes(program)
    (target / "kubectl-evsjob.pyz").chmod(0o755)
    (target / "kubectl-evsjob.tar.gz").write_bytes(archive)
    (target / "evsjob.yaml").write_text(manifest(archive), encoding="utf-8")
    print(f"{target.name}/kubectl-evsjob.pyz: {len(program) // 1000} kB, sha256 {hashlib.sha256(program).hexdigest()}")
    return 0


def pyz() -> bytes:
    """Return the plugin as an executable zip."""
    files = {"__main__.py": (HERE / "main.py").read_bytes(), "help.json": _help()}
    files |= _package("kubectl_evsjob", ROOT / "operator" / "kubectl_evsjob")
    files["evs_operator/__init__.py"] = (ROOT / "operator" / "evs_operator" / "__init__.py").read_bytes()
    files |= _package("evs_operator/api", ROOT / "operator" / "evs_operator" / "api")
    found = importlib.util.find_spec("click")
    if found is None or found.origin is None:
        raise SystemExit("click is not installed here: make venv")
    files |= _package("click", Path(found.origin).parent)
    files |= _bytecode(files)
    return _SHEBANG + _zip(files)


def tar(program: bytes) -> bytes:
    """Return the archive for krew."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data, mode in (
            ("LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644),
            ("kubectl-evsjob.pyz", program, 0o755),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), mtime=0)


def manifest(archive: bytes) -> str:
    """Return the manifest for krew: the template beside this file with version and checksum."""
    template = (HERE / "evsjob.yaml").read_text(encoding="utf-8")
    body = template.partition("\n\n")[2]
    return body.replace("VERSION", _version()).replace("SHA256", hashlib.sha256(archive).hexdigest())


def _version() -> str:
    text = (ROOT / "operator" / "evs_operator" / "__init__.py").read_text(encoding="utf-8")
    return text.partition('__version__ = "')[2].partition('"')[0]


def _package(name: str, directory: Path) -> dict[str, bytes]:
    files = {f"{name}/{path.relative_to(directory).as_posix()}": path for path in directory.rglob("*.py")}
    return {name: path.read_bytes() for name, path in files.items() if name not in _NOT_NEEDED}


def _bytecode(sources: dict[str, bytes]) -> dict[str, bytes]:
    compiled = {}
    with tempfile.TemporaryDirectory() as directory:
        for name in sorted(name for name in sources if name.endswith(".py") and "/" in name):
            source, target = Path(directory) / "source", Path(directory) / "target"
            source.write_bytes(sources[name])
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(str(source), str(target), dfile=name, doraise=True, optimize=2, invalidation_mode=mode)
            compiled[f"{name}c"] = target.read_bytes()
    return compiled


def _help() -> bytes:
    """Return the help of the plugin and of each of its commands, by the command's name."""
    environment = {**os.environ, "COLUMNS": "80", "PYTHONPATH": str(ROOT / "operator")}

    def rendered(*words: str) -> str:
        command = [sys.executable, "-m", "kubectl_evsjob", *words, "--help"]
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout

    sys.path.insert(0, str(ROOT / "operator"))
    from kubectl_evsjob.cli import cli

    return json.dumps({"": rendered(), **{name: rendered(name) for name in sorted(cli.commands)}}).encode()


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else ROOT / "dist"))
