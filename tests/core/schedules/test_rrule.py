"""RRULEs: what is taken of RFC 5545, what is refused, and that no rule costs much."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from time import process_time
from zoneinfo import ZoneInfo

import pytest

from trioflow.core.schedules import RRuleSchedule
from trioflow.errors import InvalidSchedule

NEW_YORK = "America/New_York"
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def shown(text: str, count: int, zone: str = NEW_YORK, start: datetime = NEW_YEAR) -> list[str]:
    fires = RRuleSchedule(text, zone).between(start, datetime(2100, 1, 1, tzinfo=UTC), count)
    return [f"{fire.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for fire in fires]


@pytest.mark.parametrize(
    ("text", "fires"),
    [
        ("FREQ=DAILY;BYHOUR=9", ["2026-01-01 09:00", "2026-01-02 09:00"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17;BYMINUTE=30", ["2026-01-30 17:30", "2026-02-27 17:30"]),
        ("FREQ=MONTHLY;BYDAY=MO,-1FR;BYMONTHDAY=25,26,30,31", ["2026-01-26 00:00", "2026-01-30 00:00"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["2026-01-30 00:00", "2026-02-27 00:00"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH", ["2026-01-06 00:00", "2026-01-08 00:00", "2026-01-20 00:00"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO", ["2027-01-04 00:00", "2028-01-03 00:00"]),
        ("DTSTART:20260110T083000\nRRULE:FREQ=MONTHLY", ["2026-01-10 08:30", "2026-02-10 08:30"]),
        ("DTSTART:20260110\nRRULE:FREQ=DAILY", ["2026-01-10 00:00", "2026-01-11 00:00"]),
        ("DTSTART:20260110T133000Z\nRRULE:FREQ=DAILY", ["2026-01-10 08:30", "2026-01-11 08:30"]),
        ("DTSTART;TZID=America/New_York:20260110T083000\nRRULE:FREQ=DAILY", ["2026-01-10 08:30"]),
        ("freq=hourly;byday=sa;byhour=9,10;byminute=0,30", ["2026-01-03 09:00", "2026-01-03 09:30"]),
        ("FREQ=MINUTELY;INTERVAL=90", ["2025-12-31 19:30", "2025-12-31 21:00"]),
    ],
)  # fmt: skip
def test_rules(text, fires):
    assert shown(text, len(fires)) == fires


def test_a_rule_keeps_its_wall_time_where_the_clocks_change():
    march, november = (datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 7), (10, 31)))

    assert shown("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", 3, start=march) == [
        "2026-03-07 02:30",
        "2026-03-08 03:00",
        "2026-03-09 02:30",
    ]
    assert shown("FREQ=DAILY;BYHOUR=1;BYMINUTE=30", 3, start=november) == [
        "2026-10-31 01:30",
        "2026-11-01 01:30",
        "2026-11-02 01:30",
    ]


@pytest.mark.parametrize("freq", ["MINUTELY;INTERVAL=7", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
def test_a_rule_begins_with_its_start(freq):
    schedule = RRuleSchedule(f"DTSTART:20260110T083000Z\nRRULE:FREQ={freq}", NEW_YORK)

    assert schedule.next_after(NEW_YEAR) == datetime(2026, 1, 10, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("weekstart", "fires"),
    [
        ("MO", ["1997-08-05 00:00", "1997-08-10 00:00", "1997-08-19 00:00", "1997-08-24 00:00"]),
        ("SU", ["1997-08-05 00:00", "1997-08-17 00:00", "1997-08-19 00:00", "1997-08-31 00:00"]),
    ],
)
def test_weeks_begin_where_the_rule_says(weekstart, fires):
    """RFC 5545's own example."""
    text = f"DTSTART:19970805\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST={weekstart}"

    assert shown(text, 4, start=datetime(1997, 1, 1, tzinfo=UTC)) == fires


def test_a_position_is_one_in_the_whole_week_wherever_one_looks_from():
    schedule = RRuleSchedule("FREQ=WEEKLY;BYDAY=SU,MO,FR;BYHOUR=12;BYSETPOS=1;WKST=SU")
    sunday, monday = datetime(2026, 1, 11, 12, tzinfo=UTC), datetime(2026, 1, 5, 9, tzinfo=UTC)

    assert schedule.next_after(monday) == sunday

    first_three = RRuleSchedule("FREQ=WEEKLY;BYDAY=SU,MO,TU,FR,SA;BYHOUR=12;BYSETPOS=1,2,3;WKST=SU")
    tuesday = datetime(2026, 1, 6, 12, tzinfo=UTC)
    assert first_three.between(monday, sunday, 9) == [monday.replace(hour=12), tuesday, sunday]
    assert first_three.next_after(tuesday) == sunday


@pytest.mark.parametrize(
    ("end", "fires"),
    [
        ("COUNT=2", ["2026-01-10 08:30", "2026-01-11 08:30"]),
        ("UNTIL=20260112T083000", ["2026-01-10 08:30", "2026-01-11 08:30", "2026-01-12 08:30"]),
        ("UNTIL=20260112T132959Z", ["2026-01-10 08:30", "2026-01-11 08:30"]),
        ("UNTIL=20260111", ["2026-01-10 08:30", "2026-01-11 08:30"]),
    ],
)
def test_a_rule_ends_by_count_or_until(end, fires):
    text = f"DTSTART:20260110T083000\nRRULE:FREQ=DAILY;{end}"

    assert shown(text, 10) == fires
    assert RRuleSchedule(text, NEW_YORK).next_after(datetime(2026, 1, 20, tzinfo=UTC)) is None


def test_a_rule_has_one_spelling_however_it_is_written():
    written = (
        "RRULE:byday=FR,MO;interval=1;freq=WEEKLY;WKST=MO",
        "FREQ=WEEKLY;BYDAY=MO,FR,MO",
        "DTSTART:20200101T000000\nRRULE:FREQ=WEEKLY;BYDAY=MO,FR",
    )

    assert {RRuleSchedule(text).canonical for text in written} == {
        "rrule DTSTART=20200101T000000;FREQ=WEEKLY;BYDAY=MO,FR"
    }


ONE_RULE = "is not supported: give DTSTART and one RRULE, or several schedules"
OTHER_ZONE = "does not agree with the zone 'UTC': give the zone to the schedule"
TOKYO = "DTSTART;TZID=Asia/Tokyo:20200101T000000"


@pytest.mark.behaviour("DP-07")
@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it has 0 rules instead of 1: give several schedules"),
        ("hello", "'HELLO' cannot be part of an RRULE: write NAME=value, each name once"),
        ("FREQ=DAILY;FREQ=DAILY", "'FREQ=DAILY' cannot be part of an RRULE: write NAME=value, each name once"),
        ("INTERVAL=2", "FREQ= cannot be: give one of YEARLY, MONTHLY, WEEKLY, DAILY, HOURLY, MINUTELY"),
        ("FREQ=SECONDLY", "FREQ=SECONDLY is not supported: use an interval"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0 cannot be: give a number from 1 to 1000000000"),
        ("FREQ=YEARLY;INTERVAL=51", "INTERVAL=51 of FREQ=YEARLY is longer than 50 years"),
        ("FREQ=DAILY;COUNT=10001", "COUNT=10001 cannot be: give a number from 1 to 10000"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20300101", "it ends by COUNT and by UNTIL: give one of them"),
        ("FREQ=DAILY;UNTIL=20301301", "UNTIL=20301301T235959 is no time: write 20240131T093000, or ...Z for UTC"),
        ("FREQ=DAILY;UNTIL=20190101", "it ends before it starts"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR=24 cannot be: give a number from 0 to 23"),
        ("FREQ=DAILY;BYMONTHDAY=0", "BYMONTHDAY=0 cannot be: count from 1, or from -1 for the last one"),
        ("FREQ=DAILY;BYDAY=XX", "BYDAY=XX cannot be: give MO, 2TU (the second) or -1FR (the last)"),
        ("FREQ=DAILY;BYDAY=2TU", "BYDAY=2TU counts in a month or year: it needs FREQ=MONTHLY or YEARLY"),
        ("FREQ=DAILY;BYEASTER=1", "BYEASTER is no part of an RRULE: give FREQ, INTERVAL, COUNT, UNTIL, WKST or BY..."),
        ("FREQ=DAILY;BYWEEKNO=1", "BYWEEKNO counts the weeks of a year: it needs FREQ=YEARLY, not DAILY"),
        ("FREQ=HOURLY;BYSETPOS=1", "BYSETPOS picks from a day or longer: it needs FREQ=DAILY, not HOURLY"),
        ("FREQ=DAILY;WKST=XX", "WKST=XX is no weekday: give one of MO, TU, WE, TH, FR, SA, SU"),
        ("DTSTART:18000101\nRRULE:FREQ=DAILY", "DTSTART=18000101 is too far away: give a year from 1900 to 9000"),
        ("RRULE:FREQ=DAILY\nRRULE:FREQ=DAILY", "it has 2 rules instead of 1: give several schedules"),
        ("RRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY", f"EXRULE {ONE_RULE}"),
        ("RRULE:FREQ=DAILY\nEXDATE:20260101T000000", f"EXDATE {ONE_RULE}"),
        (f"{TOKYO}\nRRULE:FREQ=DAILY", f"{TOKYO.upper()!r} {OTHER_ZONE}"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_part_and_the_mend(text, fault):
    with pytest.raises(InvalidSchedule) as refused:
        RRuleSchedule(text)

    assert str(refused.value) == f"the RRULE {text[:100]!r} cannot be: {fault}"


@pytest.mark.parametrize("text", [None, 5])
def test_a_rule_is_a_text(text):
    with pytest.raises(InvalidSchedule, match="an RRULE is a text such as"):
        RRuleSchedule(text)


ALL_MINUTES = ",".join(map(str, range(60)))
BURNERS = [
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
    "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=MONTHLY;INTERVAL=12;BYMONTH=2",
    "FREQ=YEARLY;BYDAY=MO;BYHOUR=1;BYSETPOS=366",
    "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=HOURLY;INTERVAL=24;BYHOUR=5",
    "FREQ=MINUTELY;INTERVAL=2;BYMINUTE=1",
    "FREQ=MINUTELY;INTERVAL=10080;BYDAY=TU",
]
HEAVY = [
    f"FREQ=DAILY;BYHOUR=0,1;BYMINUTE={ALL_MINUTES};BYSECOND={ALL_MINUTES}",
    f"FREQ=YEARLY;BYDAY=MO;BYMINUTE={ALL_MINUTES};BYSETPOS=300",
]


@pytest.mark.parametrize("text", BURNERS)
def test_a_rule_that_never_fires_is_refused(text):
    with pytest.raises(InvalidSchedule, match="it never fires, since no such day or time comes"):
        RRuleSchedule(text)


@pytest.mark.parametrize("text", HEAVY)
def test_a_rule_with_too_many_times_of_day_is_refused(text):
    with pytest.raises(
        InvalidSchedule, match=r"it names \d+ times of day instead of at most \d+: use FREQ=HOURLY"
    ):
        RRuleSchedule(text)


@pytest.mark.parametrize(
    "text",
    [
        *BURNERS,
        "FREQ=MINUTELY;BYHOUR=3;BYMINUTE=4;COUNT=10000",
        "DTSTART:19000101\nRRULE:FREQ=MINUTELY;INTERVAL=7",
        "DTSTART:19000101\nRRULE:FREQ=MINUTELY;INTERVAL=7;BYMONTH=2;BYMONTHDAY=29;BYHOUR=3;BYMINUTE=4",
    ],
)
def test_no_rule_burns_time(text):
    """dateutil alone takes minutes over some of these; the bound is for a loaded machine, not a measurement."""
    before = process_time()
    with suppress(InvalidSchedule):
        RRuleSchedule(text).next_after(datetime(2060, 1, 1, tzinfo=UTC))

    assert process_time() - before < 5
