"""States: what a run is in. Immutable values; nothing here knows when a state may be entered."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from attrs import evolve, frozen


class StateType(StrEnum):
    """The ten types; rules and tables look at these, and at a name only where a cell says so."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    SUSPENDED = "SUSPENDED"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Whether a run in this type is over. A test holds this against the tables, which compute it."""
        return self in FINAL_TYPES


AWAITING_RETRY = "AwaitingRetry"
NOT_READY = "NotReady"

FINAL_TYPES = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED})


@frozen(kw_only=True)
class StateDetails:
    """What a state carries besides its type, name and message. Instants are aware and in UTC."""

    scheduled_time: datetime | None = None
    """SCHEDULED, and PENDING copied from it: when the run is due."""
    cache_key: str | None = None
    """RUNNING: the key to look a cached result up by; COMPLETED: the key it is remembered under."""
    cache_expiration: datetime | None = None
    refresh_cache: bool | None = None
    retriable: bool | None = None
    """FAILED: False when the task's retry condition forbids another attempt."""
    pause_key: str | None = None
    pause_timeout: datetime | None = None
    child_flow_run_id: UUID | None = None
    """On the task run that stands for a subflow in its parent: the child's run."""
    cause: str | None = None
    """Why the machinery, not the user's code, chose this state: ``lease_expired``, ``cancel_requested`` ..."""


NO_DETAILS = StateDetails()


@frozen(kw_only=True)
class State:
    """One state of a run.

    ``id`` and ``timestamp`` are None until the orchestrator has accepted the state. ``data`` is opaque here:
    a recorded result (what the store keeps), or inside the engine the live value around it.
    """

    type: StateType
    name: str
    message: str | None = None
    details: StateDetails = NO_DETAILS
    data: Any = None
    id: UUID | None = None
    timestamp: datetime | None = None

    @property
    def is_final(self) -> bool:
        """Whether the run is over."""
        return self.type in FINAL_TYPES

    @property
    def is_completed(self) -> bool:
        """Whether the run ended well."""
        return self.type is StateType.COMPLETED

    def with_details(self, **changes: Any) -> State:
        """The same state with some of its details changed."""
        return evolve(self, details=evolve(self.details, **changes))

    def __str__(self) -> str:
        """``Failed('why')``: the name, and the message where there is one."""
        return f"{self.name}({self.message!r})" if self.message else f"{self.name}()"


def _state(
    type_: StateType, name: str, message: str | None = None, data: Any = None, **details: Any
) -> State:
    given = StateDetails(**details) if any(details.values()) else NO_DETAILS
    return State(type=type_, name=name, message=message, data=data, details=given)


def Scheduled(at: datetime, *, name: str = "Scheduled", message: str | None = None) -> State:
    """Due at ``at``."""
    return _state(StateType.SCHEDULED, name, message, scheduled_time=at)


def Late(at: datetime) -> State:
    """Was due at ``at`` and nobody has claimed it."""
    return Scheduled(at, name="Late")


def AwaitingRetry(at: datetime, *, message: str | None = None, data: Any = None) -> State:
    """Failed, with this message and data, and will be tried again at ``at``."""
    return _state(StateType.SCHEDULED, AWAITING_RETRY, message, data, scheduled_time=at)


def Resuming(at: datetime) -> State:
    """Suspended before, and to be continued at ``at``."""
    return Scheduled(at, name="Resuming")


def Pending(*, name: str = "Pending", message: str | None = None) -> State:
    """Claimed by somebody who is about to start it."""
    return _state(StateType.PENDING, name, message)


def NotReady(message: str) -> State:
    """Waits, for good, for something upstream that did not complete."""
    return Pending(name=NOT_READY, message=message)


def Running(*, name: str = "Running", message: str | None = None) -> State:
    """User code is being executed."""
    return _state(StateType.RUNNING, name, message)


def Paused(*, key: str | None = None, timeout: datetime | None = None, message: str | None = None) -> State:
    """Waits in its process, until ``timeout``, for somebody to resume it."""
    return _state(StateType.PAUSED, "Paused", message, pause_key=key, pause_timeout=timeout)


def Suspended(
    *, key: str | None = None, timeout: datetime | None = None, message: str | None = None
) -> State:
    """Has left its process; resuming it before ``timeout`` schedules it again."""
    return _state(StateType.SUSPENDED, "Suspended", message, pause_key=key, pause_timeout=timeout)


def Cancelling(*, message: str | None = None) -> State:
    """Somebody asked for an end; the owner is ending the code."""
    return _state(StateType.CANCELLING, "Cancelling", message)


def Cancelled(*, message: str | None = None, cause: str | None = None, data: Any = None) -> State:
    """Ended because somebody asked."""
    return _state(StateType.CANCELLED, "Cancelled", message, data, cause=cause)


def Completed(*, name: str = "Completed", message: str | None = None, data: Any = None) -> State:
    """Ended well."""
    return _state(StateType.COMPLETED, name, message, data)


def Failed(*, name: str = "Failed", message: str | None = None, data: Any = None) -> State:
    """User code raised, or its outcome says that it failed."""
    return _state(StateType.FAILED, name, message, data)


def TimedOut(*, message: str | None = None, data: Any = None) -> State:
    """Failed because its own deadline passed."""
    return Failed(name="TimedOut", message=message, data=data)


def Crashed(*, message: str | None = None, cause: str | None = None, data: Any = None) -> State:
    """Ended by something that is not user code's to answer for: a signal, a dead owner, a bug of ours."""
    return _state(StateType.CRASHED, "Crashed", message, data, cause=cause)


def aggregate(states: Iterable[State]) -> State:
    """The one state that stands for several: all completed, else any cancelled, else any paused, else failed.

    Prefect 2's rule (ST-08): the message counts, the data of a Failed aggregate are the states themselves.
    """
    given = tuple(states)
    total = len(given)
    if all(state.is_completed for state in given):
        return Completed(message="All states completed.", data=given)
    types = [state.type for state in given]
    if cancelled := types.count(StateType.CANCELLED):
        return Cancelled(message=f"{cancelled}/{total} states cancelled.", data=given)
    for paused in given:
        if paused.type in {StateType.PAUSED, StateType.SUSPENDED}:
            return evolve(paused, data=given)
    if unfinished := sum(not state.is_final for state in given):
        return Failed(message=f"{unfinished}/{total} states are not final.", data=given)
    failed = sum(not state.is_completed for state in given)
    return Failed(message=f"{failed}/{total} states failed.", data=given)


def resumed(state: State | None, now: datetime) -> State | None:
    """What to propose for a run in ``state`` so that it goes on after its pause; None when it is not paused."""
    match state.type if state else None:
        case StateType.PAUSED:
            return Running()
        case StateType.SUSPENDED:
            return Resuming(now)
        case _:
            return None
