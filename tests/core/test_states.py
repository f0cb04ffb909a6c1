"""States as values: what they say of themselves, and the one that stands for several."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trioflow.core.states import (
    AwaitingRetry,
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Late,
    NotReady,
    Paused,
    Pending,
    Resuming,
    Running,
    Scheduled,
    State,
    StateType,
    Suspended,
    TimedOut,
    aggregate,
    resumed,
)

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.behaviour("ST-01")
def test_each_type_has_a_state_that_is_called_like_it() -> None:
    plain = [
        Scheduled(NOW),
        Pending(),
        Running(),
        Paused(),
        Suspended(),
        Cancelling(),
        Completed(),
        Failed(),
        Crashed(),
        Cancelled(),
    ]
    assert [state.type for state in plain] == list(StateType)
    assert [state.name for state in plain] == [type_.capitalize() for type_ in StateType]


def test_a_state_carries_what_it_was_given() -> None:
    ends = [Completed, Failed, TimedOut, Crashed, Cancelled]
    assert {(state.message, state.data) for state in (end(message="m", data=1) for end in ends)} == {("m", 1)}
    plain = [Pending, Running, Cancelling, Paused, Suspended]
    assert {make(message="m").message for make in plain} == {"m"}
    assert NotReady("m").message == Scheduled(NOW, message="m").message == "m"
    for pause in (Paused(key="k", timeout=NOW), Suspended(key="k", timeout=NOW)):
        assert (pause.details.pause_key, pause.details.pause_timeout) == ("k", NOW)
    for end in (Crashed(cause="c"), Cancelled(cause="c")):
        assert end.details.cause == "c"


@pytest.mark.behaviour("ST-01")
def test_other_names_refine_a_type() -> None:
    refined = [Late(NOW), AwaitingRetry(NOW), Resuming(NOW), NotReady("not yet"), TimedOut()]
    assert [(state.name, state.type.value) for state in refined] == [
        ("Late", "SCHEDULED"),
        ("AwaitingRetry", "SCHEDULED"),
        ("Resuming", "SCHEDULED"),
        ("NotReady", "PENDING"),
        ("TimedOut", "FAILED"),
    ]


def test_a_state_reads_as_its_name_and_message() -> None:
    assert str(Completed()) == "Completed()"
    assert str(Failed(message="no")) == "Failed('no')"


@pytest.mark.behaviour("ST-08")
@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], Completed(message="All states completed.")),
        ([Completed(), Completed()], Completed(message="All states completed.")),
        ([Failed(), Cancelled(), Completed()], Cancelled(message="1/3 states cancelled.")),
        ([Failed(), Paused(key="1")], Paused(key="1")),
        ([Suspended(key="1"), Completed()], Suspended(key="1")),
        ([Failed(), Crashed(), Completed()], Failed(message="2/3 states failed.")),
        ([Failed(), Pending(), Completed()], Failed(message="1/3 states are not final.")),
    ],
    ids=["none", "completed", "cancelled", "paused", "suspended", "failed", "not final"],
)
def test_one_state_stands_for_several(states: list[State], expected: State) -> None:
    combined = aggregate(states)
    assert (combined.type, combined.name, combined.message) == (
        expected.type,
        expected.name,
        expected.message,
    )
    assert combined.data == tuple(states)


@pytest.mark.behaviour("PA-16")
def test_only_a_paused_run_is_resumed_each_kind_in_its_way() -> None:
    assert resumed(Paused(), NOW) == Running()
    assert resumed(Suspended(), NOW) == Resuming(NOW)
    assert [resumed(state, NOW) for state in (None, Pending(), Running(), Failed())] == [None] * 4
