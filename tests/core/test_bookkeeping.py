"""What is written down, and what goes with it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve

from tests.core.asking import BEFORE, FLOW, NOW, RESULT, TASK, ask, flow_run, in_flow, task_run, written
from trioflow.core.decisions import EndLease, MirrorToParent, ReleaseSlots, RememberResult
from trioflow.core.runs import RunTimes
from trioflow.core.states import (
    AwaitingRetry,
    Cancelling,
    Completed,
    Failed,
    Paused,
    Pending,
    Running,
    Scheduled,
)
from trioflow.core.verdicts import Accept

LATER = NOW + timedelta(seconds=100)


@pytest.mark.behaviour("OR-14")
def test_a_run_from_its_first_state_to_its_last() -> None:
    run = ask(flow_run(), Scheduled(LATER)).run
    assert run.times == RunTimes(expected_start=LATER, next_scheduled_start=LATER)
    run = ask(evolve(run, state=Scheduled(NOW)), Pending()).run
    assert run.times == RunTimes(expected_start=LATER)
    run = ask(run, Running()).run
    assert run.times == RunTimes(expected_start=LATER, started=NOW)
    since = evolve(run, state=evolve(run.state, timestamp=BEFORE))
    decision = ask(since, Completed(data=RESULT))
    assert decision.verdict == Accept(written(Completed(data=RESULT)))
    assert decision.run == evolve(
        since,
        state=written(Completed(data=RESULT)),
        version=4,
        times=RunTimes(expected_start=LATER, started=NOW, ended=NOW, running=90.0),
    )
    assert decision.run.attempt == 1


@pytest.mark.behaviour("OR-14")
def test_a_run_that_ends_before_it_starts_has_an_end() -> None:
    assert ask(flow_run(), Failed()).run.times == RunTimes(expected_start=NOW, ended=NOW)


@pytest.mark.behaviour("OR-14")
def test_time_spent_running_adds_up_over_attempts() -> None:
    run = task_run(Running(), times=RunTimes(running=10.0))
    assert ask(run, Failed(), in_flow()).run.times.running == 100.0


@pytest.mark.behaviour("RT-06", "ST-01")
def test_a_task_that_runs_again_says_so() -> None:
    retrying = ask(task_run(AwaitingRetry(NOW), attempt=1), Running(), in_flow())
    rerunning = ask(task_run(Pending(), attempt=1), Running(), in_flow())
    first = ask(task_run(Pending()), Running(), in_flow())
    assert [decision.run.state.name for decision in (retrying, rerunning, first)] == [
        "Retrying",
        "Rerunning",
        "Running",
    ]


def test_a_task_knows_under_which_attempt_of_its_flow_it_ran() -> None:
    assert ask(task_run(Pending()), Running(), in_flow(attempt=4)).run.flow_run_attempt == 4
    assert ask(task_run(Pending(), flow_run_id=None), Running()).run.flow_run_attempt == 0


@pytest.mark.promise("P3")
@pytest.mark.behaviour("LM-03", "OR-12")
def test_slots_come_back_when_no_code_is_at_work_any_more() -> None:
    tagged = task_run(Running(), tags=frozenset("a"))
    for state in (Completed(), Scheduled(LATER), Paused()):
        assert ReleaseSlots() in ask(tagged, state, in_flow()).effects
    assert ask(tagged, Cancelling(), in_flow()).effects == ()
    assert ask(task_run(Running()), Completed(), in_flow()).effects == ()


def test_a_recorded_result_with_a_key_is_remembered() -> None:
    completed = Completed(data=RESULT).with_details(cache_key="key", cache_expiration=LATER)
    assert ask(task_run(Running()), completed, in_flow()).effects == (RememberResult("key", LATER),)
    unrecorded = evolve(completed, data=None)
    assert ask(task_run(Running()), unrecorded, in_flow()).effects == ()


def test_an_answer_from_the_cache_is_not_remembered_again() -> None:
    cached = Completed(data=RESULT).with_details(cache_key="key")
    running = Running().with_details(cache_key="key")
    assert ask(task_run(Pending()), running, in_flow(cached=cached)).effects == ()


@pytest.mark.behaviour("SF-12")
def test_every_state_of_a_subflow_is_shown_in_its_parent() -> None:
    subflow = flow_run(Running(), root_id=FLOW, parent_task_run_id=TASK)
    for state in (Paused(), Cancelling(), Completed()):
        assert ask(subflow, state).effects == (MirrorToParent(TASK),)


def test_a_lease_ends_with_the_outermost_run() -> None:
    assert ask(flow_run(Running()), Completed()).effects == (EndLease(),)
    assert ask(flow_run(Running(), root_id=FLOW), Completed()).effects == ()
    assert ask(task_run(Running(), flow_run_id=None), Completed()).effects == (EndLease(),)
    assert ask(task_run(Running()), Completed(), in_flow()).effects == ()
    assert ask(flow_run(Running()), Paused()).effects == ()
