"""Served: a scenario that runners serve, so that what is interrupted is a runner, a run's process, or their store.

Theory of operation. Each trial is a simulation (`trioflow.testing.simulation`) of two runners and one run, in which
one thing is done at one step, and which then goes on until all is over; its oracle looks at each commit. Steps are
counted from when the run is asked for until it is over, those of the runners and of the run's process. Killed is the
process that takes the step: a runner, with the run's process under it, or that process alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from math import inf
from typing import Any, final

import trio
from attrs import define, field, frozen

from trioflow.core.leases import GRACE_SECONDS, LEASE_SECONDS
from trioflow.core.states import State, StateType
from trioflow.deployments.deployment import FlowDeployment
from trioflow.errors import SimulationFailed
from trioflow.store.store import Tx
from trioflow.testing.everywhere.points import (
    NOWHERE,
    Point,
    Side,
    Site,
    running_frames,
    site_of,
    waiting_frames,
)
from trioflow.testing.everywhere.recovery import Ends, ends_of
from trioflow.testing.everywhere.trial import Deed, Outcome
from trioflow.testing.faults.store import SOUND, Kind, StoreFault, fail_call
from trioflow.testing.simulation.machine import Process, process_of
from trioflow.testing.simulation.scheduling import frozen_heap
from trioflow.testing.simulation.simulate import Stage
from trioflow.testing.simulation.simulation import Simulation
from trioflow.testing.simulation.terms import Terms

_LASTS = timedelta(minutes=4)
"""For how long schedules would fire; the run has to be over by then."""
_GIVEN_UP_AT = _LASTS.total_seconds() - 1
_ASKED_AT = 20.0
"""The second in which the run is asked for: the runners are at rest."""
_QUERY_SECONDS = 60.0
_ENDS: Mapping[Deed, tuple[StateType | None, float]] = {
    Deed.CANCEL: (StateType.CANCELLED, GRACE_SECONDS + 2.0),
    Deed.REQUEST: (StateType.CANCELLED, GRACE_SECONDS + 2.0),
    Deed.KILL: (StateType.CRASHED, LEASE_SECONDS + 5.0),
    Deed.FAIL: (None, 0.0),
}
"""How a run may end that does not end as usual, and within how many seconds (P1, P2)."""


@final
@frozen(kw_only=True, eq=False)
class Served:
    """One run of a deployment, which two runners on one host serve."""

    deployment: FlowDeployment
    parameters: Mapping[str, Any] = field(factory=dict[str, Any])
    limits: Mapping[str, int] = field(factory=dict[str, int])
    """Concurrency limits, by tag."""
    every: int = 1
    """Each so-manieth step, or call of the store, is tried: 1 is all of them."""

    @property
    def __name__(self) -> str:
        return f"served_{self.deployment.flow_name}"


@final
@define(eq=False)
class ServedStage:
    """Where the trials of a served scenario take place; see `trioflow.testing.everywhere.staging.Stage`."""

    scenario: Served

    @contextmanager
    def set_up(self) -> Generator[ServedStage]:
        """Each trial brings what it needs, and leaves garbage behind; that alone is looked for."""
        with frozen_heap():
            yield self

    def sides(self, deed: Deed) -> tuple[Side, ...]:
        """Which sides of a step matter: a kill is after one, as is a request, which comes from elsewhere."""
        return ("after", "before") if deed in (Deed.CANCEL, Deed.FAIL) else ("after",)

    def tried(self, deed: Deed, point: Point | None, expected: Ends) -> Outcome:
        """What came of one trial.

        Raises:
            SimulationError: it used what is no part of the virtual world, or did not end.
        """
        trial = _ServedTrial(self.scenario, deed, point, frozenset(expected.values()))
        stage = Stage(self._terms(trial), None)
        stage.store_plan = trial.planned
        trial.stage = stage
        with stage.set_up():
            try:
                trio.run(stage.play, clock=stage.time.clock(), instruments=[stage.steps, trial])
            except BaseException as error:
                told = stage.told(error)
                if not isinstance(told, SimulationFailed):
                    raise told from error
                trial.wrong.append(str(told).partition("\n")[0])
        return trial.outcome()

    def _terms(self, trial: _ServedTrial) -> Terms:
        return Terms(
            deployments=(self.scenario.deployment,),
            duration=_LASTS,
            runners=2,
            query_seconds=_QUERY_SECONDS,
            limits=self.scenario.limits,
            script=trial.script,
            flows_may_fail=trial.deed is not Deed.NOTHING,
            flows_may_wait=trial.deed is not Deed.NOTHING,
        )


@final
class _ServedTrial(trio.abc.Instrument):
    """One simulation, with one thing done to it."""

    def __init__(
        self, scenario: Served, deed: Deed, point: Point | None, expected: frozenset[tuple[str, StateType]]
    ) -> None:
        self.scenario, self.deed, self.point, self.expected = scenario, deed, point, expected
        self.stage: Stage | None = None
        self.wrong: list[str] = []
        self.ends: Ends = {}
        self._simulation: Simulation | None = None
        self._counts = False
        self._started = self._steps = self._calls = 0
        self._sites: list[Site] = []
        self._where, self._acted, self._at = NOWHERE, False, 0.0
        self._asked = trio.Event()

    # --- the scenario

    async def script(self, simulation: Simulation) -> None:
        """Ask for the run, and see how it ends."""
        self._simulation = simulation
        await trio.sleep_until(_ASKED_AT)
        self._counts = True
        run_id = await simulation.submit(self.scenario.deployment.full_name, self.scenario.parameters)
        ends: list[State] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._operate, run_id)
            if self.deed is not Deed.NOTHING:
                # Whether it is over later is looked at when all faults are; by itself it has to end in time.
                nursery.cancel_scope.deadline = _GIVEN_UP_AT
            ends.append(await simulation.wait_final(run_id))
            nursery.cancel_scope.cancel()
        self._counts = False
        for state in ends:
            self.wrong += self._judged(simulation, state)
            self.ends = simulation.database.look(ends_of)

    async def _operate(self, run_id: Any) -> None:
        await self._asked.wait()
        assert self._simulation is not None  # noqa: S101 - the script began with it
        await self._simulation.cancel(run_id)

    def _judged(self, simulation: Simulation, state: State) -> list[str]:
        """What is wrong with how the run has ended."""
        was_asked = self.deed is Deed.REQUEST and simulation.database.look(_was_cancelled)
        if state.type in {type_ for _, type_ in self.expected} and not was_asked:
            return []
        ends, most = _ENDS.get(self.deed, (state.type, inf))
        if state.type is not ends:
            return [f"the run is {state}"]
        took = trio.current_time() - self._at
        return [f"it took {took:.1f} s until the run was {state.name}"] if took > most else []

    # --- steps

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """See `trio.abc.Instrument`."""
        if self._counts and (process := process_of(task)) is not None and not process.is_dead:
            self._started += 1
            self._reached("before", self._started, task, process)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """See `trio.abc.Instrument`."""
        if self._counts and (process := process_of(task)) is not None and not process.is_dead:
            self._steps += 1
            if self.deed is Deed.NOTHING:
                self._sites.append(site_of(waiting_frames(task.coro)))
            self._reached("after", self._steps, task, process)

    def _reached(self, side: Side, number: int, task: trio.lowlevel.Task, process: Process) -> None:
        if (
            self.point is None
            or self.deed is Deed.FAIL
            or (self.point.side, self.point.number) != (side, number)
        ):
            return
        self._note(site_of(waiting_frames(task.coro)))
        match self.deed:
            case Deed.KILL:
                process.machine.kill(process)
            case Deed.CANCEL:
                (process.parent or process).scope.cancel("its host ends")
            case _:
                self._asked.set()

    def planned(self, _: int, kind: Kind) -> StoreFault:
        """What goes wrong with a call of a runner's store."""
        if not self._counts:
            return SOUND
        self._calls += 1
        if self.deed is not Deed.FAIL or self.point is None:
            return SOUND
        fault = fail_call(self.point.number, self.point.side)(self._calls, kind)
        if fault is not SOUND:
            self._note(site_of(running_frames(inspect.currentframe())))
        return fault

    def _note(self, where: Site) -> None:
        self._where, self._acted, self._at = where, True, trio.current_time()

    def outcome(self) -> Outcome:
        """What came of it."""
        return Outcome(
            steps=self._steps,
            calls=self._calls,
            sites=tuple(self._sites),
            where=self._where,
            acted=self._acted,
            asked=frozenset(),
            raised=(),
            returned=False,
            seconds=0.0,
            ends=self.ends,
            wrong=tuple(self.wrong),
        )


def _was_cancelled(tx: Tx) -> bool:
    """Whether it was asked to end before it was over."""
    return bool(tx.execute("SELECT 1 FROM states WHERE is_flow_run AND type IN ('CANCELLING', 'CANCELLED')"))
