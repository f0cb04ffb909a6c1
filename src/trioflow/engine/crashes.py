"""Crashes: what ended a run that was not its own code's doing, as a state; and time for last words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import trio

from trioflow.core.states import Crashed, State
from trioflow.engine.results import Raised, message_of

TERMINATED = "termination signal"
"""The reason that whoever receives SIGTERM gives to the scope that it cancels."""
INTERRUPTED = "interrupt signal"
"""The same for SIGINT, where it does not simply raise KeyboardInterrupt."""

_INTERRUPTED = "interrupt_signal", "Execution was aborted by an interrupt signal."


def last_words(seconds: float) -> trio.CancelScope:
    """A scope for what must still be said when all around is cancelled: shielded, for at most that long."""
    return trio.move_on_after(seconds, shield=True)


def crash_state(error: BaseException) -> State:
    """The state to propose for a run that ``error`` took down."""
    error = root_cause(error)
    cause, message = _explain(error)
    return Crashed(message=message, cause=cause, data=Raised(error))


def _explain(error: BaseException) -> tuple[str, str]:
    """Why, in one word and in one sentence."""
    match error:
        case trio.Cancelled(reason=reason) if reason == TERMINATED:
            return "termination_signal", "Execution was aborted by a termination signal."
        case trio.Cancelled(reason=reason) if reason == INTERRUPTED:
            return _INTERRUPTED
        case trio.Cancelled():
            return "cancelled", "Execution was cancelled by the runtime environment."
        case KeyboardInterrupt():
            return _INTERRUPTED
        case SystemExit():
            return "system_exit", "Execution was aborted by Python system exit call."
        case _ if url := _requested_url(error):
            return "request_failed", f"Request to {url} failed: {_told(error)}."
        case _:
            return "exception", f"Execution was interrupted by an unexpected exception: {_told(error)}"


def _requested_url(error: BaseException) -> Any:
    # HTTP libraries agree on `error.request.url`; httpx raises when there was no request.
    try:
        return error.request.url  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError):
        return None


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {message_of(error)}"


# --- groups


def root_cause(error: BaseException) -> BaseException:
    """The one exception that a group is about; a group that is about several stays as it is.

    Cancellations in a group are echoes of whatever else is in it; a signal or an exit outweighs errors.
    """
    leaves = list(_leaves(error))
    for loudest in leaves:
        if isinstance(loudest, KeyboardInterrupt | SystemExit):
            return loudest
    told = [leaf for leaf in leaves if not isinstance(leaf, trio.Cancelled)]
    match told:
        case []:
            return leaves[0]
        case [only]:
            return only
        case _:
            return error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    match error:
        case BaseExceptionGroup(exceptions=inner):
            for one in cast("Iterable[BaseException]", inner):
                yield from _leaves(one)
        case _:
            yield error
