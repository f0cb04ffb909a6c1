"""Endings: how a call ended, as the state to propose.

What a function returns may itself be said in states: a state made by hand is meant as it is; futures and states of
runs stand for their outcomes, and for their values where all of them completed.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, cast

from attrs import evolve

from trioflow.core.states import Completed, Failed, State, TimedOut, aggregate
from trioflow.engine.call import Ended, Expired
from trioflow.engine.context import Children
from trioflow.engine.futures import Attention, Future
from trioflow.engine.inputs import ATOMS, Upstream, is_upstream, replaced, upstream_in, value_of
from trioflow.engine.results import Raised, Recorder, Returned, exception_of, message_of
from trioflow.errors import NotSerializable, UnwritableResult

FLOW_RUN_BROKEN = "Flow run encountered an exception. "
TASK_RUN_BROKEN = "Task run encountered an exception "

_SEVERAL = frozenset({list, tuple, set, frozenset})


async def flow_run_ended(ended: Ended, children: Children) -> State:
    """The state that a flow run is to be in; its value is not recorded yet.

    An exception fails it. Otherwise what it returned decides, but does not hide a failure that nobody looked at. None
    says nothing, so all that was started is heard then, except failures that the flow's code has dealt with: the
    exception was raised into it, or `allow_failure` marked it.
    """
    match ended:
        case Returned(None):
            states = children.states(Attention.DEALT_WITH)
            return _standing_for(aggregate(states), None) if states else Completed(data=Returned(None))
        case Returned(value):
            said = await _said(value)
            if not said.is_completed or is_hand_made(value):
                return said
            ignored = aggregate(children.states(Attention.LOOKED))
            return said if ignored.is_completed else _standing_for(ignored, value)
        case _:
            return broken(ended, FLOW_RUN_BROKEN)


async def task_run_ended(ended: Ended) -> State:
    """The state that a task run is to be in; its value is not recorded yet."""
    match ended:
        case Returned(value):
            return await _said(value)
        case _:
            return broken(ended, TASK_RUN_BROKEN)


def broken(ended: Raised | Expired, opening: str) -> State:
    """The state of a run whose code did not return; ``opening`` begins the message about an exception."""
    match ended:
        case Expired(error):
            return TimedOut(message=str(error), data=Raised(error))
        case Raised(error):
            told = f"{opening}{type(error).__name__}: {message_of(error)}"
            return Failed(message=told, data=Raised(error))


async def _said(value: Any) -> State:
    """What a returned value says (ST-07)."""
    if type(value) in ATOMS:
        return Completed(data=Returned(value))
    if isinstance(value, Generator):
        return await _said(list(cast("Generator[Any]", value)))
    if is_hand_made(value):
        return _as_given(value)
    runs = [run for run, _ in upstream_in("the returned value", value)]
    if not runs:
        return Completed(data=Returned(value))
    states = [await _outcome(run) for run in runs]
    all_of_it = is_upstream(value) or (type(value) in _SEVERAL and all(map(is_upstream, value)))
    together = aggregate(states)
    if together.is_completed and not all_of_it:
        together = Completed()
    return _standing_for(together, replaced(value, value_of) if together.is_completed else value)


def is_hand_made(value: object) -> bool:
    """Whether it is a state that no run has been in yet."""
    return isinstance(value, State) and value.id is None


def _as_given(state: State) -> State:
    match state.data:
        case BaseException() as error:
            return evolve(state, data=Raised(error))
        case data if state.is_completed:
            return evolve(state, data=Returned(data))
        case _:
            return evolve(state, data=None)


async def _outcome(run: Upstream) -> State:
    return await run.wait() if isinstance(run, Future) else run


def _standing_for(together: State, value: Any) -> State:
    """A state that was put together from others, with live data of its own."""
    if together.is_completed:
        return evolve(together, data=Returned(value))
    return evolve(together, data=Raised(exception_of(together)) if together.is_final else None)


# --- recording


async def recorded(state: State, recorder: Recorder, *, persist: bool) -> State:
    """The same state, and the store can keep what it carries. A result that cannot be kept fails the run.

    An exception is always told; a value is recorded if ``persist`` says so.
    """
    match state.data:
        case Raised(error):
            return evolve(state, data=Raised(error, recorder.record_exception(error)))
        case Returned(value) if persist:
            try:
                data = recorder.serialize(value)
                kept = recorder.inline(data) or await recorder.store(data)
            except (NotSerializable, UnwritableResult) as error:
                return _not_kept(error, recorder)
            return evolve(state, data=Returned(value, kept))
        case _:
            return state


def _not_kept(error: NotSerializable | UnwritableResult, recorder: Recorder) -> State:
    told = Raised(error, recorder.record_exception(error))
    state = Failed(message=f"The result could not be recorded. {type(error).__name__}: {error}", data=told)
    # Trying again makes the same value again; a full disk may have been emptied meanwhile.
    return state.with_details(retriable=False) if isinstance(error, NotSerializable) else state
