"""Intervals: anchor + k × interval, by the wall clock for whole days and in real time otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pendulum
import pytest

from trioflow.core.schedules import IntervalSchedule
from trioflow.errors import InvalidSchedule

NEW_YORK = "America/New_York"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def shown(schedule: IntervalSchedule, start: str, count: int) -> list[str]:
    zone = ZoneInfo(schedule.zone)
    begin = datetime.fromisoformat(start).replace(tzinfo=zone).astimezone(UTC)
    fires = schedule.between(begin, begin + timedelta(days=1_000), count)
    return [f"{fire.astimezone(zone):%m-%d %H:%M%z}" for fire in fires]


@pytest.mark.parametrize(
    ("anchor", "start", "fires"),
    [
        ("2020-01-01T02:30", "2026-03-07", ["03-07 02:30-0500", "03-08 03:00-0400", "03-09 02:30-0400"]),
        ("2020-07-01T01:30", "2026-10-31", ["10-31 01:30-0400", "11-01 01:30-0400", "11-02 01:30-0500"]),
    ],
)
def test_a_daily_interval_keeps_its_wall_time(anchor, start, fires):
    schedule = IntervalSchedule(DAY, datetime.fromisoformat(anchor), NEW_YORK)

    assert shown(schedule, start, 3) == fires


def test_an_hourly_interval_is_real_time():
    assert shown(IntervalSchedule(HOUR, zone=NEW_YORK), "2026-11-01T00:30", 4) == [
        "11-01 01:00-0400",
        "11-01 01:00-0500",
        "11-01 02:00-0500",
        "11-01 03:00-0500",
    ]


def test_a_day_and_a_half_is_real_time():
    schedule = IntervalSchedule(36 * HOUR, datetime(2026, 10, 31, 12, tzinfo=UTC), NEW_YORK)

    assert schedule.next_after(datetime(2026, 10, 31, 12, tzinfo=UTC)) == datetime(2026, 11, 2, tzinfo=UTC)


def test_the_anchor_sets_the_phase_and_not_the_beginning():
    schedule = IntervalSchedule(600, datetime(2030, 1, 1, 0, 7, tzinfo=UTC))

    assert schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 1, 0, 7, tzinfo=UTC)


def test_the_default_anchor_is_midnight_of_2020_in_the_zone():
    here = IntervalSchedule(7 * DAY, zone="Asia/Kathmandu")

    assert here.canonical == "every 604800 from 2019-12-31T18:15:00.000000Z"
    assert here.next_after(datetime(2019, 12, 31, tzinfo=UTC)) == datetime(2019, 12, 31, 18, 15, tzinfo=UTC)


def test_a_midnight_that_is_skipped_and_the_one_after_it_are_due_once():
    assert shown(IntervalSchedule(DAY, zone="Pacific/Apia"), "2011-12-28T12:00", 3) == [
        "12-29 00:00-1000",
        "12-31 00:00+1400",
        "01-01 00:00+1400",
    ]


def test_an_anchor_in_a_gap_keeps_its_wall_time_on_other_days():
    schedule = IntervalSchedule(DAY, datetime.fromisoformat("2026-03-08T02:30"), NEW_YORK)

    assert shown(schedule, "2026-03-08T00:00", 2) == ["03-08 03:00-0400", "03-09 02:30-0400"]


@pytest.mark.behaviour("DP-04")
@pytest.mark.parametrize("every", [90, 90.0, timedelta(minutes=1, seconds=30), pendulum.duration(seconds=90)])
def test_an_interval_is_a_number_of_seconds_or_a_timedelta(every):
    schedule = IntervalSchedule(every)

    assert schedule == IntervalSchedule(timedelta(seconds=90))
    assert type(schedule.every) is timedelta
    assert schedule.canonical == "every 90 from 2020-01-01T00:00:00.000000Z"


def test_fractions_of_a_second_are_spelt_out():
    assert IntervalSchedule(0.25).canonical == "every 0.25 from 2020-01-01T00:00:00.000000Z"


def test_anchors_and_instants_of_another_library_are_taken_for_what_they_are():
    theirs = IntervalSchedule(HOUR, pendulum.datetime(2026, 1, 1, 0, 30))
    fire = theirs.next_after(pendulum.datetime(2026, 1, 1, tz=NEW_YORK))

    assert theirs == IntervalSchedule(HOUR, datetime(2026, 1, 1, 0, 30, tzinfo=UTC))
    assert (type(fire), fire) == (datetime, datetime(2026, 1, 1, 5, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("every", "fault"),
    [
        (0, "an interval is longer than 0 seconds, not 0"),
        (-5, "an interval is longer than 0 seconds, not -5"),
        (timedelta(), "an interval is longer than 0 seconds, not 0"),
        (1e-9, "an interval is longer than 0 seconds, not 0"),
        (float("nan"), "an interval is a number of seconds or a timedelta, not nan"),
        (float("inf"), "an interval is a number of seconds or a timedelta, not inf"),
        (1e300, "an interval is a number of seconds or a timedelta, not 1e+300"),
        (True, "an interval is a number of seconds or a timedelta, not True"),
        ("5m", "an interval is a number of seconds or a timedelta, not '5m'"),
    ],
)
def test_what_is_no_interval_is_refused(every, fault):
    with pytest.raises(InvalidSchedule) as refused:
        IntervalSchedule(every)

    assert str(refused.value) == fault


def test_an_anchor_is_a_datetime():
    with pytest.raises(InvalidSchedule, match="an anchor is a datetime, not '2020-01-01'"):
        IntervalSchedule(60, "2020-01-01")


@pytest.mark.parametrize(
    "every", [timedelta.max, timedelta(days=400_000), timedelta(days=400_000, seconds=1)]
)
def test_an_interval_longer_than_the_calendar_ends(every):
    fires = IntervalSchedule(every).fires(datetime(2020, 1, 1, tzinfo=UTC) - timedelta.resolution)

    assert list(fires)[:1] == [datetime(2020, 1, 1, tzinfo=UTC)]
    assert IntervalSchedule(every).next_after(datetime(9700, 1, 1, tzinfo=UTC)) is None
