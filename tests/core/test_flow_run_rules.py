"""The rules for flow runs, where the recorded decisions of Prefect 2 cannot show them or a reader wants an example."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve

from tests.core.asking import DEPLOYMENT, LEASED, NOW, TASK, TRANSITION, ask, flow_run, written
from trioflow.core.decisions import Facts, Fence
from trioflow.core.leases import LEASE_EXPIRED
from trioflow.core.runs import RetryPolicy
from trioflow.core.states import (
    AwaitingRetry,
    Cancelled,
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
    State,
    Suspended,
)
from trioflow.core.verdicts import Abort, Accept, Reject, Wait

LATER = NOW + timedelta(seconds=100)
PAST = NOW - timedelta(seconds=1)
OWNED = Facts(fence=Fence(epoch=0, leased=True))


# --- scheduling and claiming


@pytest.mark.behaviour("OR-09")
def test_a_claim_copies_the_time_that_the_run_is_due() -> None:
    decision = ask(flow_run(Scheduled(LATER)), Pending(), new_owner=True)
    assert decision.verdict == Accept(written(Pending().with_details(scheduled_time=LATER)))
    assert decision.run.epoch == 1


@pytest.mark.behaviour("OR-09")
def test_a_claim_that_brings_a_time_keeps_it() -> None:
    claim = Pending().with_details(scheduled_time=PAST)
    assert ask(flow_run(Scheduled(LATER)), claim).verdict == Accept(written(claim))


@pytest.mark.behaviour("OR-07")
@pytest.mark.parametrize(
    ("current", "proposed"), [("Submitting", "Pending"), ("NotReady", "NotReady"), ("Pending", "Pending")]
)
def test_a_pending_run_is_pending_once_under_each_name(current: str, proposed: str) -> None:
    run = flow_run(Pending(name=current))
    reason = "This run is PENDING already and cannot be claimed again."
    assert ask(run, Pending(name=proposed)).verdict == Abort(reason, run.state)


@pytest.mark.behaviour("OR-07")
def test_the_second_claim_is_told_that_it_came_second() -> None:
    run = flow_run(Pending())
    reason = "This run is PENDING already and cannot be claimed again."
    assert ask(run, Pending()).verdict == Abort(reason, run.state)


@pytest.mark.behaviour("OR-07")
def test_a_submission_may_name_its_steps_and_keeps_its_time() -> None:
    run = flow_run(Pending().with_details(scheduled_time=PAST))
    decision = ask(run, Pending(name="Submitting"))
    assert decision.verdict == Accept(written(Pending(name="Submitting").with_details(scheduled_time=PAST)))


@pytest.mark.behaviour("OR-07")
@pytest.mark.parametrize("current", [Running(), Cancelling()], ids=str)
def test_what_has_begun_is_not_claimed(current: State) -> None:
    assert isinstance(ask(flow_run(current), Pending()).verdict, Abort | Reject)


@pytest.mark.behaviour("OR-10", "RT-05")
@pytest.mark.parametrize("current", [Scheduled(LATER), Pending().with_details(scheduled_time=LATER)], ids=str)
def test_a_run_that_is_not_due_waits_for_whole_seconds(current: State) -> None:
    verdict = ask(flow_run(current), Running()).verdict
    assert verdict == Wait(100, "Scheduled time is in the future.")


@pytest.mark.behaviour("OR-10")
def test_a_second_is_waited_for_and_no_time_is_none() -> None:
    assert ask(flow_run(Scheduled(NOW + timedelta(seconds=1))), Running()).verdict == Wait(
        1, "Scheduled time is in the future."
    )
    assert ask(flow_run(Scheduled(NOW)), Running()).verdict == Accept(written(Running()))


@pytest.mark.behaviour("OR-10")
def test_a_sleeper_who_is_milliseconds_early_is_not_sent_back() -> None:
    run = flow_run(AwaitingRetry(NOW + timedelta(milliseconds=400)))
    assert isinstance(ask(run, Running()).verdict, Accept)


@pytest.mark.behaviour("OR-08")
def test_only_a_scheduled_run_is_late_and_only_once() -> None:
    assert ask(flow_run(Scheduled(PAST)), Late(PAST)).verdict == Accept(written(Late(PAST)))
    late, pending = flow_run(Late(PAST)), flow_run(Pending())
    assert ask(late, Late(PAST)).verdict == Reject(late.state, "This run is marked late already.")
    assert ask(pending, Late(PAST)).verdict == Reject(
        pending.state, "Only scheduled flows can be marked late."
    )
    assert ask(flow_run(), Late(PAST)).verdict == Abort("Only scheduled flows can be marked late.")


# --- rerunning


@pytest.mark.behaviour("OR-04", "RT-09")
@pytest.mark.parametrize("current", [Completed(), Failed(), Crashed(), Cancelled()], ids=str)
def test_a_declared_rerun_opens_a_new_attempt_with_all_its_retries(current: State) -> None:
    run = flow_run(
        current, entrypoint="flows.py:f", attempt=3, retries_used=2, pause_keys={"1"}, resuming=True
    )
    decision = ask(run, Scheduled(NOW), rerun=True)
    assert decision.verdict == Accept(written(Scheduled(NOW)))
    after = decision.run
    assert (after.attempt, after.retries_used, after.pause_keys, after.resuming) == (3, 0, frozenset(), False)
    assert after.times.ended is None


@pytest.mark.behaviour("OR-04")
def test_a_rerun_that_nobody_declared_is_refused() -> None:
    run = flow_run(Failed(), deployment_id=DEPLOYMENT)
    reason = "Run is already in terminal state FAILED; only a declared rerun leaves it."
    assert ask(run, Scheduled(NOW)).verdict == Abort(reason, run.state)


@pytest.mark.behaviour("OR-04")
def test_a_run_that_nobody_could_load_is_not_scheduled_again() -> None:
    run = flow_run(Failed())
    reason = "Cannot reschedule a run without an associated deployment."
    assert ask(run, Scheduled(NOW), rerun=True).verdict == Abort(reason, run.state)


@pytest.mark.behaviour("OR-04")
@pytest.mark.parametrize("known", [{"deployment_id": DEPLOYMENT}, {"entrypoint": "flows.py:f"}], ids=str)
def test_a_rerun_is_for_whoever_can_load_the_flow(known: dict) -> None:
    assert ask(flow_run(Failed(), **known), Scheduled(NOW), rerun=True).verdict == Accept(
        written(Scheduled(NOW))
    )
    claimed = ask(flow_run(Failed()), Scheduled(NOW), rerun=True, new_owner=True)
    assert claimed.verdict == Accept(written(Scheduled(NOW)))


@pytest.mark.behaviour("OR-04")
def test_a_rerun_leads_to_scheduled_and_nowhere_else() -> None:
    run = flow_run(Failed(), deployment_id=DEPLOYMENT)
    assert ask(run, Running(), rerun=True) == ask(run, Running())


# --- pausing, suspending, resuming


@pytest.mark.behaviour("PA-04")
def test_the_same_key_pauses_once() -> None:
    paused = ask(flow_run(Running()), Paused(key="1")).run
    assert paused.pause_keys == {"1"}
    resumed = ask(paused, Running()).run
    assert ask(resumed, Paused(key="1")).verdict == Reject(resumed.state, "This pause has already fired.")
    assert isinstance(ask(resumed, Paused(key="2")).verdict, Accept)


@pytest.mark.behaviour("PA-04")
def test_a_pause_without_a_key_is_one_of_its_own() -> None:
    assert ask(flow_run(Running()), Paused()).run.pause_keys == {str(TRANSITION)}


@pytest.mark.behaviour("PA-21")
def test_only_a_deployed_root_run_is_suspended() -> None:
    subflow = flow_run(Running(), parent_task_run_id=TASK, deployment_id=DEPLOYMENT)
    local, deployed = flow_run(Running()), flow_run(Running(), deployment_id=DEPLOYMENT)
    assert ask(subflow, Suspended()).verdict == Abort("Cannot suspend subflows.", subflow.state)
    assert ask(local, Suspended()).verdict == Abort("Cannot suspend flows without a deployment.", local.state)
    assert isinstance(ask(deployed, Suspended()).verdict, Accept)


@pytest.mark.behaviour("PA-21")
@pytest.mark.parametrize("current", [Scheduled(NOW), Pending(), Paused()], ids=str)
def test_only_a_running_run_is_paused(current: State) -> None:
    run = flow_run(current)
    assert ask(run, Paused()).verdict == Reject(
        run.state, "Cannot pause flows that are not currently running."
    )


@pytest.mark.behaviour("PA-21")
def test_resuming_too_late_fails_the_run() -> None:
    failed = Failed(message="The flow was paused and never resumed.")
    reason = "The flow run's pause has timed out and can no longer resume."
    decision = ask(flow_run(Paused(timeout=PAST)), Running())
    assert decision.verdict == Reject(written(failed), reason, written=True)
    assert isinstance(ask(flow_run(Paused(timeout=NOW)), Running()).verdict, Accept)


def test_a_blocking_pause_is_part_of_the_attempt() -> None:
    decision = ask(flow_run(Paused(), attempt=1), Running())
    assert (decision.run.attempt, decision.run.resuming) == (1, False)


@pytest.mark.behaviour("PA-09")
def test_a_suspended_run_goes_on_as_the_same_attempt_in_another_process() -> None:
    run = flow_run(Suspended(key="1"), attempt=1, deployment_id=DEPLOYMENT, pause_keys=frozenset("1"))
    for state in (Resuming(NOW), Pending(), Running()):
        run = ask(run, state).run
        assert run.resuming == (state.type is not Running().type)
    assert (run.attempt, run.pause_keys) == (1, {"1"})


@pytest.mark.behaviour("PA-09")
def test_a_suspended_run_without_a_deployment_is_not_resumed() -> None:
    run = flow_run(Suspended())
    reason = "Cannot reschedule a suspended flow run without a deployment."
    assert ask(run, Resuming(NOW)).verdict == Reject(run.state, reason)


# --- cancelling


@pytest.mark.behaviour("OR-06")
@pytest.mark.parametrize("current", [None, Scheduled(NOW), Late(PAST), Resuming(NOW), Suspended()], ids=str)
def test_what_nobody_owns_is_cancelled_at_once(current: State | None) -> None:
    decision = ask(flow_run(current), Cancelling(message="enough"))
    cancelled = written(Cancelled(message="enough", cause="cancel_requested"))
    assert decision.verdict == Reject(
        cancelled, "Nobody runs this flow run, so there is nothing to wait for.", written=True
    )


@pytest.mark.promise("P2")
@pytest.mark.behaviour("OR-06")
@pytest.mark.parametrize(
    "current", [AwaitingRetry(LATER), Suspended(), Running(), Paused(), Pending()], ids=str
)
def test_what_somebody_owns_is_cancelled_by_its_owner(current: State) -> None:
    assert ask(flow_run(current), Cancelling(), OWNED).verdict == Accept(written(Cancelling()))


@pytest.mark.behaviour("OR-06")
def test_a_process_of_a_client_without_leases_counts_until_the_run_has_left_it() -> None:
    pid = "host:42"
    assert isinstance(
        ask(flow_run(AwaitingRetry(LATER), infrastructure_pid=pid), Cancelling()).verdict, Accept
    )
    for current in (Resuming(NOW), Suspended()):
        assert isinstance(ask(flow_run(current, infrastructure_pid=pid), Cancelling()).verdict, Reject)


@pytest.mark.behaviour("OR-05")
def test_a_cancel_is_not_forgotten() -> None:
    run = flow_run(Cancelling())
    reason = "Cannot transition flows that are cancelling to a state other than Cancelled."
    for state in (Completed(), Failed(), Crashed(), Running(), Scheduled(NOW), Cancelling()):
        assert ask(run, state).verdict == Reject(run.state, reason)
    assert isinstance(ask(run, Cancelled()).verdict, Accept)


# --- retrying


@pytest.mark.behaviour("RT-01", "RT-09")
def test_a_failed_run_awaits_its_retry_with_what_it_had_to_say() -> None:
    retry = RetryPolicy(retries=1, delays=(100.0,))
    run = flow_run(Running(), retry=retry, pause_keys={"1"}, attempt=1)
    decision = ask(run, Failed(message="no", data="why"))
    awaiting = written(AwaitingRetry(LATER, message="no", data="why"))
    assert decision.verdict == Reject(awaiting, "Retrying", written=True)
    assert (decision.run.retries_used, decision.run.pause_keys) == (1, frozenset())
    assert ask(evolve(decision.run, state=Running()), Failed()).verdict == Accept(written(Failed()))


def test_a_crash_is_retried_only_if_the_policy_says_so() -> None:
    for on_crash in (False, True):
        run = flow_run(Running(), retry=RetryPolicy(retries=1, on_crash=on_crash))
        assert isinstance(ask(run, Crashed()).verdict, Reject) == on_crash


def test_a_crash_is_final_once_the_retries_are_used_up() -> None:
    run = flow_run(Running(), retry=RetryPolicy(retries=1, on_crash=True), retries_used=1)
    assert ask(run, Crashed()).verdict == Accept(written(Crashed()))


@pytest.mark.promise("P1")
def test_a_reaped_run_is_retried_only_if_a_runner_can_start_it() -> None:
    for deployment in (None, DEPLOYMENT):
        run = flow_run(Running(), retry=RetryPolicy(retries=1, on_crash=True), deployment_id=deployment)
        reaped = ask(run, Crashed(cause=LEASE_EXPIRED), LEASED, epoch=1, new_owner=True)
        assert reaped.run.state.name == ("AwaitingRetry" if deployment else "Crashed")
        assert reaped.run.epoch == run.epoch + 1


def test_a_running_run_is_not_started_again() -> None:
    run = flow_run(Running())
    assert ask(run, Running()).verdict == Reject(run.state, "This run is RUNNING already.")
