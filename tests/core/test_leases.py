"""Who owns a run until when, and what becomes of one whose owner is gone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.core.asking import BEFORE, DEPLOYMENT, NOW, RUN, flow_run
from trioflow.core.leases import GRACE_SECONDS, Lease, Owner, check_grace, lease_end, state_after_reaping
from trioflow.core.states import (
    AwaitingRetry,
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Paused,
    Pending,
    Running,
    Scheduled,
    State,
    Suspended,
)
from trioflow.errors import InvalidSetting

OWNER = Owner(host="boot", pid=1, started=2)


def test_a_lease_is_good_for_thirty_seconds() -> None:
    lease = Lease(run_id=RUN, epoch=3, owner=OWNER, expires=lease_end(NOW))
    assert not lease.expired(NOW + timedelta(seconds=29))
    assert lease.expired(NOW + timedelta(seconds=30))


CRASHED = Crashed(message="The process that ran it is gone.", cause="lease_expired")
CANCELLED = Cancelled(message="Its owner is gone.", cause="lease_expired")
REAPED = {
    "no state": (None, None, None),
    "scheduled": (Scheduled(NOW), CRASHED, None),
    "awaiting retry": (AwaitingRetry(NOW), CRASHED, None),
    "claimed": (Pending().with_details(scheduled_time=BEFORE), CRASHED, Scheduled(BEFORE)),
    "pending": (Pending(), CRASHED, Scheduled(NOW)),
    "running": (Running(), CRASHED, CRASHED),
    "paused": (Paused(), CRASHED, CRASHED),
    "suspended": (Suspended(), None, None),
    "cancelling": (Cancelling(), CANCELLED, CANCELLED),
    "over": (Completed(), None, None),
}


@pytest.mark.promise("P1", "P8")
@pytest.mark.parametrize(("current", "local", "deployed"), REAPED.values(), ids=REAPED)
def test_what_becomes_of_a_run_whose_owner_is_gone(
    current: State | None, local: State | None, deployed: State | None
) -> None:
    assert state_after_reaping(flow_run(current), NOW) == local
    assert state_after_reaping(flow_run(current, deployment_id=DEPLOYMENT), NOW) == deployed


@pytest.mark.parametrize("seconds", [0, 10, 18])
def test_a_grace_that_ends_within_the_lease_is_kept(seconds: float) -> None:
    assert check_grace(seconds) == seconds


@pytest.mark.parametrize("seconds", [-1, 18.1, float("nan")])
def test_a_grace_that_outlives_the_lease_is_refused(seconds: float) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        check_grace(seconds)
    assert str(refusal.value) == (
        f"grace must be between 0 and 18 s (two thirds of the lease, less 2 s), not {seconds:g} s"
    )


def test_who_says_nothing_gets_ten_seconds_of_grace() -> None:
    assert check_grace(GRACE_SECONDS) == 10
