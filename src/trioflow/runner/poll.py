"""Polling: which runs of this runner's deployments may be started now, and their claims, the earliest first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, final

from attrs import define, field

from trioflow import clock
from trioflow.core.runs import FlowRun
from trioflow.errors import RunnerIsFull
from trioflow.wire.endpoints import FIND_READY_RUNS
from trioflow.wire.requests import FindReadyRuns

if TYPE_CHECKING:
    from trioflow.runner.claim import Claims

MOST_LEAD_SECONDS = 1.0
"""How long before it is due a run is claimed, at most: its process starts in that time, and waits for the rest."""


@final
@define(eq=False)
class Poll:
    """Looks for work; a full limit stops claiming, not looking (RL-07)."""

    _claims: Claims
    _lead: timedelta
    """How long before it is due a run may be claimed."""
    next_due: datetime | None = field(default=None, init=False)
    """When the first run that was too early at the last look is due."""

    async def turn(self) -> datetime | None:
        """Claim what is due; tells when more will be, if nothing else happens."""
        await self.look()
        if self.next_due is None:
            return None
        early = self.next_due - self._lead
        # What might be claimed already, and was not given out, waits for its turn: until it is due nothing changes.
        return early if early > clock.now() else self.next_due

    async def look(self) -> list[FlowRun]:
        """Those of the runs that are due which are in hand now (RL-09), in the order in which they are due (RL-05).

        Raises:
            StoreError: the database cannot do it; what was claimed before stays claimed.
        """
        request = FindReadyRuns(deployment_ids=self._claims.served.ids, before=clock.now() + self._lead)
        ready = await self._claims.place.client.call(FIND_READY_RUNS, request)
        self.next_due = ready.next_due
        runs = sorted(ready.runs, key=lambda run: run.times.next_scheduled_start or request.before)
        for run_id in dict.fromkeys((*self._claims.unanswered, *(run.id for run in runs))):
            if run_id in self._claims.in_hand:
                continue
            try:
                await self._claims.claim(run_id)
            except RunnerIsFull:
                break  # what comes later must not overtake it
        return [run for run in runs if run.id in self._claims.in_hand]
