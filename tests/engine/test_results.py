"""Results: what is recorded comes back, from the row or from a file; what cannot is one error that says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
from attrs import evolve

from trioflow.core.recorded import RecordedResult
from trioflow.core.states import Cancelled, Completed, Crashed, Failed, Paused, Pending, Running, Suspended
from trioflow.engine.results import INLINE_BYTES, Raised, Recorder, Returned, exception_of, load, result_of
from trioflow.errors import (
    CancelledRun,
    CrashedRun,
    FailedRun,
    FlowDefinitionError,
    MissingResult,
    NotSerializable,
    PausedRun,
    UnfinishedRun,
    UnreadableResult,
    UnwritableResult,
)

LARGE = "x" * (INLINE_BYTES + 1)
ANOTHER_LARGE = "y" * (INLINE_BYTES + 1)


@pytest.fixture
def recorder(tmp_path):
    return Recorder.at(tmp_path / "home")


async def record(recorder, value):
    """As the engine does."""
    data = recorder.serialize(value)
    return recorder.inline(data) or await recorder.store(data)


def files(recorder):
    return sorted(path.name for path in (recorder.home / "results").glob("*"))


# --- recording


async def test_a_small_value_stands_in_its_row(recorder):
    recorded = await record(recorder, {"a": (1, 2)})

    assert recorded == RecordedResult(serializer="json", inline='{"a":{"$tuple":[1,2]}}', size=22)
    assert await recorder.read(recorded) == {"a": (1, 2)}
    assert not recorder.home.exists()


async def test_a_large_value_is_a_file_named_by_its_content(recorder):
    recorded = await record(recorder, LARGE)

    assert recorded == RecordedResult(
        serializer="json", reference=recorded.sha256, sha256=recorded.sha256, size=INLINE_BYTES + 3
    )
    assert files(recorder) == [recorded.sha256]
    assert await recorder.read(recorded) == LARGE


def test_a_large_value_does_not_stand_in_its_row(recorder):
    assert recorder.inline(recorder.serialize(LARGE)) is None
    assert not recorder.home.exists()


async def test_the_largest_value_that_stands_in_its_row_is_as_large_as_is_said(recorder):
    assert (await record(recorder, "x" * (INLINE_BYTES - 2))).inline
    assert (await record(recorder, "x" * (INLINE_BYTES - 1))).reference


async def test_equal_values_share_one_file_and_a_damaged_one_is_mended(recorder):
    recorded = await record(recorder, LARGE)
    recorder.home.joinpath("results", recorded.sha256).write_text("damaged")

    assert await record(recorder, LARGE) == recorded
    assert await recorder.read(recorded) == LARGE
    assert files(recorder) == [recorded.sha256]


async def test_results_are_for_their_owner_alone(recorder):
    recorded = await record(recorder, LARGE)
    directory = recorder.home / "results"

    assert [path.stat().st_mode & 0o777 for path in (directory, directory / recorded.sha256)] == [
        0o700,
        0o600,
    ]


async def test_a_file_is_synced_before_it_gets_its_name_and_its_directory_after(recorder, monkeypatch):
    (recorder.home / "results").mkdir(parents=True)
    seen = []
    fsync = os.fsync

    def told(handle):
        synced = Path(f"/proc/self/fd/{handle}").readlink()
        seen.append((synced.is_dir(), len([name for name in files(recorder) if len(name) == 64])))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", told)
    await record(recorder, LARGE)

    assert seen == [(False, 0), (True, 1)]


async def test_a_disk_that_takes_nothing_is_an_error_of_ours_and_nothing_is_left(recorder, monkeypatch):
    (recorder.home / "results").mkdir(parents=True)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(UnwritableResult, match="No space left"):
        await record(recorder, LARGE)
    assert files(recorder) == []


async def test_recording_is_not_torn_by_cancellation(recorder):
    """The thread is waited for: what a caller hears of is whole."""
    with trio.CancelScope() as scope:
        scope.cancel()
        await record(recorder, LARGE)

    assert scope.cancelled_caught
    assert [len(name) for name in files(recorder)] in ([], [64])


def test_what_cannot_be_recorded_is_refused_when_it_is_serialised(recorder):
    with pytest.raises(NotSerializable, match=r"result\['a'\] is a builtins\.object"):
        recorder.serialize({"a": object()})


async def test_another_serializer_is_for_the_same_home(recorder):
    recorded = await record(recorder.using("pickle"), 1j)

    assert recorded.serializer == "pickle"
    assert await recorder.read(recorded) == 1j
    assert recorder.using(None) is recorder.using("json") is recorder


def test_an_unknown_serializer_is_the_callers_mistake(recorder):
    with pytest.raises(FlowDefinitionError, match="yaml"):
        recorder.using("yaml")


# --- what cannot be read


async def test_a_missing_file_is_an_unreadable_result_that_says_whose(recorder):
    recorded = await record(recorder, LARGE)
    recorder.home.joinpath("results", recorded.sha256).unlink()

    with pytest.raises(
        UnreadableResult, match=r"the recorded result of task 'add-0' cannot be read: .*No such file"
    ):
        await recorder.read(recorded, of="task 'add-0'")


async def test_a_changed_file_is_unreadable(recorder):
    recorded = await record(recorder, LARGE)
    recorder.home.joinpath("results", recorded.sha256).write_text('"another value"')

    with pytest.raises(UnreadableResult, match="has changed since it was written"):
        await recorder.read(recorded)


async def test_a_file_is_not_taken_for_another(recorder):
    recorded = await record(recorder, LARGE)
    other = await record(recorder, ANOTHER_LARGE)

    with pytest.raises(UnreadableResult, match="has changed"):
        await recorder.read(evolve(recorded, reference=other.reference))


@pytest.mark.parametrize("reference", ["../../etc/passwd", "/etc/passwd", "", None, "A" * 64])
async def test_a_reference_leads_nowhere_but_to_a_result(recorder, reference):
    with pytest.raises(UnreadableResult, match="is not the name of a result"):
        await recorder.read(RecordedResult(serializer="json", reference=reference, sha256=reference))


async def test_what_no_serializer_understands_is_unreadable(recorder):
    with pytest.raises(UnreadableResult, match="yaml"):
        await recorder.read(RecordedResult(serializer="yaml", inline="a: 1"))


async def test_a_pickle_that_another_home_signed_is_not_opened(recorder, tmp_path):
    await record(recorder.using("pickle"), 1)
    recorded = await record(Recorder.at(tmp_path / "other", "pickle"), 1)

    with pytest.raises(UnreadableResult, match="not signed"):
        await recorder.read(recorded)


# --- exceptions


def raised(error):
    try:
        raise error
    except type(error) as caught:
        return caught


class TwoArguments(Exception):
    """Pickles, and cannot be made again from its arguments."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


class Mute(Exception):
    """One whose text cannot be had."""

    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("state", "outcome"), [(Failed, FailedRun), (Crashed, CrashedRun), (Cancelled, CancelledRun)]
)
async def test_an_exception_is_recorded_as_text_and_stands_for_itself(recorder, state, outcome):
    recorded = recorder.record_exception(raised(KeyError("a")))

    live = await load(state(data=recorded), recorder)

    assert live.data.recorded == recorded
    assert type(live.data.exception) is outcome
    assert str(live.data.exception) == "KeyError: 'a'"
    (told,) = live.data.exception.__notes__
    assert told.startswith("Traceback (most recent call last):")
    assert told.endswith("raise error\nKeyError: 'a'\n")


async def test_under_the_pickle_serializer_the_exception_itself_comes_back(recorder):
    recorded = recorder.using("pickle").record_exception(raised(KeyError("a")))

    live = await load(Failed(data=recorded), recorder)

    assert type(live.data.exception) is KeyError
    assert live.data.exception.args == ("a",)


AWKWARD = {
    "TwoArguments: 1 2": TwoArguments(1, 2),
    "Mute: <its text cannot be told>": Mute(),
    "ValueError: \ud800": ValueError("\ud800"),
    "ExceptionGroup: two (2 sub-exceptions)": ExceptionGroup("two", [KeyError(1), KeyError(2)]),
}


@pytest.mark.parametrize("text", AWKWARD, ids=ascii)
async def test_every_exception_can_be_told_as_text(recorder, text):
    recorded = recorder.record_exception(AWKWARD[text])

    assert recorded.inline.encode().startswith(b'{"$exception":')
    assert str((await load(Failed(data=recorded), recorder)).data.exception) == text


@pytest.mark.parametrize("error", [TwoArguments(1, 2), ValueError(_ for _ in ())])
async def test_an_exception_that_does_not_survive_pickling_is_told_as_text(recorder, error):
    live = await load(Failed(data=recorder.using("pickle").record_exception(error)), recorder)

    assert type(live.data.exception) is FailedRun


async def test_what_an_exception_says_is_kept_to_a_bearable_length(recorder):
    recorded = recorder.record_exception(ValueError("x" * 1_000_000))

    assert recorded.size < 2 * INLINE_BYTES


async def test_an_exception_pickled_by_another_home_is_told_as_text(recorder, tmp_path):
    recorded = Recorder.at(tmp_path / "other", "pickle").record_exception(KeyError("a"))

    live = await load(Failed(data=recorded), recorder)

    assert type(live.data.exception) is FailedRun


# --- live states


async def test_a_state_from_the_store_comes_to_life(recorder):
    small, large = await record(recorder, None), await record(recorder, LARGE)

    assert await load(Completed(data=small), recorder) == Completed(data=Returned(None, small))
    assert await load(Completed(data=large), recorder) == Completed(data=Returned(LARGE, large))
    assert await load(Completed(), recorder) == Completed()


async def test_a_value_that_looks_like_an_exception_record_is_a_value(recorder):
    value = {"$exception": {"type": "KeyError"}}

    live = await load(Completed(data=await record(recorder, value)), recorder)

    assert result_of(live) == value


@pytest.mark.behaviour("ST-09")
def test_a_run_that_ended_well_gives_its_value():
    assert result_of(Completed(data=Returned(5))) == 5
    assert result_of(Completed(data=Returned(None))) is None
    assert result_of(Completed(data="made by hand")) == "made by hand"


@pytest.mark.behaviour("ST-09")
@pytest.mark.parametrize(
    ("state", "outcome", "message"),
    [
        (Paused(), PausedRun, "The run is paused, its result is not available."),
        (Suspended(), PausedRun, "The run is paused, its result is not available."),
        (Pending(), UnfinishedRun, "The run is in PENDING state, its result is not available."),
        (Running(), UnfinishedRun, "The run is in RUNNING state, its result is not available."),
        (Completed(), MissingResult, "The run completed, but its result was not recorded."),
        (Failed(), FailedRun, "The run failed."),
        (Failed(message="Why."), FailedRun, "Why."),
        (Failed(message="Why.", data=Returned("Because.")), FailedRun, "Because."),
        (Failed(message="Why.", data=Returned(5)), FailedRun, "Why."),
        (Crashed(), CrashedRun, "The run crashed."),
        (Cancelled(), CancelledRun, "The run was cancelled."),
    ],
)
def test_a_run_without_a_value_says_how_it_ended(state, outcome, message):
    with pytest.raises(outcome) as caught:
        result_of(state)

    assert str(caught.value) == message


@pytest.mark.behaviour("ST-09")
@pytest.mark.parametrize("state", [Failed, Crashed, Cancelled])
def test_a_run_that_raised_raises_its_own_exception(state):
    error = KeyError("a")

    assert exception_of(state(data=Raised(error))) is error
    with pytest.raises(KeyError) as caught:
        result_of(state(data=Raised(error)))
    assert caught.value is error


@pytest.mark.behaviour("ST-10")
@pytest.mark.parametrize("kind", [list, tuple])
def test_of_several_runs_the_first_that_failed_speaks(kind):
    first, second = KeyError(1), KeyError(2)
    states = [
        Completed(data=Returned(1)),
        Pending(),
        Failed(data=Raised(first)),
        Crashed(data=Raised(second)),
    ]

    assert exception_of(Failed(data=kind(states))) is first
    assert exception_of(Failed(data=Returned(kind(states)))) is first


@pytest.mark.behaviour("ST-10")
def test_a_state_within_a_state_speaks_for_it():
    error = KeyError(1)

    assert exception_of(Failed(data=Failed(data=(Failed(data=Raised(error)),)))) is error
