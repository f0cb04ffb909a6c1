"""Each fire of each schedule has at most one run, whatever is done to schedules, clocks and runs (P5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import trio
from attrs import frozen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.orchestrator.conftest import DEAD, Desk, World
from trioflow import clock
from trioflow.core.deployments import Deployment, DeploymentSchedule, PausedBy
from trioflow.core.leases import Owner
from trioflow.core.runs import FlowRun, RetryPolicy
from trioflow.core.schedules import CronSchedule, IntervalSchedule
from trioflow.core.schedules.identity import schedule_identity
from trioflow.core.schedules.window import LATEST, SKIP, CatchUp, Overlap, last_fires
from trioflow.core.states import Cancelled, Completed, Crashed, Failed, Running, State, StateType
from trioflow.core.verdicts import Accept
from trioflow.orchestrator.desk import DOWNTIME
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.orchestrator.planning import HORIZON
from trioflow.processes import this_process
from trioflow.scheduler.mark_late import mark_late
from trioflow.scheduler.plan_runs import plan_runs
from trioflow.store.deployment_rows import StoredSchedule, schedule_from
from trioflow.store.queries import FLOW_RUNS, SCHEDULES
from trioflow.store.rows import flow_run_from
from trioflow.store.sqlite import open_memory

NAMES = ("a", "b")
kept = st.builds(
    DeploymentSchedule,
    schedule=st.sampled_from(
        [IntervalSchedule(60), IntervalSchedule(45), CronSchedule("*/2 * * * *"), CronSchedule("0 4 * * *")]
    ),
    catch_up=st.sampled_from([SKIP, LATEST, CatchUp(3), CatchUp(1000)]),
    overlap=st.sampled_from(Overlap),
    paused_by=st.sampled_from([None] * 8 + [*PausedBy]),
)
retries = st.sampled_from([RetryPolicy(), RetryPolicy(retries=1, on_crash=True)])
ends = st.sampled_from([Completed(), Failed(), Crashed(), Cancelled()])
names = st.sampled_from(NAMES)
owners = st.sampled_from([this_process(), DEAD])


@frozen
class Books:
    """What the store says of schedules and runs."""

    now: datetime
    schedules: Mapping[str, StoredSchedule]
    runs: Mapping[str, FlowRun]
    """By their fire keys."""

    def of(self, identity: str) -> dict[datetime, FlowRun]:
        """The runs of a schedule, by their fires."""
        return {run.times.expected_start: run for key, run in self.runs.items() if key.startswith(identity)}


def is_planned(run: FlowRun) -> bool:
    return run.state.type is StateType.SCHEDULED and run.epoch == 0


def goes_on(run: FlowRun) -> bool:
    return run.epoch > 0 and not run.state.is_final


class Fires(RuleBasedStateMachine):
    """Two deployments, a scheduler, two runners (one of which is dead, and does not know), and a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.switch = clock.use(self.world)
        self.switch.__enter__()
        self.desk = Desk(Orchestrator(open_memory()))
        self.deployments: dict[str, Deployment] = {}
        self.began: dict[str, UUID] = {}
        """The run that was started for each fire key, ever."""
        self.not_before: dict[str, datetime] = {}
        """When each schedule was made, or resumed: what it left out before is not made up for."""
        self.told: list[UUID] = []
        """Runs that a runner has heard of, some time ago perhaps."""
        self.books = trio.run(self.read)

    def teardown(self) -> None:
        self.switch.__exit__(None, None, None)

    # --- asking

    async def read(self) -> Books:
        store = self.desk.orchestrator.store
        schedules = [schedule_from(row) for row in await store.read(lambda tx: tx.execute(SCHEDULES))]
        fired = f"{FLOW_RUNS} WHERE fire_key IS NOT NULL"
        runs = [flow_run_from(row) for row in await store.read(lambda tx: tx.execute(fired))]
        return Books(
            self.world.at,
            {stored.identity: stored for stored in schedules},
            {run.fire_key: run for run in runs},
        )

    def ask(self, question: Callable[[], Awaitable[Any]], *, afresh: frozenset[str] = frozenset()) -> Any:
        """The answer; and what became of the books is what may become of them."""

        async def asked() -> tuple[Any, Books]:
            answer = await question()
            return answer, await self.read()

        before = self.books
        answer, self.books = trio.run(asked)
        for identity in (self.books.schedules.keys() - before.schedules.keys()) | afresh:
            self.not_before[identity] = self.world.at
        self.compare(before, self.books)
        return answer

    def compare(self, before: Books, after: Books) -> None:
        for key, run in after.runs.items():
            identity = key.partition("@")[0]
            if key not in before.runs:
                assert run.times.expected_start > self.not_before[identity], "made up for a pause"
        for identity, stored in after.schedules.items():
            old = before.schedules.get(identity)
            if old and old.looked and stored.looked != old.looked and not stored.kept.paused_by:
                self.check_catch_up(old, before, after)

    def check_catch_up(self, old: StoredSchedule, before: Books, after: Books) -> None:
        """What was due since the last look is planned as far as the policy says, and no further."""
        if old.kept.paused_by or after.now <= old.looked:
            return
        policy = after.schedules[old.identity].kept
        away = after.now - old.looked > DOWNTIME
        limit = policy.catch_up.limit if away else 1000
        owed = set(last_fires(policy.schedule, old.looked, after.now, limit))
        begun = {fire for fire, run in before.of(old.identity).items() if not is_planned(run)}
        planned = {
            fire
            for fire, run in after.of(old.identity).items()
            if old.looked < fire <= after.now and fire not in begun
        }
        assert planned == owed - begun

    # --- deployments

    @rule(name=names, schedules=st.lists(kept, min_size=1, max_size=3), retry=retries)
    def apply(self, name: str, schedules: list[DeploymentSchedule], retry: RetryPolicy) -> None:
        self.deployments[name] = self.ask(lambda: self.desk.deploy(*schedules, name=name, retry=retry))

    @initialize(schedules=st.lists(kept, min_size=1, max_size=3))
    def begin(self, schedules: list[DeploymentSchedule]) -> None:
        self.apply("a", schedules, RetryPolicy())

    @precondition(lambda self: self.deployments)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.deployments)))
        self.ask(lambda: self.desk.delete(self.deployments[name]))
        del self.deployments[name]

    @rule(name=names, by=st.sampled_from(PausedBy))
    def pause(self, name: str, by: PausedBy) -> None:
        self.with_deployment(name, lambda deployment: self.desk.pause(deployment, by))

    @rule(name=names, by=st.sampled_from(PausedBy))
    def resume(self, name: str, by: PausedBy) -> None:
        mine = {by, PausedBy.RUNNER} if by is PausedBy.OPERATOR else {by}
        deployment = self.deployments.get(name)
        resumed = frozenset(
            identity
            for identity, stored in self.books.schedules.items()
            if deployment and stored.deployment_id == deployment.id and stored.kept.paused_by in mine
        )
        self.with_deployment(name, lambda deployment: self.desk.resume(deployment, by), afresh=resumed)

    @rule(name=names, by=st.sampled_from(PausedBy), seconds=st.integers(30, 600))
    def leave_out_a_while(self, name: str, by: PausedBy, seconds: int) -> None:
        self.pause(name, by)
        self.world.forward(seconds=seconds)
        self.resume(name, by)

    def with_deployment(
        self,
        name: str,
        do: Callable[[Deployment], Awaitable[Any]],
        *,
        afresh: frozenset[str] = frozenset(),
    ) -> None:
        if name in self.deployments:
            self.ask(lambda: do(self.deployments[name]), afresh=afresh)

    # --- time

    @rule(seconds=st.integers(1, 59))
    def wait(self, seconds: int) -> None:
        self.world.forward(seconds=seconds)

    @rule(seconds=st.integers(60, 7200))
    def jump(self, seconds: int) -> None:
        self.world.forward(seconds=seconds)

    @rule(seconds=st.integers(1, 3600))
    def set_back(self, seconds: int) -> None:
        self.world.forward(seconds=-seconds)

    @rule()
    def look(self) -> None:
        async def work() -> None:
            while await self.desk.orchestrator.transact(plan_runs):
                pass
            await self.desk.orchestrator.transact(mark_late)

        self.ask(work)
        for identity, stored in self.books.schedules.items():
            if stored.kept.paused_by is None:
                after = max(stored.looked, self.world.at)
                due = stored.kept.schedule.next_after(after)
                assert due in self.books.of(identity) or due > self.world.at + HORIZON / 2

    # --- runners

    @rule(owner=owners)
    def start_what_is_ready(self, owner: Owner) -> None:
        ready = self.ask(lambda: self.desk.ready(*self.deployments.values(), within=1)).runs
        self.told += [run.id for run in ready]
        for run in ready[:3]:
            self.claim(run.id, owner)

    @rule(owner=owners, times=st.integers(1, 6))
    def go_about_it(self, owner: Owner, times: int) -> None:
        """A while in which nothing is out of the ordinary."""
        for _ in range(times):
            self.wait(30)
            self.look()
            self.start_what_is_ready(owner)

    @precondition(lambda self: any(map(is_planned, self.books.runs.values())))
    @rule(data=st.data(), owner=owners)
    def claim_late_or_too_early(self, data: st.DataObject, owner: Owner) -> None:
        self.claim(self.draw(data, lambda run: run.id in self.told or is_planned(run)).id, owner)

    def claim(self, run_id: UUID, owner: Owner) -> None:
        (run,) = [run for run in self.books.runs.values() if run.id == run_id] or [None]
        before = self.books
        answer = self.ask(lambda: self.desk.claim(run_id, owner))
        if run is None or not isinstance(answer.verdict, Accept):
            return
        self.check_turn(before, run)
        assert self.began.setdefault(run.fire_key, run_id) == run_id, "a fire was run twice"

    def check_turn(self, before: Books, run: FlowRun) -> None:
        identity = run.fire_key.partition("@")[0]
        stored = before.schedules.get(identity)
        if run.epoch == 0 and stored and stored.kept.overlap is not Overlap.ALLOW:
            rivals = [other.id for other in self.books.of(identity).values() if goes_on(other)]
            assert rivals == [run.id]

    @precondition(lambda self: any(map(goes_on, self.books.runs.values())))
    @rule(data=st.data(), state=st.just(Running()) | ends)
    def go_on(self, data: st.DataObject, state: State) -> None:
        run = self.draw(data, goes_on)
        if state.is_final and data.draw(st.booleans()):
            self.ask(lambda: self.desk.close(run, state))
        else:
            self.ask(lambda: self.desk.propose(run.id, state, epoch=run.epoch))

    @rule()
    def reap(self) -> None:
        orchestrator = self.desk.orchestrator
        self.ask(lambda: orchestrator.store.transact(orchestrator._reap_the_dead))

    def draw(self, data: st.DataObject, which: Callable[[FlowRun], bool]) -> FlowRun:
        found = sorted(filter(which, self.books.runs.values()), key=lambda run: run.fire_key)
        return found[data.draw(st.integers(0, len(found) - 1))]

    # --- always

    @invariant()
    def nothing_is_planned_for_what_does_not_fire(self) -> None:
        fires = {key for key, stored in self.books.schedules.items() if stored.kept.paused_by is None}
        planned = {key.partition("@")[0] for key, run in self.books.runs.items() if is_planned(run)}
        assert planned <= fires

    @invariant()
    def every_run_is_at_a_fire_of_its_schedule(self) -> None:
        for identity, stored in self.books.schedules.items():
            for fire in self.books.of(identity):
                assert stored.kept.schedule.next_after(fire - timedelta(microseconds=1)) == fire
            same = schedule_identity("audit", self.name_of(stored), stored.kept.schedule)
            assert identity == same

    def name_of(self, stored: StoredSchedule) -> str:
        return next(name for name, each in self.deployments.items() if each.id == stored.deployment_id)


@pytest.mark.promise("P5")
def test_each_fire_is_run_at_most_once_and_as_its_schedule_says() -> None:
    run_state_machine_as_test(
        Fires, settings=settings(max_examples=50, stateful_step_count=25, deadline=None)
    )


@pytest.mark.nightly
@pytest.mark.promise("P5")
def test_each_fire_is_run_at_most_once_however_long_one_looks_for_a_counterexample() -> None:
    run_state_machine_as_test(
        Fires, settings=settings(max_examples=2000, stateful_step_count=60, deadline=None)
    )
