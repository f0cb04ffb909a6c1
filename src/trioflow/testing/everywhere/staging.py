"""Staging: what must be in place around each trial, so that it goes the same way each time and never hangs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import final

import trio
import trio.testing
from attrs import define, evolve, field

from trioflow import clock
from trioflow.engine.blocking import use_portal
from trioflow.errors import ScenarioUnfit
from trioflow.settings import current_settings, use_settings
from trioflow.testing.everywhere.points import Point, Side
from trioflow.testing.everywhere.recovery import Ends
from trioflow.testing.everywhere.trial import Deed, Outcome, Scenario, Trial
from trioflow.testing.simulation.baton import BatonPortal
from trioflow.testing.simulation.realities import Realities
from trioflow.testing.simulation.scheduling import Order, Strategy, ordered
from trioflow.testing.simulation.threads import InlineThreads, inline_threads
from trioflow.testing.simulation.virtual import VirtualWorld
from trioflow.testing.simulation.watchdog import Watchdog

_START = datetime(2026, 1, 1, tzinfo=UTC)
_PATIENCE_SECONDS = 10.0
"""Real seconds that one step may take."""


def scenario_name(scenario: object) -> str:
    """What the scenario is called."""
    return getattr(scenario, "__name__", type(scenario).__name__)


@final
@define(eq=False)
class Stage:
    """Where the trials of one scenario take place, one after the other."""

    scenario: Scenario
    _order: Order = field(init=False)
    _watchdog: Watchdog = field(init=False)
    _trial: Trial | None = field(default=None, init=False)
    _trials: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._order = Order(Strategy.FIFO, _world().stream("order"))
        self._watchdog = Watchdog(_PATIENCE_SECONDS, self._progress)

    @contextmanager
    def set_up(self) -> Generator[Stage]:
        """Within the block, there is a home of its own, and Trio takes tasks in the order of their making.

        Raises:
            SimulationError: the scenario kept the loop for too long, in real time.
        """
        with ExitStack() as stack:
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="trioflow-"))
            stack.enter_context(use_settings(evolve(current_settings(), home=Path(home))))
            stack.enter_context(self._watchdog.watching())
            stack.enter_context(ordered(self._order))
            yield self

    def sides(self, _: Deed) -> tuple[Side, ...]:
        """Which sides of a step matter."""
        return ("after", "before")

    def tried(self, deed: Deed, point: Point | None, expected: Ends) -> Outcome:
        """What came of one trial.

        Raises:
            ScenarioUnfit: it never ended.
            SimulationError: it used what is no part of the virtual world.
        """
        realities, world = Realities(), _world()
        trial = self._trial = Trial(self.scenario, deed, point, expected, realities)
        self._trials += 1
        self._order.keep = partial(self._abandon, trial)
        portal = BatonPortal(realities, _PATIENCE_SECONDS)
        threads = InlineThreads(world.stream("threads"))
        with ExitStack() as stack:
            stack.enter_context(clock.use(world))
            stack.enter_context(use_portal(portal))
            stack.enter_context(portal.from_thread())
            stack.enter_context(inline_threads(threads))
            stack.enter_context(realities.kept_out([sys.modules[self.scenario.__module__]]))
            try:
                outcome = trio.run(trial.main, clock=trio.testing.MockClock(autojump_threshold=0))
            except BaseException as error:
                raise self._told(error, trial) from error
        if realities.error is not None:
            raise realities.error
        if trial.endless is not None:
            raise self._endless(trial)
        return outcome

    def _told(self, error: BaseException, trial: Trial) -> BaseException:
        if self._watchdog.error is not None:
            return self._watchdog.error
        return self._endless(trial) if isinstance(error, trio.TrioInternalError) and trial.endless else error

    def _endless(self, trial: Trial) -> ScenarioUnfit:
        done = "" if trial.point is None else f", {trial.deed.value} {trial.point},"
        stubborn = ", and heeds no cancellation" if trial.is_hopeless else ""
        return ScenarioUnfit(f"{scenario_name(self.scenario)}{done} never ends: {trial.endless}{stubborn}")

    def _progress(self) -> int:
        return self._trials + (self._trial.steps if self._trial is not None else 0)

    def _abandon(self, trial: Trial, _: object) -> None:
        """Called between steps: the only place from which a scenario that heeds nothing can be left."""
        if trial.is_beyond_hope:
            raise self._endless(trial)


def _world() -> VirtualWorld:
    return VirtualWorld(_START, "everywhere")
