"""No name leads out of the place it is meant for: what is no name never becomes a part of a path."""

from __future__ import annotations

import pytest

from evs_operator.api.names import CLUSTER_EVS_CONNECTION, EVS_CONNECTION
from evs_operator.kube.api import KubeError
from evs_operator.kube.objects import ObjectKey
from evs_operator.kube.secret import read_secret
from support.api_server import InMemoryApiServer

NO_NAMES = [
    *("../other/secrets/x", "..", ".", "", "a/b", "a%2fb", "%2e%2e%2fother", "a\\b", "Upper", "a b", "a\n"),
    *("a?b", "a#b", "a..b", "-a", "a-", ".a", "a.", "ä", "a" * 254, "a;b", "a:b", "a@b", "*", "\x00", "ａ"),
]


@pytest.fixture
def api() -> InMemoryApiServer:
    return InMemoryApiServer()


@pytest.mark.parametrize("name", NO_NAMES)
async def test_a_secret_is_asked_for_by_a_name_or_not_at_all(api: InMemoryApiServer, name: str) -> None:
    for namespace, secret in (("team-a", name), (name, "evs-credentials")):
        with pytest.raises(KubeError) as raised:
            await read_secret(api.kube, namespace, secret, ["token"])
        assert raised.value.status == 400
    assert api.requests == []


@pytest.mark.parametrize("name", NO_NAMES)
def test_an_object_has_a_path_only_where_it_has_a_name(name: str) -> None:
    for key in (ObjectKey(EVS_CONNECTION, "team-a", name), ObjectKey(CLUSTER_EVS_CONNECTION, "", name)):
        with pytest.raises(KubeError):
            _ = key.path


async def test_a_name_goes_into_the_path_as_it_is(api: InMemoryApiServer) -> None:
    longest = ".".join(["a" * 63] * 3 + ["b" * 61])
    api.put_secret("team-a", longest, token="t0ken", other="not asked for")
    found = await read_secret(api.kube, "team-a", longest, ["token", "absent"])
    assert [request.path for request in api.requests] == [f"/api/v1/namespaces/team-a/secrets/{longest}"]
    assert found == {"token": b"t0ken"}
