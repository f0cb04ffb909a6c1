"""What a run's engine does next, verdict by verdict."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trioflow.core.lifecycle import Call, Propose, Sleep, Stop, start
from trioflow.core.states import (
    AwaitingRetry,
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    NotReady,
    Paused,
    Pending,
    Running,
    Scheduled,
    State,
    Suspended,
)
from trioflow.core.verdicts import Abort, Accept, Reject, Wait

SOON = datetime(2026, 7, 1, tzinfo=UTC) + timedelta(minutes=1)


@pytest.mark.behaviour("FO-03", "ST-02")
def test_a_run_begins_by_asking_to_run() -> None:
    assert start() == Propose(Running())


@pytest.mark.behaviour("TO-06")
def test_an_accepted_running_is_called_in_the_state_that_was_written() -> None:
    accepted = Running(name="Retrying")
    assert start().heard(Accept(accepted)) == Call(accepted)


@pytest.mark.behaviour("FO-01", "TO-02")
def test_a_run_that_is_not_ready_stops_without_being_called() -> None:
    not_ready = NotReady("add-0 failed")
    assert start(not_ready) == Propose(not_ready)
    assert start(not_ready).heard(Accept(not_ready)) == Stop(not_ready)


@pytest.mark.behaviour("TO-06", "FO-17")
@pytest.mark.parametrize(
    "state", [Completed(name="Cached"), Failed(), Crashed(), Cancelled(), Suspended()], ids=str
)
def test_a_run_that_ended_elsewhere_stops_in_that_state(state: State) -> None:
    assert start().heard(Reject(state, "because")) == Stop(state, "because")
    assert Propose(Completed()).heard(Reject(state, "because")) == Stop(state, "because")


@pytest.mark.behaviour("FO-19", "TO-18", "RT-01")
def test_a_retry_is_slept_out_and_run() -> None:
    step = Call(Running()).ended(Failed()).heard(Reject(AwaitingRetry(SOON), "Retrying", written=True))
    assert step == Sleep(then=Propose(Running()), until=SOON, reason="Retrying")
    assert (step.seconds, step.or_change) == (0, False)
    assert step.awoke() == Propose(Running())


@pytest.mark.behaviour("ST-04", "RT-05")
def test_a_wait_asks_the_same_thing_again_for_as_long_as_it_takes() -> None:
    step = Propose(Completed())
    for _ in range(5_000):
        slept = step.heard(Wait(30, "no slot"))
        assert slept == Sleep(then=step, seconds=30, or_change=True, reason="no slot")
        step = slept.awoke()
    assert step == Propose(Completed())


@pytest.mark.behaviour("TO-08", "ST-03")
def test_a_paused_flow_is_waited_for_and_asked_again() -> None:
    step = start().heard(Reject(Paused(), "The flow is paused"))
    assert step == Sleep(then=start(), seconds=10, or_change=True, reason="The flow is paused")
    assert step.awoke() == start()


@pytest.mark.behaviour("OR-05")
@pytest.mark.parametrize(
    ("asked", "how_far"),
    [(Running(), "its code was not called"), (Completed(), "its code had already ended in Completed()")],
    ids=str,
)
def test_a_run_that_is_being_cancelled_has_the_last_word(asked: State, how_far: str) -> None:
    step = Propose(asked).heard(Reject(Cancelling(), "only cancelled"))
    assert step == Propose(Cancelled(message=f"Cancelled; {how_far}.", cause="cancel_requested"))
    assert step.heard(Accept(step.state)) == Stop(step.state)
    assert step.heard(Reject(Cancelling(), "still")) == Stop(Cancelling(), "still")


@pytest.mark.behaviour("TA-16")
def test_an_abort_ends_the_matter_with_its_reason() -> None:
    assert start().heard(Abort("another owner", Completed())) == Stop(Completed(), "another owner")
    assert start().heard(Abort("no such run")) == Stop(None, "no such run")


def test_a_run_that_somebody_else_runs_is_left_alone() -> None:
    assert start().heard(Reject(Running(), "already")) == Stop(Running(), "already")
    assert start().heard(Reject(Pending(), "not you")) == Stop(Pending(), "not you")
    assert start().heard(Reject(None, "no state")) == Stop(None, "no state")


@pytest.mark.behaviour("FO-19")
def test_an_end_that_is_answered_with_a_start_is_run_again() -> None:
    again = Propose(Completed()).heard(Reject(Scheduled(SOON), "once more", written=True))
    assert again == Sleep(then=start(), until=SOON, reason="once more")
    assert Propose(Completed()).heard(Reject(Pending(), "once more", written=True)) == start()
