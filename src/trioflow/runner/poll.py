"""Polling: which runs of this runner's deployments may be started now, and their claims, the earliest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, final
from uuid import UUID

import trio
from attrs import define, field

from trioflow import clock
from trioflow.core.runs import FlowRun
from trioflow.errors import RunnerIsFull, StoreError
from trioflow.wire.endpoints import FIND_READY_RUNS
from trioflow.wire.requests import FindReadyRuns

if TYPE_CHECKING:
    from trioflow.runner.claim import Claims
    from trioflow.runner.hand import Hand

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
        waiting = deque(dict.fromkeys((*self._claims.unanswered, *(run.id for run in runs))))
        while hands := list(self._take(waiting)):
            await self._claim(hands)
        return [run for run in runs if run.id in self._claims.in_hand]

    def _take(self, waiting: deque[UUID]) -> Iterator[Hand]:
        """Slots, as long as there are any: nobody overtakes an earlier one (RL-07)."""
        while waiting:
            if waiting[0] not in self._claims.in_hand:
                try:
                    yield self._claims.take_nowait(waiting[0])
                except RunnerIsFull:
                    return
            waiting.popleft()

    async def _claim(self, hands: Iterable[Hand]) -> None:
        """Claim them all at once, so that they share a transaction."""
        errors: list[StoreError] = []
        async with trio.open_nursery() as nursery:
            for hand in hands:
                nursery.start_soon(self._pursue, hand, errors)
        if errors:
            raise errors[0]

    async def _pursue(self, hand: Hand, errors: list[StoreError]) -> None:
        try:
            await self._claims.pursue(hand)
        except StoreError as error:
            errors.append(error)
