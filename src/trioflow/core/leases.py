"""Leases: who owns a run until when. Pure arithmetic; the database's side alone says what time it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from attrs import frozen

from trioflow.core.runs import FlowRun
from trioflow.core.states import Cancelled, Crashed, Scheduled, State, StateType
from trioflow.errors import InvalidSetting

LEASE_SECONDS = 30.0
GRACE_SECONDS = 10.0

LEASE_EXPIRED = "lease_expired"
"""The cause on a state that was written because nobody renewed the run's lease any more."""


@frozen(kw_only=True)
class Owner:
    """The process that runs a run's code; ``started`` tells it from a later one with the same pid."""

    host: str
    """Changes with every boot, so that a pid is never compared across one."""
    pid: int
    started: int
    """Ticks since boot at which the process started."""


@frozen(kw_only=True)
class Lease:
    """The right of ``owner`` to run ``run_id``'s code until ``expires``; ``epoch`` is the token that fences it."""

    run_id: UUID
    epoch: int
    owner: Owner
    expires: datetime

    def expired(self, now: datetime) -> bool:
        """Whether the owner has let it lapse."""
        return now >= self.expires


def lease_end(now: datetime) -> datetime:
    """When a lease granted or renewed at ``now`` ends."""
    return now + timedelta(seconds=LEASE_SECONDS)


def state_after_reaping(run: FlowRun, now: datetime) -> State | None:
    """The state to propose for a flow run whose owner is gone; None when it can stay as it is.

    A run that somebody else can still pick up goes back to where it is claimable; one that was being cancelled is;
    all others crashed.
    """
    claimable_again = run.deployment_id is not None
    due = run.state.details.scheduled_time if run.state else None
    match run.state.type if run.state else None:
        case None | StateType.SUSPENDED:
            return None
        case StateType.SCHEDULED if claimable_again:
            return None
        case StateType.PENDING if claimable_again:
            return Scheduled(due or now)
        case StateType.CANCELLING:
            return Cancelled(message="Its owner is gone.", cause=LEASE_EXPIRED)
        case type_ if type_.is_final:
            return None
        case _:
            return Crashed(message="The process that ran it is gone.", cause=LEASE_EXPIRED)


def check_grace(seconds: float) -> float:
    """Give the grace period back, in seconds.

    Raises:
        InvalidSetting: a tree that takes that long to end would outlive its lease.
    """
    limit = LEASE_SECONDS * 2 / 3 - 2
    if not 0 <= seconds <= limit:
        message = (
            f"grace must be between 0 and {limit:g} s (two thirds of the lease, less 2 s), not {seconds:g} s"
        )
        raise InvalidSetting(message)
    return seconds
