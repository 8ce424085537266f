"""What the cloud says reaches a status redacted with the credential of its call, whichever way it takes."""

from __future__ import annotations

import json

from evs_operator.evs import errors
from support.engine_world import CloudJob, EngineWorld, in_world

MINE, THEIRS = "hR7kQ2xW9pL4zT8vN1bM6yJ3", "Zq5tG8wE2rF6uK9sD3aX7cV4"


def test_a_job_is_redacted_with_the_credential_that_it_was_asked_with_and_with_no_other() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token=MINE)
        world.connect("other", token=THEIRS)
        world.add("job", CloudJob(0.0, 1.0, kind=f"echo {MINE} {THEIRS}"))
        world.add("job", CloudJob(0.0, 1.0, kind="createVolume"), "other")
        await world.run(30.0)
        shown = json.dumps(world.status_of("job"))
        assert f"echo *** {THEIRS}" in shown
        assert MINE not in shown

    in_world(main)


def test_a_refusal_is_redacted_with_the_credential_that_was_refused_and_with_no_other() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token=MINE)
        world.connect("other", token=THEIRS)
        world.add("job", CloudJob(0.0, 1.0))
        said = f"echo {MINE} {THEIRS}"
        world.cloud.refuse = lambda call: errors.Rejected("evs:", said=said, code=MINE, http_status=400)
        await world.run(30.0)
        shown = json.dumps(world.status_of("job"))
        assert f"HTTP 400 ***: evs: echo *** {THEIRS}" in shown
        assert MINE not in shown

    in_world(main)


def test_our_own_words_and_names_are_not_searched() -> None:
    """An object may be called like what precedes a secret, or like a part of one."""

    async def main(world: EngineWorld) -> None:
        world.add("j-evs-token", CloudJob(0.0, 1.0), spec={"connectionRef": {"name": "access-key"}})
        await world.run(30.0)
        message = world.status_of("j-evs-token")[-1]["conditions"][0]["message"]
        assert message == "EvsConnection ns/access-key does not exist: create it, or correct spec.connectionRef"

    in_world(main)


def test_what_the_cloud_echoes_costs_none_of_our_advice() -> None:
    async def main(world: EngineWorld) -> None:
        world.connect("ns", token=MINE)
        world.add("job", CloudJob(0.0, 1.0))
        said = "verify aksk signature fail, canonicalRequest:GET|/v1/p/jobs|x-security-token:temporary-value"
        world.cloud.refuse = lambda call: errors.Unauthorized("evs:", said=said, code="APIGW.0301", http_status=401)
        await world.run(30.0)
        message = world.status_of("job")[-1]["conditions"][0]["message"]
        assert "verify aksk signature fail, canonicalRequest:***." in message
        assert message.endswith("belong to the access key: correct secretKey in Secret ns/token.")

    in_world(main)
