"""What the cloud said of one credential at one endpoint, and which project it said that of. Pure.

A refusal of one project is that project's, as long as the credential was accepted for another within the last hour.
Where nothing speaks for it the credential is refused for all, but a few of other projects may try for themselves: the
refusal may have been that of the first project alone, and an access key is locked after five wrong signatures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from evs_operator.api.reasons import ConnectionReason
from evs_operator.core.observation import Trouble

TRY: Final = 60.0
LONGEST_TRY: Final = 300.0
_ASKED_TRY: Final = 5.0
"""Seconds after a refused call in which requests of persons share its verdict."""
_ASKED_TRIES: Final = 3
"""Refusals in a row after which such requests wait a minute too: a key is locked after five."""
_VOUCHES_FOR: Final = 3600.0
"""Seconds for which an acceptance for one project speaks for the credential where another is refused."""
_STRIKES: Final = 3
"""Refusals in a row after which that has to be found out anew."""
_TRIES: Final = 3
_LATER_TRIES: Final = 2
"""Projects that a refused credential is tried for at once: at first, and each time that it is tried again."""
_GOOD: Final = 8
_REFUSED: Final = 256
"""Projects that are remembered."""


@dataclass(slots=True, eq=False)
class Refusal:
    """Why nothing is asked now, and when one call may try again (seconds of the epoch)."""

    trouble: Trouble
    reason: ConnectionReason
    retry_at: float
    tries: int = 1
    since: float = 0.0
    locked: bool = False

    def ends_at(self, *, urgent: bool = False) -> float:
        """Return when the next call may go; one that a person asks for need not wait for its turn."""
        if not urgent or self.locked:
            return self.retry_at
        return min(self.retry_at, self.since + (_ASKED_TRY if self.tries <= _ASKED_TRIES else TRY))

    def lasts(self, now: float, *, urgent: bool = False) -> bool:
        """Return whether no call may go."""
        return now < self.ends_at(urgent=urgent)

    @staticmethod
    def after(
        before: Refusal | None,
        trouble: Trouble,
        reason: ConnectionReason,
        now: float,
        *,
        named: float | None = None,
        locked: bool = False,
    ) -> Refusal:
        """Return the refusal after one more refusal; `named` are the seconds that the answer asks to wait."""
        tries = before.tries + 1 if before else 1
        wait = max(named or 0.0, min(TRY * tries, LONGEST_TRY))
        return Refusal(trouble, reason, now + wait, tries, now, locked)


class Verdicts:
    """`refusal` is that of the credential as a whole. Projects are ids, "" is a call for none."""

    def __init__(self) -> None:
        self.refusal: Refusal | None = None
        self._good: dict[str, float] = {}
        self._refused: dict[str, Refusal] = {}
        self._tried: dict[str, str] = {}
        self._tries = _TRIES
        self._strikes = 0

    def of(self, project: str, namespace: str) -> Refusal | None:
        """Return what keeps a namespace from asking about a project, None where nothing does."""
        if self.refusal is None or self._may_try(project, namespace):
            return self._refused.get(project) if self._refused else None
        return self.refusal

    def of_project(self, project: str) -> Refusal | None:
        """Return the refusal of that project alone."""
        return self._refused.get(project)

    def accept(self, project: str, started: float, now: float) -> bool:
        """Take an answer to a call that was not about the credential; return whether that heals the project."""
        self.refusal = None
        self._strikes = 0
        if self._tried:
            self._tried.clear()
        self._tries = _TRIES
        if project:
            if project not in self._good and len(self._good) >= _GOOD:
                del self._good[min(self._good, key=self._good.__getitem__)]
            self._good[project] = now
        refused = self._refused.get(project) if self._refused else None
        if refused is None or started <= refused.since:
            return False
        del self._refused[project]
        return True

    def refuse_all(self, refusal: Refusal, project: str, namespace: str) -> None:
        """Take it that the credential is refused, as was told of a project that a namespace asked about."""
        one_more = False
        if self.refusal is not None and not self.refusal.lasts(refusal.since):
            self._tried.clear()
            self._tries = _LATER_TRIES
        elif self.refusal is not None:
            one_more = project not in self._tried and not refusal.locked
        self._tried[project] = namespace
        self._good.pop(project, None)
        if not one_more:  # that another project was tried too makes nobody wait longer
            self.refusal = refusal

    def refuse(self, project: str, refusal: Refusal) -> None:
        """Take it that one project is refused."""
        self._strikes += 1
        self._good.pop(project, None)
        self._refused.pop(project, None)
        if len(self._refused) >= _REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[project] = refusal

    def was_tried(self, project: str) -> None:
        """Count a project that was refused when it was tried to learn more of another's refusal."""
        self._good.pop(project, None)
        self._tried[project] = ""

    def accepted_elsewhere(self, project: str, now: float, within: float = _VOUCHES_FOR) -> str | None:
        """Return the project that the credential was accepted for last, other than that one; None without one."""
        good = {at: other for other, at in self._good.items() if other != project and now - at < within}
        return good[max(good)] if good else None

    @property
    def struck(self) -> bool:
        """True where so many projects were refused in a row that an acceptance of before says little."""
        return self._strikes >= _STRIKES

    def _may_try(self, project: str, namespace: str) -> bool:
        """Return whether a project is one of the few that are tried though the credential was refused."""
        refusal = self.refusal
        if refusal is None or refusal.locked or refusal.reason is not ConnectionReason.UNAUTHORIZED:
            return False
        left = self._tries - len(self._tried)
        if left <= 0 or project in self._tried:
            return False
        return left > 1 or namespace not in self._tried.values()
