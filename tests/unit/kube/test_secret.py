"""What is let in of a Secret: the keys that are needed, up to 64 KiB each, and nothing else."""

from __future__ import annotations

import base64

import pytest

from evs_operator.kube.secret import MOST_BYTES, Refused, Secret, read_secret
from support.api_server import InMemoryApiServer


async def read(data: object, *keys: str) -> Secret:
    api = InMemoryApiServer()
    api.objects["/api/v1/namespaces/team-a/secrets/evs"] = {"data": data}
    return await read_secret(api.kube, "team-a", "evs", keys)


def encoded(size: int) -> str:
    return base64.b64encode(b"x" * size).decode()


async def test_only_the_keys_that_are_needed_are_decoded_and_kept() -> None:
    data = {"token": encoded(3), "unused": encoded(1_000_000), "broken": "%"}
    assert await read(data, "token", "ca.crt") == {"token": b"xxx"}


@pytest.mark.parametrize("size", [0, 1, 2, MOST_BYTES - 2, MOST_BYTES - 1, MOST_BYTES])
async def test_a_value_of_64_kib_is_taken_whole(size: int) -> None:
    assert await read({"token": encoded(size)}, "token") == {"token": b"x" * size}


@pytest.mark.parametrize("size", [MOST_BYTES + 1, MOST_BYTES + 2, MOST_BYTES + 3, 1_000_000])
async def test_a_larger_value_is_refused_before_it_is_decoded_with_its_size_and_the_limit(size: int) -> None:
    why = f"holds {size:,} bytes, and at most 65,536 are taken: write the value alone"
    assert await read({"token": encoded(size)}, "token") == {"token": Refused(why)}


@pytest.mark.parametrize("value", ["%%%", "AAA", "f\u00fcr", "\0", 7, True, [], {}, ["AAAA"], "AA=A", "====", "\ud800"])
async def test_a_value_that_is_no_base64_is_refused(value: object) -> None:
    assert await read({"token": value}, "token") == {"token": Refused("is no base64")}


@pytest.mark.parametrize("data", [None, {}, [], "token", 7, {"token": None}])
async def test_a_secret_without_the_key_gives_nothing(data: object) -> None:
    assert await read(data, "token") == {}
