"""What the strategies draw is valid, varied, and shrinks to the plain."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from trioflow.core.decisions import Proposal
from trioflow.core.retries import retry_policy
from trioflow.core.runs import NO_RETRIES, FlowRun, RetryPolicy, Run, TaskRun
from trioflow.core.schedules import Schedule
from trioflow.core.states import State, StateType
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Closed, Table
from trioflow.testing.histories import histories
from trioflow.testing.schedule_strategies import instants, schedules
from trioflow.testing.strategies import flow_runs, proposals, retry_policies, states, task_runs
from trioflow.wire.converter import from_json, to_json

HISTORIES = {table.name: histories(table) for table in (FLOW_RUNS, TASK_RUNS)}

both = pytest.mark.parametrize("table", [FLOW_RUNS, TASK_RUNS], ids=lambda table: table.name)


@given(state=states(), flow_run=flow_runs(), task_run=task_runs())
def test_what_is_drawn_can_be_sent_and_read_again(state: State, flow_run: FlowRun, task_run: TaskRun):
    assert from_json(to_json(state), State) == state
    assert from_json(to_json(flow_run), FlowRun) == flow_run
    assert from_json(to_json(task_run), TaskRun) == task_run


@given(policy=retry_policies())
def test_a_policy_that_is_drawn_could_have_been_asked_for(policy: RetryPolicy):
    asked = retry_policy(policy.retries, policy.delays, jitter=policy.jitter, on_crash=policy.on_crash)
    assert asked == policy


@given(proposal=proposals(TASK_RUNS, current=[None, StateType.RUNNING], to=[StateType.FAILED]))
def test_proposals_are_of_the_types_that_were_asked_for(proposal: Proposal):
    current = proposal.run.state
    assert isinstance(proposal.run, TaskRun)
    assert (current.type if current else None, proposal.state.type) in {
        (None, StateType.FAILED),
        (StateType.RUNNING, StateType.FAILED),
    }


def test_they_shrink_to_the_plain():
    assert find(retry_policies(), lambda policy: True) == NO_RETRIES
    assert find(states([StateType.FAILED]), lambda state: True).details.retriable is None
    assert find(flow_runs(), lambda run: True).state is None
    assert [run.version for run in find(HISTORIES["flow runs"], lambda runs: len(runs) >= 2)] == [1, 2]


@both
@settings(max_examples=40)
@given(data=st.data())
def test_a_history_is_one_that_the_table_allows(table: Table, data: st.DataObject):
    runs: tuple[Run, ...] = data.draw(HISTORIES[table.name])

    assert {type(run) for run in runs} <= {FlowRun if table is FLOW_RUNS else TaskRun}
    assert [run.version for run in runs] == list(range(1, len(runs) + 1))
    for before, after in pairwise([None, *runs]):
        row = before.state.type if before else None
        assert not isinstance(table.cell(row, after.state.type), Closed)
        assert after.attempt >= (before.attempt if before else 0)


@settings(max_examples=60)
@given(schedule=schedules(), instant=instants())
def test_a_schedule_fires_within_a_year_in_order(schedule: Schedule, instant: datetime):
    fires = schedule.between(instant, instant + timedelta(days=366), 5)

    assert fires
    assert sorted(set(fires)) == fires
    assert fires[0] > instant
