"""Which runs a schedule owes: after a downtime, ahead, while paused, and beside others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from trioflow.core.schedules import CronSchedule, IntervalSchedule
from trioflow.core.schedules.window import (
    LATEST,
    SKIP,
    CatchUp,
    Overlap,
    Plan,
    Planning,
    Standing,
    Turns,
    last_fires,
    plan,
    take_turns,
)
from trioflow.errors import InvalidSchedule

HOUR = timedelta(hours=1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOURLY = CronSchedule("@hourly")
NONE_AHEAD = timedelta()


def hours(*offsets: int) -> tuple[datetime, ...]:
    return tuple(NOON + offset * HOUR for offset in offsets)


def standing(looked: datetime | None, *planned: int, paused: bool = False) -> Standing:
    return Standing(schedule=HOURLY, looked=looked, planned=frozenset(hours(*planned)), paused=paused)


# --- ahead


def test_a_new_schedule_is_planned_ahead_and_owes_nothing():
    decided = plan(standing(None), NOON, Planning(runs_ahead=3))

    assert decided == Plan(create=hours(1, 2, 3))


def test_no_more_runs_are_planned_than_the_horizon_holds():
    decided = plan(standing(NOON), NOON, Planning(horizon=2 * HOUR))

    assert decided == Plan(create=hours(1, 2))


def test_what_is_planned_already_is_not_planned_twice():
    decided = plan(standing(NOON, 1, 3), NOON, Planning(runs_ahead=3))

    assert decided == Plan(create=hours(2))


def test_looking_again_changes_nothing():
    assert plan(standing(NOON, 1, 2, 3), NOON, Planning(runs_ahead=3)) == Plan()


# --- due


def test_between_two_looks_everything_is_due():
    often = Standing(schedule=IntervalSchedule(20), looked=NOON - timedelta(seconds=60))
    fires = tuple(NOON - timedelta(seconds=seconds) for seconds in (40, 20, 0))

    assert plan(often, NOON, Planning(catch_up=SKIP, horizon=NONE_AHEAD)) == Plan(create=fires)


def test_a_planned_run_that_nobody_started_yet_stays_while_the_scheduler_lives():
    now = NOON + timedelta(seconds=30)

    assert plan(standing(now - timedelta(seconds=1), -1, 0), now, Planning(horizon=NONE_AHEAD)) == Plan()


@pytest.mark.parametrize(
    ("catch_up", "created"),
    [(SKIP, ()), (LATEST, (0,)), (CatchUp(3), (-2, -1, 0)), (CatchUp(1_000), tuple(range(-23, 1)))],
)
def test_after_a_day_down_the_policy_says_what_is_made_up_for(catch_up, created):
    decided = plan(standing(NOON - 24 * HOUR), NOON, Planning(catch_up=catch_up, horizon=NONE_AHEAD))

    assert decided == Plan(create=hours(*created))


def test_runs_planned_before_a_downtime_follow_the_policy_too():
    decided = plan(standing(NOON - 3 * HOUR, -4, -3, -2, -1, 1), NOON, Planning(runs_ahead=2))

    assert decided == Plan(create=hours(0, 2), drop=hours(-2, -1))


def test_what_is_due_at_this_moment_follows_the_policy_as_well():
    decided = plan(standing(NOON - 3 * HOUR, -3, -2, 0), NOON, Planning(catch_up=SKIP, horizon=NONE_AHEAD))

    assert decided == Plan(drop=hours(-2, 0))


def test_a_clock_set_back_plans_nothing_that_is_settled():
    decided = plan(standing(NOON + HOUR), NOON, Planning(runs_ahead=2))

    assert decided == Plan(create=hours(2, 3))


def test_a_pause_takes_the_planned_runs_away_and_owes_nothing_afterwards():
    assert plan(standing(NOON - HOUR, 0, 1), NOON, Planning()).drop == ()
    assert plan(standing(NOON - HOUR, 1, 0, paused=True), NOON, Planning()) == Plan(drop=hours(0, 1))
    assert plan(standing(NOON), NOON, Planning(runs_ahead=1)) == Plan(create=hours(1))


def test_the_last_fires_of_a_million_are_found_by_a_few_looks():
    """A second's interval after a year's downtime: 31.5 million fires."""
    looks = []

    class Counted(IntervalSchedule):
        def between(self, start, end, limit):
            looks.append(limit)
            return super().between(start, end, limit)

    found = last_fires(Counted(1), NOON - timedelta(days=365), NOON, 3)

    assert found == [NOON - timedelta(seconds=2), NOON - timedelta(seconds=1), NOON]
    assert sum(looks) < 6 * 40


def test_fires_in_a_burst_long_ago_are_found():
    schedule = CronSchedule("* 0 1 1 *")
    end = datetime(2026, 12, 31, tzinfo=UTC)

    assert last_fires(schedule, datetime(2000, 6, 1, tzinfo=UTC), end, 2) == [
        datetime(2026, 1, 1, 0, 58, tzinfo=UTC),
        datetime(2026, 1, 1, 0, 59, tzinfo=UTC),
    ]


# --- policies, spelt


@pytest.mark.parametrize("text", ["skip", "latest", "all(20)"])
def test_a_catch_up_policy_is_read_as_it_is_spelt(text):
    assert str(CatchUp.named(text)) == text


@pytest.mark.parametrize("text", ["", "all", "all(-1)", "all(x)", "none", "all(1001)", "all(9999999999)"])
def test_no_other_catch_up_policy_is_known(text):
    with pytest.raises(
        InvalidSchedule, match=r"there is no catch-up|catch-up makes up for 0 to 1000 runs, not 1001"
    ):
        CatchUp.named(text)


@pytest.mark.parametrize("wrong", [{"runs_ahead": -1}, {"horizon": -HOUR}, {"tolerance": -HOUR}])
def test_planning_needs_no_negative_numbers(wrong):
    with pytest.raises(InvalidSchedule, match="0 or more"):
        Planning(**wrong)


def test_what_is_not_said_about_planning():
    assert Planning() == Planning(
        catch_up=CatchUp(1),
        runs_ahead=100,
        horizon=timedelta(days=100),
        tolerance=timedelta(minutes=1),
    )


# --- overlap


def test_overlap_policies_are_told_and_stored_by_these_words():
    assert [*Overlap] == ["allow", "skip", "buffer_one", "cancel_other"]


@pytest.mark.parametrize(
    ("overlap", "due", "active", "turns"),
    [
        (Overlap.ALLOW, "ab", "x", Turns(start="ab")),
        (Overlap.SKIP, "ab", "x", Turns(drop="ab")),
        (Overlap.SKIP, "ab", "", Turns(start="a", drop="b")),
        (Overlap.BUFFER_ONE, "abc", "x", Turns(wait="a", drop="bc")),
        (Overlap.BUFFER_ONE, "abc", "", Turns(start="a", wait="b", drop="c")),
        (Overlap.CANCEL_OTHER, "abc", "xy", Turns(wait="c", drop="ab", cancel="xy")),
        (Overlap.CANCEL_OTHER, "abc", "", Turns(start="c", drop="ab")),
        (Overlap.CANCEL_OTHER, "", "x", Turns()),
    ],
)
def test_runs_that_are_due_together_take_turns(overlap, due, active, turns):
    found = take_turns(overlap, due, active)

    assert Turns(
        **{name: "".join(getattr(found, name)) for name in ("start", "wait", "drop", "cancel")}
    ) == Turns(**{name: "".join(getattr(turns, name)) for name in ("start", "wait", "drop", "cancel")})


def test_a_downtime_is_measured_in_real_time():
    """The clocks of New York show the same time when the hour has come again."""
    zone = ZoneInfo("America/New_York")
    looked, now = (datetime(2026, 11, 1, hour, 30, tzinfo=UTC).astimezone(zone) for hour in (5, 6))
    decided = plan(standing(looked), now, Planning(catch_up=SKIP, horizon=NONE_AHEAD))

    assert (looked.hour, now.hour, decided) == (1, 1, Plan())
