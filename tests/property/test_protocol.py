"""Claim, lease, cancel and slots: every state that the production code can get into is safe, and none is wedged."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime

import pytest
from attrs import evolve

from tests.property.model.exploring import Explorer, Report
from tests.property.model.judged import FLOW_RUN, TAG, TASK_RUN, Asked, Judge, Kind
from tests.property.model.protocol import Protocol, Scope
from trioflow.core.leases import state_after_reaping
from trioflow.core.runs import FlowRun
from trioflow.core.states import State, StateType
from trioflow.core.tables import FLOW_RUNS, OK, walk
from trioflow.orchestrator import endings
from trioflow.orchestrator.desk import Desk

ONE_RUN = Scope(runs=1, runners=2, claims=3)
TWO_RUNS = Scope(runs=2, runners=1, claims=1)
LARGE = [
    Scope(runs=2, runners=2, claims=1, retries=False),
    Scope(runs=1, runners=2, claims=2, copies=True),
    Scope(runs=2, runners=1, claims=2),
    Scope(runs=2, runners=1, claims=1, copies=True),
]
TINY = Scope(runs=1, runners=2, claims=1, lost_answers=False)
SMALL = Scope(runs=2, runners=2, claims=1, retries=False, lost_answers=False)

ENOUGH = 500_000
"""Transitions, to find any of the planted faults."""

HAPPENS = {
    *("claim", "claim, answer lost,", "propose", "begin task", "propose task", "close", "end lease"),
    *("takes up", "read how it stands", "awake", "end well", "end badly", "notice the cancel"),
    *("dies", "child dies", "lapse", "renew", "reap", "cancel"),
}
"""What must be among the steps, or nothing is shown."""


def explored(scope: Scope, judge: Judge | None = None, most: int | None = None) -> Report:
    report = Explorer(Protocol(scope, judge), most).explore()
    sys.stdout.write(f"\n{scope}\n{report}\n")  # the figures: `-s` shows them
    return report


def kinds_of_steps(labels: Mapping[str, int]) -> set[str]:
    """The labels without whose step it was, and of which run."""
    return {label.partition(": ")[2].rpartition(" ")[0] or label.rpartition(" ")[0] for label in labels}


@pytest.mark.promise("P3", "P5", "P13")
def test_a_million_transitions_of_the_real_protocol_lead_nowhere_unsafe_and_to_no_end_but_the_right_one():
    reports = [explored(ONE_RUN), explored(TWO_RUNS)]

    assert [(report.unsafe, report.wedged) for report in reports] == [(None, 0), (None, 0)]
    assert sum(report.transitions for report in reports) >= 1_000_000
    assert kinds_of_steps(reports[0].labels) >= HAPPENS


@pytest.mark.nightly
@pytest.mark.promise("P3", "P5", "P13")
@pytest.mark.parametrize("scope", LARGE, ids=str)
def test_many_million_transitions_of_the_real_protocol_lead_nowhere_wrong_either(scope: Scope):
    report = explored(scope)

    assert (report.unsafe, report.wedged) == (None, 0)
    assert report.transitions >= 4_000_000


# --- planted faults


class NoFence(Judge):
    """An owner of the past is heard."""

    def answer(self, desk, asked: Asked):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(walk, "_fenced_off", lambda proposal: None)
            return super().answer(desk, asked)


class NoLeaseCheck(Judge):
    """A claim does not ask whether somebody has the lease."""

    def answer(self, desk, asked: Asked):
        if asked.kind is Kind.CLAIM:
            desk.end_lease(FLOW_RUN)
        return super().answer(desk, asked)


class NoNewEpoch(Judge):
    """A claim and a reaping leave the epoch as it was."""

    def answer(self, desk, asked: Asked):
        epoch = desk.flow_runs[FLOW_RUN].epoch or 1
        verdict, _ = super().answer(desk, asked)
        if asked.kind in {Kind.CLAIM, Kind.REAP}:
            desk.flow_runs[FLOW_RUN] = evolve(desk.flow_runs[FLOW_RUN], epoch=epoch)
            desk.leases.update({id_: evolve(lease, epoch=epoch) for id_, lease in desk.leases.items()})
        return verdict, desk.flow_runs[FLOW_RUN].epoch


class NoLease(Judge):
    """A claim grants nothing: who owned the run cannot be told when he dies."""

    def answer(self, desk, asked: Asked):
        answered = super().answer(desk, asked)
        if asked.kind is Kind.CLAIM:
            desk.leases.clear()
        return answered


class NoMemory(Judge):
    """A request that is repeated is judged anew."""

    def answer(self, desk, asked: Asked):
        desk.answered.clear()
        return super().answer(desk, asked)


class SlotLeak(Judge):
    """A slot outlives the lease that it was taken under."""

    def answer(self, desk, asked: Asked):
        held = TASK_RUN in desk.holders[TAG]
        answered = super().answer(desk, asked)
        if asked.kind is Kind.REAP and held:
            desk.holders[TAG][TASK_RUN] = FLOW_RUN
        return answered


class NoLimit(Judge):
    """Whoever counts the slots counts one too few."""

    def desk(self, part, others):
        desk = super().desk(part, others)
        desk.limits[TAG] += 1
        return desk


class CancelUndone(Judge):
    """Code that ends well undoes the cancelling."""

    def desk(self, part, others):
        return opened(super().desk(part, others), StateType.CANCELLING, StateType.COMPLETED)


class CancelLost(Judge):
    """The reaper does not end what was being cancelled."""

    def answer(self, desk, asked: Asked):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(endings, "state_after_reaping", self.state_after_reaping)
            return super().answer(desk, asked)

    @staticmethod
    def state_after_reaping(run: FlowRun, now: datetime) -> State | None:
        return None if run.state.type is StateType.CANCELLING else state_after_reaping(run, now)


class LeftEnd(Judge):
    """What is over can be cancelled."""

    def desk(self, part, others):
        return opened(super().desk(part, others), StateType.COMPLETED, StateType.CANCELLING)


def opened(desk: Desk, from_: StateType, to: StateType) -> Desk:
    desk.flow_table = evolve(FLOW_RUNS, cells={**FLOW_RUNS.cells, (from_, to): OK})
    return desk


class CancelMissed(Judge):
    """Whoever lets go of a run does not see that it was cancelled a moment ago."""

    def answer(self, desk, asked: Asked):
        lease = desk.leases.get(FLOW_RUN)
        if asked.kind is Kind.LEAVE and lease is not None and lease.epoch == asked.epoch:
            desk.end_lease(FLOW_RUN)
        return super().answer(desk, asked)


@pytest.mark.parametrize(
    ("judge", "scope", "why", "steps"),
    [
        (NoFence, ONE_RUN, "an owner of epoch 1 changed a run of epoch 2", 5),
        (NoLeaseCheck, ONE_RUN, "a run was taken from an owner whose lease had not lapsed", 9),
        (NoNewEpoch, SMALL, "two runners drive one run in one epoch", 5),
        (NoMemory, ONE_RUN, "a task runs without a slot", 9),
        (SlotLeak, SMALL, "a slot is held without a lease", 6),
        (NoLimit, SMALL, "two tasks hold the one slot", 8),
        (CancelUndone, SMALL, "a run that was to be cancelled is COMPLETED", 8),
        (LeftEnd, SMALL, "COMPLETED was left for CANCELLING", 8),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_a_planted_fault_is_found_with_the_shortest_way_to_it(
    judge: type[Judge], scope: Scope, why: str, steps: int
):
    found = explored(scope, judge(), ENOUGH).unsafe

    assert found is not None
    assert (found.why, len(found.steps)) == (why, steps), found.steps


@pytest.mark.parametrize(("judge", "steps"), [(NoLease, 3), (CancelLost, 4), (CancelMissed, 10)])
def test_a_planted_fault_that_leaves_a_run_halfway_is_found_with_the_shortest_way_to_it(
    judge: type[Judge], steps: int
):
    report = explored(TINY, judge(), ENOUGH)

    assert (report.unsafe, report.wedged > 0) == (None, True)
    assert len(report.example.steps) == steps, report.example.steps
