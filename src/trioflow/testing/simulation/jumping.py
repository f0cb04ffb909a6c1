"""Virtual time: it stands still while anybody can go on, and jumps to the next deadline when nobody can."""

from __future__ import annotations

from math import inf
from typing import Any, final

import trio
from attrs import define
from trio.testing import MockClock

from trioflow.errors import SimulationError
from trioflow.testing.simulation.places import waiting
from trioflow.testing.simulation.scheduling import private_trio

_PATIENCE = 100
"""Times that the loop goes round with nobody who could go on, and no deadline."""


@final
@define(eq=False)
class VirtualTime:
    """Trio's virtual time, which ends the `trio.run` when everybody waits for ever."""

    error: SimulationError | None = None
    """Why it has."""
    _now: float = 0.0
    _idle: int = 0

    def clock(self) -> MockClock:
        """The clock for the `trio.run`. Trio takes no virtual clock but its own, which nothing can be derived from."""
        clock: Any = MockClock(autojump_threshold=0)
        clock.current_time = lambda: self._now
        clock._autojump = self._jump
        mock: MockClock = clock
        return mock

    def _jump(self) -> None:
        runner: Any = private_trio().GLOBAL_RUN_CONTEXT.runner
        next_one = runner.deadlines.next_deadline()
        if self._now < next_one < inf:
            self._idle = 0
            self._now = next_one
            return
        self._idle += 1
        if self._idle > _PATIENCE:
            tasks = "\n  ".join(waiting(trio.lowlevel.current_root_task()))
            self.error = SimulationError(f"everybody waits, and nobody for an instant:\n  {tasks}")
            raise self.error
