"""The rules for task runs, where the recorded decisions of Prefect 2 cannot show them or a reader wants an example."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve

from tests.core.asking import NOW, RESULT, RUN, TASK, ask, in_flow, task_run, written
from trioflow.core.decisions import Facts, TagLimit, TakeSlots
from trioflow.core.leases import LEASE_EXPIRED
from trioflow.core.runs import RetryPolicy
from trioflow.core.states import (
    AwaitingRetry,
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Paused,
    Pending,
    Running,
    Scheduled,
    State,
    StateDetails,
    Suspended,
)
from trioflow.core.verdicts import Abort, Accept, Reject, Wait

ENDS = [Completed(), Failed(), Crashed(), Cancelled()]
KEYED = Running().with_details(cache_key="key")
CACHED = evolve(Completed(message="done", data=RESULT), id=TASK, timestamp=NOW - timedelta(hours=1))
RETRY = RetryPolicy(retries=1)


# --- running again


@pytest.mark.promise("P12")
@pytest.mark.parametrize("attempt", [1, 2])
def test_a_recorded_result_is_the_answer_whatever_the_attempt(attempt: int) -> None:
    run = task_run(Completed(data=RESULT), flow_run_attempt=1)
    decision = ask(run, Running(), in_flow(attempt=attempt))
    assert decision.verdict == Reject(run.state, "This run is already completed.")
    assert decision.run is None


@pytest.mark.behaviour("OR-03", "RT-09")
@pytest.mark.parametrize("current", ENDS, ids=str)
def test_a_newer_attempt_of_the_flow_reopens_a_task_without_a_recorded_result(current: State) -> None:
    run = task_run(current, flow_run_attempt=1, attempt=2, retries_used=1)
    decision = ask(run, Running(), in_flow(attempt=2))
    assert decision.verdict == Accept(written(Running(name="Retrying")))
    after = decision.run
    assert (after.attempt, after.retries_used, after.flow_run_attempt, after.times.ended) == (3, 0, 2, None)


@pytest.mark.behaviour("OR-03")
@pytest.mark.parametrize("current", ENDS, ids=str)
def test_the_same_attempt_does_not(current: State) -> None:
    run = task_run(current, flow_run_attempt=1)
    reason = "This run is over, and its flow run is still in the same attempt."
    assert ask(run, Running(), in_flow(attempt=1)).verdict == Reject(run.state, reason)


@pytest.mark.promise("P8")
def test_a_newer_attempt_takes_over_a_task_whose_process_died_in_the_middle() -> None:
    run = task_run(Running(), flow_run_attempt=1, attempt=1, retries_used=1, retry=RETRY)
    decision = ask(run, Running(), in_flow(attempt=2))
    assert decision.verdict == Accept(written(Running(name="Rerunning")))
    assert (decision.run.attempt, decision.run.retries_used, decision.run.flow_run_attempt) == (2, 0, 2)


def test_the_same_attempt_does_not_start_a_running_task_twice() -> None:
    run = task_run(Running(), flow_run_attempt=1)
    assert ask(run, Running(), in_flow(attempt=1)).verdict == Reject(
        run.state, "This run is RUNNING already."
    )


def test_a_task_outside_of_flows_runs_once() -> None:
    run = task_run(Failed(), flow_run_id=None)
    assert isinstance(ask(run, Running()).verdict, Reject)


# --- the cache


@pytest.mark.behaviour("CA-02", "CA-05", "ST-01")
def test_a_cached_result_is_the_answer_before_slots_and_flow_are_looked_at() -> None:
    full = TagLimit(tag="a", limit=1, holders=frozenset({TASK}))
    facts = in_flow(Cancelling(), cached=CACHED, limits=(full,))
    decision = ask(task_run(Pending(), tags=frozenset("a")), KEYED, facts)
    cached = written(Completed(name="Cached", message="done", data=RESULT))
    assert decision.verdict == Reject(cached, "Retrieved state from cache.", written=True)


@pytest.mark.behaviour("CA-03")
def test_a_refresh_does_not_ask_the_cache() -> None:
    refreshing = KEYED.with_details(refresh_cache=True)
    assert isinstance(ask(task_run(Pending()), refreshing, in_flow(cached=CACHED)).verdict, Accept)


@pytest.mark.behaviour("CA-02")
def test_a_task_that_is_over_is_not_overwritten_from_the_cache() -> None:
    run = task_run(Failed(), flow_run_attempt=1)
    assert ask(run, KEYED, in_flow(attempt=1, cached=CACHED)).run is None


# --- the flow around it


@pytest.mark.behaviour("OR-11")
@pytest.mark.parametrize("flow", [Scheduled(NOW), Pending(), Cancelling(), *ENDS], ids=str)
def test_a_task_starts_only_in_a_running_flow(flow: State) -> None:
    run = task_run(Pending())
    reason = "The enclosing flow must be running to begin task execution."
    assert ask(run, Running(), in_flow(flow)).verdict == Abort(reason, run.state)


@pytest.mark.behaviour("OR-11")
def test_a_task_whose_flow_run_is_gone_does_not_start() -> None:
    assert isinstance(ask(task_run(Pending()), Running(), Facts()).verdict, Abort)


@pytest.mark.behaviour("PA-22")
@pytest.mark.parametrize("flow", [Paused(timeout=NOW), Suspended(timeout=NOW)], ids=str)
def test_a_task_of_a_paused_flow_is_not_ready_and_says_so_once(flow: State) -> None:
    decision = ask(task_run(Pending()), Running(), in_flow(flow))
    not_ready = written(State(type=flow.type, name="NotReady", details=StateDetails(pause_timeout=NOW)))
    reason = "The flow is paused, new tasks can execute after resuming it."
    assert decision.verdict == Reject(not_ready, reason, written=True)
    again = ask(decision.run, Running(), in_flow(flow))
    assert (again.verdict, again.run) == (Reject(decision.run.state, reason), None)
    assert isinstance(ask(decision.run, Running(), in_flow()).verdict, Accept)


@pytest.mark.behaviour("PA-22")
def test_a_task_that_is_to_run_again_waits_for_the_pause_of_its_flow_too() -> None:
    failed = task_run(Failed(), attempt=1, flow_run_attempt=1)
    decision = ask(failed, Running(), in_flow(Paused(), attempt=2))
    not_ready = written(State(type=Paused().type, name="NotReady"))
    reason = "The flow is paused, new tasks can execute after resuming it."
    assert decision.verdict == Reject(not_ready, reason, written=True)


# --- concurrency limits


def limit(tag: str, most: int, *holders: object) -> TagLimit:
    return TagLimit(tag=tag, limit=most, holders=frozenset(holders))


@pytest.mark.behaviour("OR-12", "LM-01")
def test_a_task_takes_the_slots_of_all_its_limited_tags() -> None:
    run = task_run(Pending(), tags=frozenset("abc"))
    decision = ask(run, Running(), in_flow(limits=(limit("a", 1), limit("b", 2, TASK), limit("d", 1))))
    assert decision.effects == (TakeSlots(frozenset("ab")),)


@pytest.mark.promise("P15")
@pytest.mark.behaviour("OR-12")
def test_a_full_tag_lets_it_wait_and_take_nothing() -> None:
    run = task_run(Pending(), tags=frozenset("ab"))
    decision = ask(run, Running(), in_flow(limits=(limit("a", 1), limit("b", 1, TASK))))
    assert decision.verdict == Wait(30.0, "Concurrency limit for the b tag has been reached.")
    assert (decision.run, decision.effects) == (None, ())
    both = ask(run, Running(), in_flow(limits=(limit("b", 1, TASK), limit("a", 1, TASK))))
    assert both.verdict == Wait(30.0, "Concurrency limit for the a, b tag has been reached.")


@pytest.mark.behaviour("OR-12")
@pytest.mark.parametrize("order", [1, -1])
def test_a_limit_of_zero_is_told_before_a_full_one(order: int) -> None:
    run = task_run(Pending(), tags=frozenset("ab"))
    limits = (limit("a", 1, TASK), limit("b", 0))[::order]
    reason = 'The concurrency limit on tag "b" is 0 and will deadlock if the task tries again.'
    assert ask(run, Running(), in_flow(limits=limits)).verdict == Abort(reason, run.state)


@pytest.mark.behaviour("OR-12")
def test_no_run_waits_for_itself() -> None:
    run = task_run(Pending(), tags=frozenset("ab"))
    decision = ask(run, Running(), in_flow(limits=(limit("a", 1, RUN), limit("b", 1))))
    assert isinstance(decision.verdict, Accept)
    assert decision.effects == (TakeSlots(frozenset("b")),)


# --- retrying


@pytest.mark.behaviour("RT-01", "RT-02")
def test_each_retry_has_its_delay_and_the_last_one_serves_the_rest() -> None:
    retry = RetryPolicy(retries=4, delays=(1.0, 10.0))
    for used, delay in enumerate((1, 10, 10, 10)):
        decision = ask(task_run(Running(), retry=retry, retries_used=used), Failed(message="no"), in_flow())
        awaiting = written(AwaitingRetry(NOW + timedelta(seconds=delay), message="no"))
        assert decision.verdict == Reject(awaiting, "Retrying", written=True)
        assert decision.run.retries_used == used + 1
    assert isinstance(
        ask(task_run(Running(), retry=retry, retries_used=4), Failed(), in_flow()).verdict, Accept
    )


@pytest.mark.behaviour("RT-03")
def test_a_failure_that_is_not_retriable_is_final_at_once() -> None:
    failed = Failed().with_details(retriable=False)
    assert ask(task_run(Running(), retry=RETRY), failed, in_flow()).verdict == Accept(written(failed))


def test_a_retry_waits_for_a_paused_flow_and_is_not_spent_on_it() -> None:
    run = task_run(Running(), retry=RETRY)
    reason = "The flow is paused; when it goes on, the task is tried again."
    assert ask(run, Failed(), in_flow(Paused())).verdict == Wait(10.0, reason)
    spent = evolve(run, retries_used=1)
    assert isinstance(ask(spent, Failed(), in_flow(Paused())).verdict, Accept)


@pytest.mark.parametrize("flow", [Suspended(), Cancelling(), *ENDS], ids=str)
def test_a_flow_that_ends_or_leaves_gets_no_retries_of_its_tasks(flow: State) -> None:
    run = task_run(Running(), retry=RETRY)
    assert isinstance(ask(run, Failed(), in_flow(flow)).verdict, Accept)


def test_a_flow_that_has_not_begun_gets_no_retries_of_its_tasks() -> None:
    run = task_run(Running(), retry=RetryPolicy(retries=1))
    unborn = evolve(in_flow().parent, state=None)
    assert ask(run, Failed(), Facts(parent=unborn)).verdict == Accept(written(Failed()))


def test_a_task_outside_of_flows_is_retried() -> None:
    assert isinstance(ask(task_run(Running(), retry=RETRY, flow_run_id=None), Failed()).verdict, Reject)


def test_a_crash_is_retried_if_the_policy_says_so_and_its_driver_lives() -> None:
    run = task_run(Running(), retry=RetryPolicy(retries=1, on_crash=True))
    assert isinstance(ask(run, Crashed(), in_flow()).verdict, Reject)
    assert isinstance(ask(run, Crashed(cause=LEASE_EXPIRED), in_flow()).verdict, Accept)
    assert isinstance(ask(evolve(run, retry=RETRY), Crashed(), in_flow()).verdict, Accept)


# --- the rest of the table


def test_a_task_is_claimed_once() -> None:
    pending, running = task_run(Pending()), task_run(Running())
    reason = "This run is in a RUNNING state and cannot transition to a PENDING state."
    assert isinstance(ask(pending, Pending()).verdict, Abort)
    assert ask(running, Pending()).verdict == Abort(reason, running.state)


def test_a_task_that_is_being_cancelled_ends_cancelled() -> None:
    run = task_run(Cancelling())
    assert isinstance(ask(run, Completed()).verdict, Reject)
    assert isinstance(ask(run, Cancelled()).verdict, Accept)
