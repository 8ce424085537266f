"""Nothing that is logged shows a secret, whoever logs it: with every logger at DEBUG, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support import echoes
from support.scripted_cloud import PROJECT, Answer, scripted_cloud
from support.secret_forms import shows

SECRET = "Xy7+Kp93/Qwzz-41rT=Zk0~pl"
_BEGIN = """
import asyncio, gc, logging, sys, threading, warnings
from evs_operator.observe import logs
from evs_operator.redact.redactor import Redactor
SECRET = sys.argv[1]
logs.configure("FORMAT", "LEVEL", Redactor([SECRET]))
import aiohttp, httpx, kopf, kubernetes.aio.client
logging.getLogger().setLevel(logging.DEBUG)
for name in list(logging.root.manager.loggerDict):
    logging.getLogger(name).setLevel(logging.DEBUG)
def broken():
    token = SECRET
    try:
        raise ConnectionError(f"sent {token}")
    except ConnectionError as error:
        error.add_note(f"with {token}")
        raise ValueError(token) from error
"""
WAYS = {
    "a task whose error nobody asks for": """
async def main():
    asyncio.get_running_loop().set_debug(True)
    async def task():
        broken()
    asyncio.ensure_future(task())
    await asyncio.sleep(0.05)
    gc.collect()
asyncio.run(main())
""",
    "a warning": "warnings.warn(f'unclosed connection with {SECRET}', ResourceWarning, source=None)",
    "an error in a finalizer": """
class Thing:
    def __del__(self):
        broken()
Thing()
""",
    "an error in a thread": "thread = threading.Thread(target=broken, name=SECRET); thread.start(); thread.join()",
    "a callback of the loop": """
async def main():
    asyncio.get_running_loop().call_soon(broken)
    await asyncio.sleep(0.05)
asyncio.run(main())
""",
    "another library's record": """
logging.getLogger("kopf.objects").debug("patching with %r", {"headers": {"Authorization": f"Bearer {SECRET}"}})
logging.getLogger("kubernetes.aio.client.rest").debug("response body: %s", '{"data": {"token": "%s"}}' % SECRET)
logging.getLogger("kopf.activities.authentication").error("login", exc_info=kopf.LoginError(SECRET))
logging.getLogger("aiohttp.client").exception("gone", exc_info=aiohttp.ClientError(SECRET))
""",
    "an error that ends the process": "broken()",
}


def logged(script: str, log_format: str, level: str, *arguments: str) -> str:
    """Return what a process writes to stderr; it must have written something, and no traceback past the logs."""
    begin = _BEGIN.replace("FORMAT", log_format).replace("LEVEL", level)
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", begin + script, SECRET, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr
    return done.stderr + done.stdout


@pytest.mark.parametrize(("log_format", "level"), [("json", "debug"), ("text", "info")])
def test_no_way_into_the_logs_shows_a_secret(log_format: str, level: str) -> None:
    marked = (f"logging.getLogger('evs_operator').warning('way: %s', {name!r})\n{way}" for name, way in WAYS.items())
    said = logged("\n".join(marked), log_format, level)
    assert not shows(said, SECRET), said
    sections = said.split("way: ")[1:]
    assert len(sections) == len(WAYS)
    for section in sections:
        assert "***" in section, section


def test_a_client_at_work_logs_no_credential_that_the_cloud_echoes() -> None:
    script = f"""
from evs_operator.cloud.client import EvsClient
from evs_operator.cloud.auth.authentication import TokenAuth
from evs_operator.cloud.auth.credentials import Token
async def main():
    asyncio.get_running_loop().set_debug(True)
    async with EvsClient(sys.argv[2], TokenAuth(Token(SECRET))) as client:
        for number in range(int(sys.argv[3])):
            try:
                await client.get_job({PROJECT!r}, f"{{number:032x}}")
            except Exception as error:
                logging.getLogger("evs_operator").debug("failed: %s", error, exc_info=True)
asyncio.run(main())
"""
    with scripted_cloud() as cloud:
        cloud.tokens = {SECRET}
        answers = [*(echoes.with_headers(echo(SECRET), SECRET) for echo in echoes.ERRORS.values())]
        for number, (status, headers, content) in enumerate(answers):
            cloud.answers[f"{number:032x}"] = Answer(content, status, headers)
        said = logged(script, "json", "debug", cloud.url, str(len(answers)))
    assert len(cloud.calls) == len(answers)
    assert not shows(said, SECRET), said
    assert said.count("failed: ") == len(answers)
