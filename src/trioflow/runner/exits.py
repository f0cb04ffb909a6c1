"""Exits: which state a run is to be closed with, once nothing of its process lives. Pure."""

from __future__ import annotations

from attrs import evolve

from trioflow.core.runs import FlowRun
from trioflow.core.states import NO_DETAILS, Cancelled, Crashed, Failed, State, StateType, TimedOut
from trioflow.infrastructure.infrastructure import ExitReport

NOT_STARTED = "Flow run process could not be started"
NO_PROCESS = "Could not find process ID for flow run and cancellation cannot be guaranteed."
"""Says of a run that was to be cancelled that nobody knows a process of it (CN-03)."""

_LEFT_ON_PURPOSE = frozenset({StateType.SCHEDULED, StateType.SUSPENDED})


def state_after_exit(run: FlowRun, report: ExitReport | None, wish: State | None = None) -> State | None:
    """The state to close the run with; None when it may stay as it is, and only its lease has to end.

    Args:
        run: as the store has it, now that nothing of its process lives.
        report: how the process ended; None when it was never started, or nobody watched it.
        wish: what whoever ended the process wants the run to be in.
    """
    type_ = run.state.type if run.state else None
    match type_:
        case StateType.CANCELLING:
            return cancelled(run.state, wish)
        case StateType.SUSPENDED:
            return None
        case StateType.SCHEDULED if wish is None or wish.type is StateType.SCHEDULED:
            return None
        case StateType() if type_.is_final:
            return None
        case _ if wish is not None:
            return cancelled(run.state, wish) if wish.type is StateType.CANCELLED else wish
        case _:
            return _crashed(run, report)


def cancelled(state: State | None, wish: State | None = None) -> State:
    """CANCELLED, with all else that the state before said; what ``wish`` says beside its type counts more (CN-07)."""
    given = wish if wish is not None and wish.type is StateType.CANCELLED else Cancelled()
    if state is None:
        return given
    return evolve(
        state,
        type=StateType.CANCELLED,
        name="Cancelled",
        message=given.message or state.message,
        details=given.details if given.details != NO_DETAILS else state.details,
        id=None,
        timestamp=None,
    )


def timed_out(seconds: float) -> State:
    """What an attempt is closed with that took longer than it may, and did not end by itself."""
    return TimedOut(message=f"Flow run exceeded timeout of {seconds:g} seconds")


def not_loaded(seconds: float) -> State:
    """What a run is closed with whose file took longer than that to load, and could not be stopped by its process."""
    return Failed(message=f"Flow could not be loaded within {seconds:g} seconds.")


def _crashed(run: FlowRun, report: ExitReport | None) -> State:
    if report is None:
        return Crashed(message="Flow run process could not be watched to its end.")
    if report.status:
        return Crashed(message=f"Flow run process exited with non-zero status code {report.status}.")
    name = run.state.name if run.state else "Pending"
    return Crashed(message=f"Flow run process exited cleanly, but its run was still {name}.")
