"""Orders: somebody with a client asks runs for whatever comes to mind: to pause, go on, end, or begin again."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import final

import trio
from attrs import define

from trioflow import clock
from trioflow.core.runs import FlowRun
from trioflow.core.states import (
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Paused,
    Scheduled,
    State,
    Suspended,
    resumed,
)
from trioflow.errors import RunNotFound
from trioflow.testing.simulation.simulation import Simulation
from trioflow.wire.endpoints import FIND_FLOW_RUNS, PROPOSE_FLOW_RUN_STATE
from trioflow.wire.filters import FlowRunFilter
from trioflow.wire.requests import FindFlowRuns, ProposeFlowRunState

_HOUR = 3600.0
_AMONG = 12
"""So many of the newest runs are what somebody looks at."""
_AT_WORK = 0.7
"""How many orders are for runs that go on, where there are any."""
_PAUSE = timedelta(seconds=60)

_ORDERS: tuple[Callable[[datetime], State], ...] = (
    lambda now: Paused(timeout=now + _PAUSE),
    lambda now: Suspended(timeout=now + _PAUSE),
    Scheduled,
    lambda _: Cancelling(),
    lambda _: Cancelled(),
    lambda _: Completed(),
    lambda _: Failed(),
    lambda _: Crashed(),
)


@final
@define(eq=False)
class Orders:
    """One who gives them."""

    _simulation: Simulation
    _chance: random.Random

    async def give(self, rate: float) -> None:
        """Give an order now and then, so many an hour, until cancelled. Whoever pauses something may resume it."""
        async with trio.open_nursery() as nursery:
            while True:
                await trio.sleep(self._chance.expovariate(rate / _HOUR))
                if runs := await self._runs():
                    run = self._chance.choice(runs)
                    state = self._chance.choice(_ORDERS)(clock.now())
                    await self._order(run, state)
                    nursery.start_soon(self._resume, run, self._chance.uniform(1, 90))

    async def _runs(self) -> list[FlowRun]:
        """Those that go on, or the newest."""
        if (active := await self._simulation.active_runs()) and self._chance.random() < _AT_WORK:
            return active
        which = FlowRunFilter(due_before=clock.now(), roots_only=True, limit=_AMONG)
        found = await self._simulation.client.call(FIND_FLOW_RUNS, FindFlowRuns(filter=which))
        return list(found.runs)

    async def _order(self, run: FlowRun, state: State) -> None:
        self._simulation.journal.line(clock.now(), f"order {run.id.hex[-12:]} to be {state.type}")
        request = ProposeFlowRunState(
            run_id=run.id,
            state=state,
            transition_id=clock.new_id(),
            rerun=self._chance.random() < 0.8,
            force=self._chance.random() < 0.2,
        )
        with suppress(RunNotFound):  # It was only planned, and has been dropped since.
            await self._simulation.client.call(PROPOSE_FLOW_RUN_STATE, request)

    async def _resume(self, run: FlowRun, seconds: float) -> None:
        await trio.sleep(seconds)
        with suppress(RunNotFound):
            now = await self._simulation.run(run.id)
            if (state := resumed(now.state, clock.now())) is not None:
                await self._order(now, state)
