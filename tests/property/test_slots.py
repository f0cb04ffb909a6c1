"""Concurrency slots as the decisions' effects move them: none is lost, none is given twice (LM-03, P3)."""

from __future__ import annotations

from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from trioflow.core.bookkeeping import HOLD_SLOTS
from trioflow.core.decisions import Facts, Proposal, ReleaseSlots, TagLimit, TakeSlots
from trioflow.core.runs import FlowRun, RetryPolicy, TaskRun
from trioflow.core.states import (
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Paused,
    Running,
    State,
    StateType,
    Suspended,
)
from trioflow.core.tables import TASK_RUNS, decide
from trioflow.core.verdicts import Abort, Accept, Verdict, Wait
from trioflow.testing.pools import FLOW, NOW

TAGS = ("a", "b")
TASKS = tuple(UUID(int=100 + n) for n in range(4))
ENDS = (Completed(), Failed(), Crashed(), Cancelled(), Cancelling())

tasks = st.sampled_from(TASKS)


class Slots(RuleBasedStateMachine):
    """Four tasks of one flow, two tags with limits, and a store that does what the effects say."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = {"a": 1, "b": 2}
        self.holders: dict[str, set[UUID]] = {tag: set() for tag in TAGS}
        self.flow = FlowRun(id=FLOW, flow_id=FLOW, name="flow", root_id=FLOW, state=Running(), attempt=1)
        self.runs = {
            task: self._task(task, tags) for task, tags in zip(TASKS, ("a", "b", "ab", ""), strict=True)
        }
        self.transitions = 0

    @staticmethod
    def _task(task: UUID, tags: str) -> TaskRun:
        retry = RetryPolicy(retries=2)
        return TaskRun(
            id=task,
            task_key="t",
            dynamic_key="0",
            name="t",
            flow_run_id=FLOW,
            tags=frozenset(tags),
            retry=retry,
        )

    def propose(self, task: UUID, state: State) -> Verdict:
        self.transitions += 1
        limits = tuple(
            TagLimit(tag=tag, limit=self.limits[tag], holders=frozenset(self.holders[tag])) for tag in TAGS
        )
        proposal = Proposal(
            run=self.runs[task],
            state=state,
            now=NOW,
            transition_id=UUID(int=self.transitions),
            facts=Facts(parent=self.flow, limits=limits),
        )
        decision = decide(TASK_RUNS, proposal)
        for effect in decision.effects:
            match effect:
                case TakeSlots(tags):
                    for tag in tags:
                        assert len(self.holders[tag]) < self.limits[tag]
                        self.holders[tag].add(task)
                case ReleaseSlots():
                    for held in self.holders.values():
                        held.discard(task)
                case _:
                    pass
        self.runs[task] = decision.run or self.runs[task]
        return decision.verdict

    @rule(task=tasks)
    def start(self, task: UUID) -> None:
        verdict = self.propose(task, Running())
        held = {tag for tag in TAGS if task in self.holders[tag]}
        match verdict:
            case Accept():
                assert held == self.runs[task].tags
            case Wait():
                others = [self.holders[tag] - {task} for tag in self.runs[task].tags]
                assert any(others), "a run waits for itself"
            case Abort(reason) if "limit" in reason:
                assert 0 in {self.limits[tag] for tag in self.runs[task].tags}
            case _:
                pass

    @rule(task=tasks, state=st.sampled_from(ENDS))
    def end(self, task: UUID, state: State) -> None:
        self.propose(task, state)

    @precondition(lambda self: self.flow.state.type is not StateType.RUNNING)
    @rule()
    def go_on(self) -> None:
        self.flow = evolve(self.flow, state=Running())

    @rule(state=st.sampled_from([Paused(), Suspended()]))
    def pause_the_flow(self, state: State) -> None:
        self.flow = evolve(self.flow, state=state)

    @rule()
    def retry_the_flow(self) -> None:
        self.flow = evolve(self.flow, state=Running(), attempt=self.flow.attempt + 1)

    @rule(tag=st.sampled_from(TAGS), limit=st.integers(0, 3))
    def change_a_limit(self, tag: str, limit: int) -> None:
        self.limits[tag] = max(limit, len(self.holders[tag]))

    @invariant()
    def no_limit_is_exceeded(self) -> None:
        assert all(len(self.holders[tag]) <= self.limits[tag] for tag in TAGS)

    @invariant()
    def only_a_task_at_work_holds_slots(self) -> None:
        for tag, held in self.holders.items():
            for task in held:
                assert self.runs[task].state.type in HOLD_SLOTS
                assert tag in self.runs[task].tags

    def teardown(self) -> None:
        for task in TASKS:
            self.propose(task, Cancelled())
        assert self.holders == {tag: set() for tag in TAGS}


@pytest.mark.promise("P3")
@pytest.mark.behaviour("LM-01", "LM-03", "OR-12")
def test_slots_stay_within_their_limits_and_come_back_on_every_path() -> None:
    run_state_machine_as_test(Slots)
