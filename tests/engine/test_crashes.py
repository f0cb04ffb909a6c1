"""Crashes: what took a run down, as a state with a sentence that users search for."""

from __future__ import annotations

import httpx
import pytest
import trio
import trio.testing

from trioflow.core.states import StateType
from trioflow.engine.crashes import TERMINATED, crash_state, last_words, root_cause
from trioflow.engine.results import Raised


async def cancelled(reason=None):
    """A real cancellation, caught where it strikes."""
    with trio.CancelScope() as scope:
        scope.cancel(reason=reason)
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            caught = error
            raise
    return caught


@pytest.mark.behaviour("CR-06")
async def test_a_cancellation_from_outside_is_the_runtime_environments():
    error = await cancelled("the host stops")

    state = crash_state(error)

    assert (state.type, state.name, state.message) == (
        StateType.CRASHED,
        "Crashed",
        "Execution was cancelled by the runtime environment.",
    )
    assert state.details.cause == "cancelled"
    assert state.data == Raised(error)


@pytest.mark.behaviour("CR-06")
async def test_a_cancellation_by_a_termination_signal_says_so():
    state = crash_state(await cancelled(TERMINATED))

    assert state.message == "Execution was aborted by a termination signal."
    assert state.details.cause == "termination_signal"


REQUEST = httpx.Request("GET", "http://127.0.0.1:4200/api/health")


@pytest.mark.behaviour("CR-01", "CR-06")
@pytest.mark.parametrize(
    ("error", "cause", "message"),
    [
        (KeyboardInterrupt(), "interrupt_signal", "Execution was aborted by an interrupt signal."),
        (SystemExit(3), "system_exit", "Execution was aborted by Python system exit call."),
        (
            httpx.ConnectError("refused", request=REQUEST),
            "request_failed",
            "Request to http://127.0.0.1:4200/api/health failed: ConnectError: refused.",
        ),
        (
            httpx.ConnectError("refused"),
            "exception",
            "Execution was interrupted by an unexpected exception: ConnectError: refused",
        ),
        (
            ValueError("no"),
            "exception",
            "Execution was interrupted by an unexpected exception: ValueError: no",
        ),
        (
            GeneratorExit(),
            "exception",
            "Execution was interrupted by an unexpected exception: GeneratorExit: ",
        ),
    ],
)
def test_each_kind_of_exception_has_its_sentence(error, cause, message):
    state = crash_state(error)

    assert (state.type, state.message, state.details.cause) == (StateType.CRASHED, message, cause)
    assert state.data == Raised(error)


@pytest.mark.behaviour("CR-05")
def test_a_group_of_one_is_what_is_in_it():
    error = ValueError("no")

    assert crash_state(BaseExceptionGroup("outer", [ExceptionGroup("inner", [error])])) == crash_state(error)


@pytest.mark.behaviour("CR-05")
async def test_cancellations_beside_an_error_are_its_echoes():
    error = ValueError("no")

    assert root_cause(BaseExceptionGroup("all", [await cancelled(), error, await cancelled()])) is error


@pytest.mark.behaviour("CR-05")
async def test_a_group_of_cancellations_is_a_cancellation():
    group = BaseExceptionGroup("all", [await cancelled(), BaseExceptionGroup("more", [await cancelled()])])

    assert crash_state(group).message == "Execution was cancelled by the runtime environment."


@pytest.mark.behaviour("CR-05")
@pytest.mark.parametrize("loudest", [KeyboardInterrupt(), SystemExit()])
def test_a_signal_outweighs_the_errors_beside_it(loudest):
    assert root_cause(BaseExceptionGroup("all", [ValueError(), loudest, KeyError()])) is loudest


@pytest.mark.behaviour("CR-05")
def test_a_group_about_several_errors_stays_a_group():
    group = ExceptionGroup("all", [ValueError("a"), KeyError("b")])

    assert crash_state(group).data == Raised(group)
    assert crash_state(group).message == (
        "Execution was interrupted by an unexpected exception: ExceptionGroup: all (2 sub-exceptions)"
    )


@pytest.mark.behaviour("CR-02")
async def test_last_words_are_said_although_all_around_is_cancelled():
    said = []

    with trio.CancelScope() as around:
        around.cancel()
        with last_words(1):
            await trio.lowlevel.checkpoint()
            said.append("done")
        await trio.lowlevel.checkpoint()
        said.append("never")

    assert said == ["done"]


async def test_last_words_have_a_deadline(autojump_clock):
    before = trio.current_time()

    with last_words(5):
        await trio.sleep_forever()

    assert trio.current_time() - before == pytest.approx(5)
