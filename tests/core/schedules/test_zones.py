"""Wall clocks: where time is cut, what is shown when, and the years that can be computed with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pendulum
import pytest

from trioflow.core.schedules.zones import (
    Stretch,
    as_utc,
    first_shown,
    plain,
    stretches,
    wall_time,
    zone_named,
)
from trioflow.errors import InvalidSchedule

NEW_YORK, DUBLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Dublin")
HOUR = timedelta(hours=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_time_is_cut_where_the_clocks_change_and_at_the_end_of_each_year() -> None:
    assert list(islice(stretches(NEW_YORK, utc("2026-02-01T12:00")), 4)) == [
        Stretch(utc("2026-02-01T12:00"), utc("2026-03-08T07:00"), -5 * HOUR),
        Stretch(utc("2026-03-08T07:00"), utc("2026-11-01T06:00"), -4 * HOUR),
        Stretch(utc("2026-11-01T06:00"), utc("2027-01-01"), -5 * HOUR),
        Stretch(utc("2027-01-01"), utc("2027-03-14T07:00"), -5 * HOUR),
    ]


def test_time_is_cut_from_where_it_is_looked_at() -> None:
    change = utc("2026-03-08T07:00")

    assert next(stretches(NEW_YORK, change)) == Stretch(change, utc("2026-11-01T06:00"), -4 * HOUR)


@pytest.mark.parametrize(
    ("begin", "ends"), [("2026-06-01", range(2027, 2128)), ("9996-01-01", range(9997, 10_000))]
)
def test_a_century_is_looked_at_or_as_much_as_there_is(begin: str, ends: range) -> None:
    found = list(stretches(ZoneInfo("UTC"), utc(begin)))

    assert [stretch.end for stretch in found] == [datetime(year, 1, 1, tzinfo=UTC) for year in ends]
    assert {stretch.offset for stretch in found} == {timedelta()}


def test_a_change_is_found_to_the_second() -> None:
    """Until 1916 the clocks of Dublin were 25 minutes and 21 seconds behind Greenwich."""
    behind, change = -timedelta(minutes=25, seconds=21), utc("1916-05-21T02:25:21")

    assert next(stretches(DUBLIN, utc("1916-05-01"))) == Stretch(utc("1916-05-01"), change, behind)
    assert first_shown(wall("1916-05-21T02:30"), DUBLIN) == change
    assert first_shown(wall("1916-05-21T01:59:59"), DUBLIN) == change - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("shown", "first"),
    [
        ("2026-01-01T12:00:00.000007", "2026-01-01T17:00:00.000007"),
        ("2026-03-08T01:59:59.999999", "2026-03-08T06:59:59.999999"),
        ("2026-03-08T02:00", "2026-03-08T07:00"),
        ("2026-03-08T02:59:59.999999", "2026-03-08T07:00"),
        ("2026-03-08T03:00", "2026-03-08T07:00"),
        ("2026-11-01T01:00", "2026-11-01T05:00"),
        ("2026-11-01T01:59:59.999999", "2026-11-01T05:59:59.999999"),
        ("2026-11-01T02:00", "2026-11-01T07:00"),
    ],
)
def test_a_wall_time_is_first_shown(shown: str, first: str) -> None:
    assert first_shown(wall(shown), NEW_YORK) == utc(first)


def test_what_the_clocks_show_is_the_same_in_both_passes_of_an_hour() -> None:
    passes = [wall_time(utc(f"2026-11-01T0{hour}:30"), NEW_YORK) for hour in (5, 6)]

    assert [(each, each.fold) for each in passes] == [(wall("2026-11-01T01:30"), 0)] * 2
    assert {first_shown(each, NEW_YORK) for each in passes} == {utc("2026-11-01T05:30")}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0001-12-31T23:59", "0002-01-01T00:00"),
        ("0002-01-01T00:01", "0002-01-01T00:01"),
        ("9998-12-31T23:59", "9998-12-31T23:59"),
        ("9999-01-01T00:01", "9999-01-01T00:00"),
    ],
)
def test_an_instant_is_kept_within_the_years_that_can_be_computed_with(given: str, kept: str) -> None:
    assert as_utc(utc(given)) == utc(kept)


def test_an_instant_is_a_plain_one_in_utc() -> None:
    theirs = pendulum.datetime(2026, 1, 1, 3, 4, 5, 6, tz="America/New_York")
    ours = as_utc(theirs)

    assert (type(ours), ours, ours.tzinfo) == (datetime, utc("2026-01-01T08:04:05.000006"), UTC)
    assert plain(ours) is ours
    assert type(plain(theirs)) is datetime
    assert plain(theirs) == theirs


@pytest.mark.parametrize("name", ["Mars/Base", "", None])
def test_there_is_no_such_zone(name: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        zone_named(name)

    assert str(refused.value) == (
        f"there is no time zone {name!r}: name one as 'Europe/London', 'America/New_York' or 'UTC'"
    )
