"""RRULEs, one of each shape: what dateutil finds by walking from the start, we find from anywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr

from trioflow.core.schedules import RRuleSchedule
from trioflow.errors import InvalidSchedule

START = datetime(2026, 1, 10, 8, 30, 15, tzinfo=UTC)
"""A Saturday."""
FIRES = 12

RULES = [
    "FREQ=YEARLY",
    "FREQ=YEARLY;INTERVAL=3",
    "FREQ=YEARLY;BYMONTH=1,7;BYMONTHDAY=-1,9",
    "FREQ=YEARLY;BYMONTHDAY=9,10",
    "FREQ=YEARLY;BYYEARDAY=1,10,100,-1",
    "FREQ=YEARLY;INTERVAL=2;BYWEEKNO=20,-1",
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=SU;WKST=SU",
    "FREQ=YEARLY;BYDAY=20MO,-1SU",
    "FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
    "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
    "FREQ=YEARLY;BYDAY=MO;BYHOUR=6,18;BYSETPOS=2,-104,105",
    "FREQ=YEARLY;BYMONTHDAY=1,15;BYSETPOS=3,-2",
    "FREQ=MONTHLY",
    "FREQ=MONTHLY;INTERVAL=5",
    "FREQ=MONTHLY;INTERVAL=13;BYMONTHDAY=1,28",
    "FREQ=MONTHLY;BYMONTHDAY=31",
    "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=5",
    "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-5",
    "FREQ=MONTHLY;BYDAY=2TU,-1FR",
    "FREQ=MONTHLY;BYDAY=TU,WE,TH;BYSETPOS=3,1",
    "FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR",
    "FREQ=WEEKLY",
    "FREQ=WEEKLY;INTERVAL=3;WKST=WE;BYDAY=TU,WE,SA",
    "FREQ=WEEKLY;BYDAY=SA,SU;BYHOUR=6,18;BYSETPOS=-1,1",
    "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,SA;BYMONTH=2,12",
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=10",
    "FREQ=DAILY;INTERVAL=2;BYMONTH=1;BYHOUR=9,17;BYMINUTE=0,30;BYSETPOS=2,-1",
    "FREQ=DAILY;BYHOUR=8,9;BYMINUTE=30,31;BYSECOND=14,15,16",
    "FREQ=DAILY;BYDAY=MO,TU",
    "FREQ=HOURLY",
    "FREQ=HOURLY;INTERVAL=5",
    "FREQ=HOURLY;INTERVAL=7;BYHOUR=9,10",
    "FREQ=HOURLY;INTERVAL=24;BYHOUR=8",
    "FREQ=HOURLY;BYMINUTE=0,30,40;BYHOUR=8,22,23",
    "FREQ=HOURLY;INTERVAL=30;BYDAY=MO",
    "FREQ=HOURLY;BYSECOND=0,30;BYMONTHDAY=10,31",
    "FREQ=MINUTELY",
    "FREQ=MINUTELY;INTERVAL=7",
    "FREQ=MINUTELY;INTERVAL=50;BYHOUR=3,4",
    "FREQ=MINUTELY;INTERVAL=11;BYMINUTE=0,30;BYDAY=SU",
    "FREQ=MINUTELY;BYSECOND=15,45;BYHOUR=0;BYMONTHDAY=1",
    "FREQ=MINUTELY;INTERVAL=1440;BYMONTHDAY=29",
]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_fires_when_dateutil_says(rule: str) -> None:
    fires = list(islice(rrulestr(f"RRULE:{rule}", dtstart=START), FIRES))
    schedule = RRuleSchedule(f"DTSTART:{START:%Y%m%dT%H%M%SZ}\nRRULE:{rule}")

    for after, due in enumerate([START - timedelta(days=500), *fires[:-1]]):
        assert schedule.between(due, fires[-1], FIRES) == fires[after:]


ONCE = [
    ("DTSTART:20260110T083000\nRRULE:FREQ=DAILY;UNTIL=20260110T083000", "2026-01-10T08:30"),
    ("DTSTART:20260110T083000\nRRULE:FREQ=HOURLY;COUNT=1", "2026-01-10T08:30"),
    ("DTSTART:20260110T083000\nRRULE:FREQ=MONTHLY;UNTIL=20260110T133000Z", "2026-01-10T08:30"),
    ("DTSTART:20260110\nRRULE:FREQ=YEARLY;UNTIL=20260110", "2026-01-10T00:00"),
]


@pytest.mark.parametrize(("text", "wall"), ONCE)
def test_a_rule_may_end_with_its_start(text: str, wall: str) -> None:
    fires = RRuleSchedule(text, "America/New_York").fires(datetime(2000, 1, 1, tzinfo=UTC))

    assert list(fires) == [datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo("America/New_York"))]


def test_a_rule_that_ends_just_before_its_start_is_refused() -> None:
    with pytest.raises(InvalidSchedule, match=r"it ends before it starts$"):
        RRuleSchedule("DTSTART:20260110T083000\nRRULE:FREQ=DAILY;UNTIL=20260110T082959")


def test_a_count_that_a_century_does_not_reach_is_no_end() -> None:
    schedule = RRuleSchedule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=26")

    assert schedule.next_after(datetime(2130, 1, 1, tzinfo=UTC)) == datetime(2132, 2, 29, tzinfo=UTC)


def test_a_rule_that_fires_once_in_a_century_is_one() -> None:
    """Of the years 2000, 2050 and 2100 one is a leap year."""
    fires = RRuleSchedule("DTSTART:20000229\nRRULE:FREQ=YEARLY;INTERVAL=50").fires(START.replace(year=1999))

    assert list(fires) == [datetime(2000, 2, 29, tzinfo=UTC)]


KATHMANDU = ZoneInfo("Asia/Kathmandu")
QUARTER_PAST = datetime(1985, 12, 31, 18, 30, tzinfo=UTC)
"""Since then the clocks of Nepal have been a quarter of an hour further on: the full hours show fifteen minutes."""


def hours_before(hours: int) -> str:
    start = QUARTER_PAST.astimezone(KATHMANDU) - timedelta(hours=hours, minutes=15)
    return f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:FREQ=MINUTELY;INTERVAL=60;BYMINUTE=15"


def test_twenty_thousand_times_are_looked_at_in_vain() -> None:
    schedule = RRuleSchedule(hours_before(20_000), KATHMANDU.key)

    assert schedule.next_after(datetime(1970, 1, 1, tzinfo=UTC)) == QUARTER_PAST
    with pytest.raises(InvalidSchedule) as refused:
        RRuleSchedule(hours_before(20_001), KATHMANDU.key)
    assert str(refused.value) == (
        f"the RRULE {hours_before(20_001)!r} cannot be: it never fires, since no such day or time comes"
    )


def test_a_hundred_characters_of_a_rule_are_told() -> None:
    with pytest.raises(InvalidSchedule) as refused:
        RRuleSchedule("X" * 102)
    assert str(refused.value) == (
        f"the RRULE {'X' * 100!r} cannot be: {'X' * 102!r} cannot be part of an RRULE:"
        " write NAME=value, each name once"
    )


def test_a_minute_that_comes_again_at_once_is_due_again_and_no_instant_twice() -> None:
    """In St. John's the hour from 23:01 came again after one minute of the next day."""
    schedule = RRuleSchedule("DTSTART:20100101\nRRULE:FREQ=HOURLY;BYMINUTE=1", "America/St_Johns")
    start = datetime(2010, 11, 7, 1, tzinfo=UTC)

    assert schedule.between(start, start + timedelta(hours=3), 9) == [
        start.replace(minute=31) + timedelta(hours=hours) for hours in range(3)
    ]


def test_days_are_looked_for_through_a_century_and_no_further() -> None:
    schedule = RRuleSchedule("FREQ=YEARLY")
    looked = datetime(2030, 1, 1, tzinfo=UTC)

    assert list(schedule.fires(looked)) == [datetime(year, 1, 1, tzinfo=UTC) for year in range(2031, 2131)]
    last = datetime(9998, 1, 1, tzinfo=UTC)
    assert list(schedule.fires(datetime(9997, 6, 1, tzinfo=UTC))) == [last]
    assert schedule.next_after(last) is None


@pytest.mark.parametrize(
    ("rule", "day", "shown"),
    [
        ("FREQ=HOURLY;BYHOUR=1,2,3", "2026-03-08", ["01:00-0500", "03:00-0400"]),
        ("FREQ=HOURLY;BYHOUR=1,2", "2026-11-01", ["01:00-0400", "01:00-0500", "02:00-0500"]),
        ("FREQ=HOURLY;BYHOUR=1;BYMINUTE=0,30", "2026-11-01", ["01:00-0400", "01:30-0400", "01:00-0500", "01:30-0500"]),
        ("FREQ=MINUTELY;INTERVAL=45;BYHOUR=1,3", "2026-03-08", ["01:30-0500", "03:15-0400"]),
        ("FREQ=HOURLY;INTERVAL=12", "2026-03-08", ["00:00-0500", "13:00-0400"]),
        ("FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,30", "2026-03-08", ["03:00-0400", "03:30-0400"]),
    ],
)  # fmt: skip
def test_hours_are_looked_at_by_the_clocks(rule: str, day: str, shown: list[str]) -> None:
    zone = ZoneInfo("America/New_York")
    midnight = datetime.fromisoformat(day).replace(tzinfo=zone)
    fires = RRuleSchedule(rule, zone.key).between(
        midnight - timedelta.resolution, midnight + timedelta(days=1) - timedelta.resolution, 99
    )

    assert [f"{fire.astimezone(zone):%H:%M%z}" for fire in fires] == shown
