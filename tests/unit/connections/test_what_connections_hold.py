"""What connections hold: a credential in the forms that are redacted, and nothing of it an hour after they are gone."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from evs_operator.kube.secret import MOST_BYTES
from support.connections import ConnectionsWorld
from support.memory import traced

NUMBER = 20
KIB = 1024


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a CA file of the largest size that is let in."""
    directory = tmp_path_factory.mktemp("ca")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key")
    command = ["openssl", "req", "-x509", *key, "-out", "ca.crt", "-days", "2", "-subj", "/CN=private CA"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    one = (Path(directory) / "ca.crt").read_text()
    return one * (MOST_BYTES // len(one))


async def opened(world: ConnectionsWorld, number: int, authority: str) -> None:
    """Open a connection whose Secrets are as large as is let in, and hold a megabyte that nobody asked for."""
    tls = {"caSecretRef": {"name": f"ca-{number}"}}
    connection = world.connect(
        name=f"c-{number}", uid=f"u-{number}", auth={"token": {"secretRef": {"name": f"s-{number}"}}}, tls=tls
    )
    await world.registry.refresh(connection)
    assert connection.identity is not None, connection.own_refusal


async def test_twenty_of_the_largest_secrets_stay_within_twenty_mebibytes_and_are_forgotten(
    authorities: str,
) -> None:
    world = ConnectionsWorld()
    file = base64.b64encode(authorities.encode()).decode()
    unused = base64.b64encode(b"u" * 900_000).decode()
    for number in range(NUMBER):
        token = base64.b64encode(f"{number:04}".encode() * (MOST_BYTES // 4)).decode()
        where = "/api/v1/namespaces/team-a/secrets"
        world.api.objects[f"{where}/s-{number}"] = {"data": {"token": token, "unused": unused}}
        world.api.objects[f"{where}/ca-{number}"] = {"data": {"ca.crt": file}}
    await opened(world, 0, authorities)  # what is imported and cached once
    with traced() as held:
        for number in range(1, NUMBER):
            await opened(world, number, authorities)
        world.now += 1.0
        await world.registry.close_retired(world.now)
        assert held() < NUMBER * 1024 * KIB  # with all forms that are redacted
        for number in range(1, NUMBER):
            world.registry.remove(world.key(name=f"c-{number}"))
        world.now += 301.0  # a lock of the key would still count until then
        await world.registry.close_retired(world.now)
        world.now += 3601.0  # an answer that is late may still quote what it held
        await world.registry.close_retired(world.now)
        world.registry.keep_secrets()
        assert held() < 1024 * KIB
