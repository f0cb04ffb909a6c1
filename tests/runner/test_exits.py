"""Exits: from how a process ended, and what its run was in then, to the state that the run is closed with."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trioflow import clock
from trioflow.core.runs import FlowRun
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
    Suspended,
)
from trioflow.infrastructure.infrastructure import ExitReport
from trioflow.runner.exits import cancelled, state_after_exit, timed_out

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLEAN, BROKEN = ExitReport(status=0), ExitReport(status=-9, killed=True)


def run_in(state):
    id_ = clock.new_id()
    return FlowRun(id=id_, flow_id=id_, root_id=id_, name="brave-otter", state=state)


@pytest.mark.parametrize("state", [Completed(), Failed(), Crashed(), Cancelled()], ids=str)
@pytest.mark.parametrize("wish", [None, Crashed(), Cancelled(), Scheduled(NOW)], ids=str)
@pytest.mark.parametrize("report", [None, CLEAN, BROKEN], ids=["unwatched", "clean", "broken"])
def test_a_run_that_is_over_stays_as_it_is(state, wish, report):
    assert state_after_exit(run_in(state), report, wish) is None


@pytest.mark.parametrize("state", [Suspended(), AwaitingRetry(NOW), Scheduled(NOW)], ids=str)
@pytest.mark.parametrize("report", [CLEAN, BROKEN], ids=["clean", "broken"])
def test_a_run_that_left_its_process_on_purpose_stays_as_it_is(state, report):
    assert state_after_exit(run_in(state), report) is None
    assert state_after_exit(run_in(state), report, Scheduled(NOW)) is None


@pytest.mark.behaviour("PR-07")
@pytest.mark.parametrize("state", [None, Pending(), Running(), Paused()], ids=str)
def test_a_run_whose_process_broke_crashed(state):
    assert state_after_exit(run_in(state), BROKEN) == Crashed(
        message="Flow run process exited with non-zero status code -9."
    )


@pytest.mark.behaviour("PR-05")
def test_a_run_that_its_process_left_running_crashed_though_the_process_exited_cleanly():
    """Differs from PR-05, on purpose: nothing may stay RUNNING while its lease is renewed for ever."""
    assert state_after_exit(run_in(Running()), CLEAN) == Crashed(
        message="Flow run process exited cleanly, but its run was still Running."
    )


def test_a_run_whose_process_nobody_watched_crashed():
    assert state_after_exit(run_in(Running()), None) == Crashed(
        message="Flow run process could not be watched to its end."
    )


@pytest.mark.behaviour("CN-07")
@pytest.mark.parametrize("wish", [None, timed_out(1), Scheduled(NOW)], ids=str)
def test_a_run_that_was_being_cancelled_is_cancelled_and_keeps_what_its_state_said(wish):
    state = Cancelling(message="no need").with_details(cause="cancel_requested")
    assert state_after_exit(run_in(state), BROKEN, wish) == Cancelled(
        message="no need", cause="cancel_requested"
    )


@pytest.mark.behaviour("CN-07")
def test_what_is_said_of_a_cancellation_counts_more_than_what_the_state_said():
    state = Cancelling(message="no need").with_details(cause="cancel_requested")
    assert cancelled(state, Cancelled(message="shutdown")) == Cancelled(
        message="shutdown", cause="cancel_requested"
    )


@pytest.mark.parametrize("wish", [Scheduled(NOW), Crashed(message="shutdown"), timed_out(2.5)], ids=str)
@pytest.mark.parametrize("state", [Pending(), Running(), Paused()], ids=str)
def test_who_ended_a_process_says_what_its_run_is_in(state, wish):
    assert state_after_exit(run_in(state), BROKEN, wish) == wish


def test_a_run_that_waits_for_another_try_is_ended_by_who_wants_it_ended():
    assert state_after_exit(run_in(AwaitingRetry(NOW)), BROKEN, Crashed()) == Crashed()


def test_a_time_out_is_said_as_the_engine_says_it():
    assert str(timed_out(2.5)) == "TimedOut('Flow run exceeded timeout of 2.5 seconds')"
