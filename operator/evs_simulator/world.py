"""The whole simulated cloud: everything that has a state, in one value.

`server` makes one per process and hands it to the handlers, which work on it. A new world is the demo world: one
project, one user, one token, one access key, so that a demonstration needs no admin call. There is no state outside.
"""

from __future__ import annotations

from evs_simulator.iam.accounts import DAY, AccessKey, Accounts, Project, Token, User
from evs_simulator.jobs.job import Job, Jobs
from evs_simulator.jobs.making import make_job
from evs_simulator.jobs.plans import Pace, Plan
from evs_simulator.jobs.volumes import Volume

from .clock import Clock
from .faults import Faults
from .ids import Ids
from .journal import Journal
from .limiter import Limit
from .settings import Settings

DEMO_PROJECT = "0f2c6a5e7d8041b3a9e4c1d2b3a4f5e6"
DEMO_PROJECT_NAME = "eu-de_demo"
DEMO_DOMAIN = "demo-domain"
DEMO_USER = "demo"
DEMO_PASSWORD = "demo-password"  # noqa: S105  # protects nothing: the simulator's own user
DEMO_TOKEN = "demo-token"  # noqa: S105  # as above
DEMO_ACCESS_KEY = "DEMOACCESSKEY00000000"
DEMO_SECRET_KEY = "demo-secret-key-0000000000000000000000000"  # noqa: S105  # as above
_TEN_YEARS = 3650 * DAY


class World:
    """One simulated cloud. Jobs run `speed` times faster than on a real one."""

    def __init__(self, clock: Clock | None = None, *, speed: float = 1.0) -> None:
        self.clock = clock or Clock()
        self._speed = speed
        self.journal = Journal()
        self.ids = Ids(self.clock.now)
        self.reset()

    def reset(self) -> None:
        """Become the demo world again; clock and journal go on."""
        self.settings = Settings(speed=self._speed)
        self.accounts = _demo_accounts(self.clock.now())
        self.jobs = Jobs()
        self.volumes: dict[str, Volume] = {}
        self.faults = Faults()
        self.limit: Limit | None = None
        self.metadata_tokens: dict[str, float] = {}  # token -> valid until

    def submit(self, plan: Plan, project_id: str, begin: float | None = None) -> Job:
        """Make a job of this plan that begins now, or at `begin`, and keep it."""
        job = self._make(plan, project_id, self.clock.now() if begin is None else begin)
        self.jobs.add(job)
        return job

    def change(self, job: Job, plan: Plan, begin: float) -> None:
        """Make a job what this plan says; it stays the job of its volume and its parent, whose end does not move."""
        job.become(self._make(plan, job.project_id, begin))
        self.jobs.add(job)
        self.jobs.forget_bodies()

    def _make(self, plan: Plan, project_id: str, begin: float) -> Job:
        pace = Pace(self.settings.speed, self.settings.entity_mode == "modern")
        return make_job(plan, project_id, begin, self.ids, pace)


def _demo_accounts(now: float) -> Accounts:
    accounts = Accounts()
    user = User(DEMO_USER, DEMO_PASSWORD, DEMO_DOMAIN)
    accounts.projects[DEMO_PROJECT] = Project(DEMO_PROJECT, DEMO_PROJECT_NAME, DEMO_DOMAIN)
    accounts.users.append(user)
    accounts.access_keys[DEMO_ACCESS_KEY] = AccessKey(DEMO_ACCESS_KEY, DEMO_SECRET_KEY)
    accounts.tokens[DEMO_TOKEN] = Token(DEMO_TOKEN, DEMO_PROJECT, user, now, now + _TEN_YEARS)
    return accounts
