"""What is written down, and what goes with it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve

from tests.core.asking import (
    BEFORE,
    DEPLOYMENT,
    FLOW,
    NOW,
    RESULT,
    TASK,
    ask,
    flow_run,
    in_flow,
    task_run,
    written,
)
from trioflow.core.decisions import EndLease, MirrorToParent, ReleaseSlots, RememberResult
from trioflow.core.runs import RetryPolicy, RunTimes, TaskRun
from trioflow.core.states import (
    AwaitingRetry,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Late,
    Paused,
    Pending,
    Resuming,
    Running,
    Scheduled,
    Suspended,
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


@pytest.mark.behaviour("OR-14")
def test_a_clock_that_went_back_takes_no_time_away() -> None:
    run = task_run(times=RunTimes(running=10.0))
    ahead = evolve(run, state=evolve(Running(), timestamp=LATER))
    assert ask(ahead, Failed(), in_flow()).run.times.running == 10.0


@pytest.mark.behaviour("OR-14")
def test_what_was_recorded_first_stays_and_only_running_counts() -> None:
    times = RunTimes(expected_start=BEFORE, started=BEFORE, running=1.0)
    waiting = flow_run(Scheduled(NOW), times=times)
    assert ask(waiting, Running()).run.times == times
    assert ask(flow_run(Paused(), times=times), Running()).run.times == times


@pytest.mark.behaviour("PA-04")
def test_one_attempt_lasts_through_its_pauses_until_it_is_retried() -> None:
    """Each step: what is proposed, then the attempt, whether it is on its way out of a pause, and its pauses."""
    run = flow_run(Pending(), deployment_id=DEPLOYMENT, retry=RetryPolicy(retries=1))
    steps = [
        (Running(), (1, False, set())),
        (Paused(key="a"), (1, False, {"a"})),
        (Running(), (1, False, {"a"})),
        (Suspended(key="b"), (1, False, {"a", "b"})),
        (Resuming(NOW), (1, True, {"a", "b"})),
        (Pending(), (1, True, {"a", "b"})),
        (Running(), (1, False, {"a", "b"})),
        (Failed(), (1, False, set())),
        (Running(), (2, False, set())),
        (Completed(), (2, False, set())),
    ]
    seen = []
    for state, _ in steps:
        run = ask(run, state).run
        seen.append((state, (run.attempt, run.resuming, set(run.pause_keys))))
    assert seen == steps
    assert (run.version, run.retries_used) == (10, 1)


def test_a_paused_run_that_goes_on_elsewhere_is_in_the_same_attempt() -> None:
    elsewhere = ask(flow_run(Paused(), attempt=1, deployment_id=DEPLOYMENT), Resuming(NOW)).run
    assert (elsewhere.resuming, elsewhere.attempt) == (True, 1)
    assert ask(elsewhere, Running()).run.attempt == 1


def test_a_resumed_run_that_ends_before_it_runs_is_on_its_way_no_more() -> None:
    run = flow_run(Resuming(NOW), resuming=True, pause_keys=frozenset("a"))
    ended = ask(run, Failed()).run
    assert (ended.resuming, ended.pause_keys) == (False, {"a"})


def test_a_task_has_all_its_retries_in_each_attempt_of_its_flow() -> None:
    tried = task_run(Pending(), attempt=2, retries_used=1, flow_run_attempt=1, retry=RetryPolicy(retries=1))
    same, newer = (ask(tried, Running(), in_flow(attempt=attempt)).run for attempt in (1, 2))
    assert (same.attempt, same.retries_used, same.flow_run_attempt) == (3, 1, 1)
    assert (newer.attempt, newer.retries_used, newer.flow_run_attempt) == (3, 0, 2)
    assert ask(task_run(Running(), retries_used=1), Completed(), in_flow()).run.retries_used == 1


@pytest.mark.behaviour("RT-01")
def test_only_a_retry_that_a_rule_chose_is_one_retry_more() -> None:
    proposed = ask(task_run(Pending()), AwaitingRetry(LATER), in_flow())
    cached = ask(task_run(Pending()), Running(), in_flow(cached=Completed(data=RESULT)))
    retried = ask(task_run(Running(), retry=RetryPolicy(retries=1)), Failed(), in_flow())
    late = ask(flow_run(Scheduled(BEFORE)), Late(BEFORE))
    assert [decision.run.state.name for decision in (proposed, cached, retried)] == [
        "AwaitingRetry",
        "Cached",
        "AwaitingRetry",
    ]
    assert [decision.run.retries_used for decision in (proposed, cached, retried, late)] == [0, 0, 1, 0]
    assert late.run.resuming is False


@pytest.mark.behaviour("RT-06")
@pytest.mark.parametrize(
    ("run", "name"),
    [
        (task_run(attempt=0), "Running"),
        (task_run(Failed(), attempt=1), "Retrying"),
        (task_run(Crashed(), attempt=0), "Retrying"),
        (task_run(AwaitingRetry(NOW), attempt=0), "Running"),
    ],
    ids=["new", "failed", "never ran", "waits"],
)
def test_how_a_task_is_said_to_run(run: TaskRun, name: str) -> None:
    assert ask(run, Running(), in_flow(attempt=9)).run.state.name == name


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
    assert ask(flow_run(Running(), tags=frozenset("a")), Completed()).effects == (EndLease(),)


def test_a_recorded_result_with_a_key_is_remembered() -> None:
    completed = Completed(data=RESULT).with_details(cache_key="key", cache_expiration=LATER)
    assert ask(task_run(Running()), completed, in_flow()).effects == (RememberResult("key", LATER),)
    unrecorded = evolve(completed, data=None)
    assert ask(task_run(Running()), unrecorded, in_flow()).effects == ()


def test_only_what_completed_is_remembered_and_only_under_a_key() -> None:
    failed = Failed(data=RESULT).with_details(cache_key="key")
    assert ask(task_run(Running()), failed, in_flow()).effects == ()
    assert ask(task_run(Running()), Completed(data=RESULT), in_flow()).effects == ()
    completed = Completed(data=RESULT).with_details(cache_key="key")
    assert ask(flow_run(Running()), completed).effects == (EndLease(),)


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
