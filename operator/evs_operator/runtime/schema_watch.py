"""Checks once a minute whether the installed CRDs know all fields of this operator; `/readyz` says so.

Started by the supervisor. A CRD may be replaced by an older one while the operator runs, by a Helm release or by an
Argo CD application of another version: statuses are refused from then on, or lose fields without a word.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from evs_operator.kube.api import KubeApi, KubeError
from evs_operator.kube.schema import in_words, missing_fields
from evs_operator.observe.wording import Ours

_EVERY: Final = 60.0

_log = logging.getLogger(__name__)


class SchemaWatch:
    """`problem` is what is missing, on one line, "" if nothing is known to be."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self.problem = ""

    async def run(self) -> None:
        """Check every minute until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY)

    async def look(self) -> None:
        """Check once; if it cannot be found out, the problem stays as it is."""
        try:
            missing = await missing_fields(self._api)
        except KubeError:
            return  # whoever has something to write says that
        except Exception:  # noqa: BLE001  # the next look may go better
            _log.exception("could not compare the fields of the CRDs")
            return
        problem = in_words(missing or {})
        if problem and problem != self.problem:
            _log.warning("%s", Ours(problem))
        self.problem = problem
