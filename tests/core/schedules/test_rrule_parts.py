"""The parts of an RRULE: each at both ends of its range, spelt in one order, and what is beyond is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trioflow.core.schedules.rrule_parts import DayFilter, Freq, Rule, read_rule
from trioflow.errors import InvalidSchedule

START = datetime.fromisoformat("2020-01-01")


def read(text: str, zone: str = "UTC") -> Rule:
    return read_rule(text, zone)


def listed(count: int) -> str:
    return ",".join(map(str, range(count)))


def test_each_frequency_is_about_as_long_as_the_longest_of_its_kind() -> None:
    assert {freq.name: freq.length for freq in Freq} == {
        "YEARLY": timedelta(days=366),
        "MONTHLY": timedelta(days=31),
        "WEEKLY": timedelta(days=7),
        "DAILY": timedelta(days=1),
        "HOURLY": timedelta(hours=1),
        "MINUTELY": timedelta(minutes=1),
    }


SAID = {
    "FREQ=DAILY": Rule(freq=Freq.DAILY, start=START),
    "freq=daily": Rule(freq=Freq.DAILY, start=START),
    ";FREQ=DAILY;": Rule(freq=Freq.DAILY, start=START),
    "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=TU,MO": Rule(
        freq=Freq.WEEKLY, start=START, interval=2, days=DayFilter(weekdays=((0, 0), (1, 0)), weekstart=6)
    ),
    "FREQ=MONTHLY;BYDAY=+1MO,-1FR,53SU;COUNT=3;BYSETPOS=-1,1": Rule(
        freq=Freq.MONTHLY,
        start=START,
        count=3,
        setpos=(-1, 1),
        days=DayFilter(weekdays=((0, 1), (4, -1), (6, 53))),
    ),
    "FREQ=YEARLY;BYMONTH=12,1;BYMONTHDAY=31,-31;BYYEARDAY=-366,366;BYWEEKNO=53,-53": Rule(
        freq=Freq.YEARLY,
        start=START,
        days=DayFilter(months=(1, 12), monthdays=(-31, 31), yeardays=(-366, 366), weeknos=(-53, 53)),
    ),
    "FREQ=HOURLY;BYHOUR=23,0;BYMINUTE=59,0;BYSECOND=59,0": Rule(
        freq=Freq.HOURLY, start=START, hours=(0, 23), minutes=(0, 59), seconds=(0, 59)
    ),
    "FREQ=DAILY;UNTIL=20300102": Rule(
        freq=Freq.DAILY, start=START, until=datetime.fromisoformat("2030-01-02T23:59:59")
    ),
    "DTSTART:20260110T083001Z\nRRULE:FREQ=MINUTELY;UNTIL=20300102T030405Z": Rule(
        freq=Freq.MINUTELY,
        start=datetime(2026, 1, 10, 8, 30, 1, tzinfo=UTC),
        until=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    ),
    "DTSTART;TZID=UTC:20260110T083000 RRULE:FREQ=DAILY": Rule(
        freq=Freq.DAILY, start=datetime.fromisoformat("2026-01-10T08:30")
    ),
    "DTSTART;VALUE=DATE:20260110 RRULE:FREQ=DAILY": Rule(
        freq=Freq.DAILY, start=datetime.fromisoformat("2026-01-10")
    ),
    "DTSTART:19000101 RRULE:FREQ=DAILY": Rule(freq=Freq.DAILY, start=datetime.fromisoformat("1900-01-01")),
    "DTSTART:90001231 RRULE:FREQ=DAILY": Rule(freq=Freq.DAILY, start=datetime.fromisoformat("9000-12-31")),
    "FREQ=DAILY;COUNT=1": Rule(freq=Freq.DAILY, start=START, count=1),
    "FREQ=DAILY;COUNT=10000": Rule(freq=Freq.DAILY, start=START, count=10_000),
    "FREQ=YEARLY;INTERVAL=50": Rule(freq=Freq.YEARLY, start=START, interval=50),
    "FREQ=DAILY;INTERVAL=18300": Rule(freq=Freq.DAILY, start=START, interval=18_300),
    "FREQ=MINUTELY;INTERVAL=26352000": Rule(freq=Freq.MINUTELY, start=START, interval=26_352_000),
}


@pytest.mark.parametrize(("text", "rule"), SAID.items(), ids=SAID)
def test_a_rule_says(text: str, rule: Rule) -> None:
    assert read(text) == rule


WHOLE = (
    "DTSTART=20260110T083001Z;FREQ=YEARLY;INTERVAL=2;UNTIL=20300102T030405;WKST=SU;BYDAY=2TU,-1FR"
    ";BYMONTH=1,2;BYMONTHDAY=-1,3;BYYEARDAY=4,5;BYWEEKNO=6,7;BYHOUR=8;BYMINUTE=9;BYSECOND=10,11;BYSETPOS=-1"
)


def test_a_rule_is_spelt_with_all_its_parts_in_one_order() -> None:
    start, *parts = WHOLE.split(";")
    given = f"{start.replace('=', ':')} RRULE:{';'.join(reversed(parts))}"

    assert read(given).text == WHOLE
    assert read("FREQ=DAILY;INTERVAL=1;WKST=MO;COUNT=7").text == "DTSTART=20200101T000000;FREQ=DAILY;COUNT=7"


MONDAYS = DayFilter(weekdays=((0, 0),))
EVERY_DAY = DayFilter(weekdays=tuple((day, 0) for day in range(7)))
YEAR = tuple(range(1, 13))
COMPLETE = [
    ("FREQ=YEARLY", DayFilter(months=(5,), monthdays=(13,))),
    ("FREQ=YEARLY;BYMONTH=2,3", DayFilter(months=(2, 3), monthdays=(13,))),
    ("FREQ=YEARLY;BYDAY=MO", MONDAYS),
    ("FREQ=YEARLY;BYYEARDAY=7", DayFilter(yeardays=(7,))),
    ("FREQ=YEARLY;BYWEEKNO=7", DayFilter(weeknos=(7,))),
    ("FREQ=YEARLY;BYMONTHDAY=7", DayFilter(monthdays=(7,))),
    ("FREQ=MONTHLY", DayFilter(months=YEAR, monthdays=(13,))),
    ("FREQ=MONTHLY;BYMONTH=2", DayFilter(months=(2,), monthdays=(13,))),
    ("FREQ=MONTHLY;BYDAY=MO", DayFilter(months=YEAR, weekdays=((0, 0),))),
    ("FREQ=WEEKLY", DayFilter(weekdays=((2, 0),))),
    ("FREQ=DAILY", EVERY_DAY),
    ("FREQ=HOURLY", EVERY_DAY),
    ("FREQ=HOURLY;BYDAY=MO", MONDAYS),
]


@pytest.mark.parametrize(("text", "days"), COMPLETE, ids=[text for text, _ in COMPLETE])
def test_what_a_rule_leaves_open_its_start_says(text: str, days: DayFilter) -> None:
    """The thirteenth of May 2026 is a Wednesday."""
    start = datetime.fromisoformat("2026-05-13T10:20:30")
    rule = read(text).complete(start)

    times = ((), (), ()) if rule.freq >= Freq.HOURLY else ((10,), (20,), (30,))
    assert (rule.start, rule.days, (rule.hours, rule.minutes, rule.seconds)) == (start, days, times)


def test_times_that_a_rule_names_are_kept() -> None:
    rule = read("FREQ=DAILY;BYHOUR=1;BYMINUTE=2,3;BYSECOND=4,5,6").complete(START)

    assert (rule.hours, rule.minutes, rule.seconds, rule.times) == ((1,), (2, 3), (4, 5, 6), 6)


def number(low: int, high: int) -> str:
    return f"give a number from {low} to {high}"


STAMP = "is no time: write 20240131T093000, or ...Z for UTC"
PART = "cannot be part of an RRULE: write NAME=value, each name once"
OTHER_ZONE = "does not agree with the zone 'UTC': give the zone to the schedule"
HOURLY = "use FREQ=HOURLY"
EVERY_MINUTE = f"FREQ=DAILY;BYHOUR={listed(24)};BYMINUTE={listed(60)}"
FIVE_BY_FIVE = f"FREQ=DAILY;BYHOUR={listed(5)};BYMINUTE={listed(5)}"
BYDAY = "cannot be: give MO, 2TU (the second) or -1FR (the last)"
REFUSED = [
    ("FREQ=DAILY;INTERVAL=1000000000", f"INTERVAL=1000000000 cannot be: {number(1, 10**9)}"),
    ("FREQ=DAILY;INTERVAL=x", f"INTERVAL=X cannot be: {number(1, 10**9)}"),
    ("FREQ=DAILY;INTERVAL=18301", "INTERVAL=18301 of FREQ=DAILY is longer than 50 years"),
    ("FREQ=MONTHLY;INTERVAL=591", "INTERVAL=591 of FREQ=MONTHLY is longer than 50 years"),
    ("FREQ=WEEKLY;INTERVAL=2615", "INTERVAL=2615 of FREQ=WEEKLY is longer than 50 years"),
    ("FREQ=HOURLY;INTERVAL=439201", "INTERVAL=439201 of FREQ=HOURLY is longer than 50 years"),
    ("FREQ=DAILY;COUNT=0", f"COUNT=0 cannot be: {number(1, 10_000)}"),
    ("FREQ=DAILY;BYSETPOS=367", f"BYSETPOS=367 cannot be: {number(-366, 366)}"),
    ("FREQ=DAILY;BYSETPOS=-367", f"BYSETPOS=-367 cannot be: {number(-366, 366)}"),
    ("FREQ=DAILY;BYMONTH=13", f"BYMONTH=13 cannot be: {number(1, 12)}"),
    ("FREQ=DAILY;BYMONTH=0", f"BYMONTH=0 cannot be: {number(1, 12)}"),
    ("FREQ=DAILY;BYMONTHDAY=32", f"BYMONTHDAY=32 cannot be: {number(-31, 31)}"),
    ("FREQ=DAILY;BYMONTHDAY=-32", f"BYMONTHDAY=-32 cannot be: {number(-31, 31)}"),
    ("FREQ=DAILY;BYYEARDAY=367", f"BYYEARDAY=367 cannot be: {number(-366, 366)}"),
    ("FREQ=DAILY;BYYEARDAY=-367", f"BYYEARDAY=-367 cannot be: {number(-366, 366)}"),
    ("FREQ=YEARLY;BYWEEKNO=54", f"BYWEEKNO=54 cannot be: {number(-53, 53)}"),
    ("FREQ=YEARLY;BYWEEKNO=-54", f"BYWEEKNO=-54 cannot be: {number(-53, 53)}"),
    ("FREQ=DAILY;BYHOUR=-1", f"BYHOUR=-1 cannot be: {number(0, 23)}"),
    ("FREQ=DAILY;BYMINUTE=60", f"BYMINUTE=60 cannot be: {number(0, 59)}"),
    ("FREQ=DAILY;BYMINUTE=-1", f"BYMINUTE=-1 cannot be: {number(0, 59)}"),
    ("FREQ=DAILY;BYSECOND=60", f"BYSECOND=60 cannot be: {number(0, 59)}"),
    ("FREQ=DAILY;BYSECOND=-1", f"BYSECOND=-1 cannot be: {number(0, 59)}"),
    ("FREQ=YEARLY;BYYEARDAY=0", "BYYEARDAY=0 cannot be: count from 1, or from -1 for the last one"),
    ("FREQ=DAILY;BYSECOND=", f"'BYSECOND=' {PART}"),
    ("FREQ=DAILY;=5", " is no part of an RRULE: give FREQ, INTERVAL, COUNT, UNTIL, WKST or BY..."),
    ("FREQ=MONTHLY;BYDAY=54MO", f"BYDAY=54MO {BYDAY}"),
    ("FREQ=MONTHLY;BYDAY=-54MO", f"BYDAY=-54MO {BYDAY}"),
    ("FREQ=MONTHLY;BYDAY=0MO", f"BYDAY=0MO {BYDAY}"),
    ("FREQ=MONTHLY;BYDAY=MO,", f"BYDAY= {BYDAY}"),
    ("FREQ=WEEKLY;BYDAY=-1MO", "BYDAY=-1MO counts in a month or year: it needs FREQ=MONTHLY or YEARLY"),
    ("FREQ=MONTHLY;BYWEEKNO=1", "BYWEEKNO counts the weeks of a year: it needs FREQ=YEARLY, not MONTHLY"),
    ("FREQ=MINUTELY;BYSETPOS=1", "BYSETPOS picks from a day or longer: it needs FREQ=DAILY, not MINUTELY"),
    ("FREQ=FORTNIGHTLY", "FREQ=FORTNIGHTLY cannot be: give one of YEARLY, MONTHLY, WEEKLY, DAILY, HOURLY, MINUTELY"),
    ("FREQ=DAILY;UNTIL=20300101T25", f"UNTIL=20300101T25 {STAMP}"),
    ("DTSTART:20260230\nRRULE:FREQ=DAILY", f"DTSTART=20260230 {STAMP}"),
    ("DTSTART;TZID=:20260110\nRRULE:FREQ=DAILY", f"'DTSTART;TZID=:20260110' {OTHER_ZONE}"),
    ("DTSTART:\nRRULE:FREQ=DAILY", f"DTSTART= {STAMP}"),
    ("DTSTART:18991231\nRRULE:FREQ=DAILY", "DTSTART=18991231 is too far away: give a year from 1900 to 9000"),
    ("FREQ=DAILY;UNTIL=90010101", "UNTIL=90010101T235959 is too far away: give a year from 1900 to 9000"),
    (f"{EVERY_MINUTE};BYSECOND=0,1", f"it names 2880 times of day instead of at most 1440: {HOURLY}"),
    (f"{FIVE_BY_FIVE};BYSETPOS=1", f"it names 25 times of day instead of at most 24: {HOURLY}"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fault"), REFUSED, ids=[text[:40] for text, _ in REFUSED])
def test_a_rule_cannot_say(text: str, fault: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        read(text)

    assert str(refused.value) == fault


@pytest.mark.parametrize(
    "text",
    [
        EVERY_MINUTE,
        f"FREQ=YEARLY;BYHOUR={listed(24)};BYSETPOS=1",
        f"FREQ=HOURLY;BYHOUR={listed(24)};BYMINUTE={listed(60)};BYSECOND=0,1",
    ],
    ids=["every-minute", "picked-from", "of-an-hourly-rule"],
)
def test_so_many_times_of_day_may_be_named(text: str) -> None:
    assert read(text).hours == tuple(range(24))


def test_a_rule_has_at_most_four_thousand_characters() -> None:
    assert read("FREQ=DAILY".ljust(4_000)) == Rule(freq=Freq.DAILY, start=START)
    with pytest.raises(InvalidSchedule, match=r"^it has 4001 characters instead of at most 4000$"):
        read("FREQ=DAILY".ljust(4_001))


def test_the_zone_of_a_start_is_the_schedule_s_or_none_of_it() -> None:
    told = "DTSTART;TZID=Asia/Tokyo:20200101T000000\nRRULE:FREQ=DAILY"

    assert read(told, "Asia/Tokyo") == Rule(freq=Freq.DAILY, start=START)
    with pytest.raises(InvalidSchedule) as refused:
        read(told, "Asia/Kathmandu")
    assert str(refused.value) == (
        "'DTSTART;TZID=ASIA/TOKYO:20200101T000000' does not agree with the zone 'Asia/Kathmandu':"
        " give the zone to the schedule"
    )
