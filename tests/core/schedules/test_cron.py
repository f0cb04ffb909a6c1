"""Cron: what an expression means, what it may say, and what it does where the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from trioflow.core.schedules import CronSchedule
from trioflow.core.schedules.cron_fields import NICKNAMES
from trioflow.errors import InvalidSchedule

TICK = timedelta.resolution


def local_day(schedule: CronSchedule, day: str) -> list[str]:
    """The fires of a day of the schedule's zone, as the clocks show them."""
    zone = ZoneInfo(schedule.zone)
    start = datetime.fromisoformat(day).replace(tzinfo=zone)
    fires = schedule.between(start - TICK, start + timedelta(days=1) - TICK, 10_000)
    return [f"{fire.astimezone(zone):%H:%M%z}" for fire in fires]


def local_year(schedule: CronSchedule, year: int) -> int:
    zone = ZoneInfo(schedule.zone)
    start, end = (datetime.fromisoformat(f"{y}-01-01").replace(tzinfo=zone) for y in (year, year + 1))
    return len(schedule.between(start.astimezone(UTC) - TICK, end.astimezone(UTC) - TICK, 1_000_000))


# --- where the clocks change

NEW_YORK, LONDON, LORD_HOWE, CASABLANCA = (
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
)
EDGES = [
    # zone, day, a time of day that is skipped or repeated, when that is due
    (NEW_YORK, "2026-03-08", "30 2", "03:00-0400"),
    (NEW_YORK, "2026-11-01", "30 1", "01:30-0400"),
    (LONDON, "2026-03-29", "30 1", "02:00+0100"),
    (LONDON, "2026-10-25", "30 1", "01:30+0100"),
    (LORD_HOWE, "2026-04-05", "45 1", "01:45+1100"),
    (LORD_HOWE, "2026-10-04", "15 2", "02:30+1100"),
    (CASABLANCA, "2026-02-15", "30 2", "02:30+0100"),
    (CASABLANCA, "2026-03-22", "30 2", "03:00+0100"),
    ("Pacific/Chatham", "2026-04-05", "15 3", "03:15+1345"),
    ("Pacific/Chatham", "2026-09-27", "15 3", "03:45+1345"),
    ("Asia/Beirut", "2026-03-29", "30 0", "01:00+0300"),
    ("Asia/Beirut", "2026-10-24", "30 23", "23:30+0300"),
    ("America/Havana", "2026-11-01", "30 0", "00:30-0400"),
]


@pytest.mark.parametrize(("zone", "day", "time", "due"), EDGES)
def test_a_fixed_time_is_due_once_on_the_day_of_a_change(zone, day, time, due):
    _, month, date = map(int, day.split("-"))

    assert local_day(CronSchedule(f"{time} * * *", zone), day) == [due]
    assert local_day(CronSchedule(f"{time} {date} {month} *", zone), day) == [due]


QUARTERS = [
    (NEW_YORK, "2026-03-08", 23 * 4, 23),
    (NEW_YORK, "2026-11-01", 25 * 4, 25),
    (LONDON, "2026-03-29", 23 * 4, 23),
    (LONDON, "2026-10-25", 25 * 4, 25),
    (LORD_HOWE, "2026-04-05", 24 * 4 + 2, 24),  # 01:30 to 02:00 comes twice
    (LORD_HOWE, "2026-10-04", 24 * 4 - 2, 23),  # 02:00 to 02:30 does not come
    (CASABLANCA, "2026-02-15", 25 * 4, 25),
    (CASABLANCA, "2026-03-22", 23 * 4, 23),
]


@pytest.mark.parametrize(("zone", "day", "quarters", "hours"), QUARTERS)
def test_a_wildcard_follows_real_time_through_a_change(zone, day, quarters, hours):
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    every_quarter = [start + k * timedelta(minutes=15) for k in range(quarters)]
    on_the_hour = [fire for fire in every_quarter if fire.astimezone(ZoneInfo(zone)).minute == 0]

    assert CronSchedule("*/15 * * * *", zone).between(start - TICK, every_quarter[-1], 200) == every_quarter
    assert CronSchedule("0 * * * *", zone).between(start - TICK, every_quarter[-1], 200) == on_the_hour
    assert len(on_the_hour) == hours


def test_the_day_that_new_york_has_twenty_five_hours():
    assert len(local_day(CronSchedule("0 * * * *", NEW_YORK), "2023-11-05")) == 25
    assert len(local_day(CronSchedule("*/30 * * * *", NEW_YORK), "2023-11-05")) == 50
    assert local_day(CronSchedule("30 1 * * *", NEW_YORK), "2023-11-05") == ["01:30-0400"]
    assert local_day(CronSchedule("30 2 * * *", NEW_YORK), "2023-03-12") == ["03:00-0400"]


def test_times_that_share_a_jump_are_due_once():
    assert local_day(CronSchedule("0,15,30 2,3 * * *", NEW_YORK), "2026-03-08") == [
        "03:00-0400",
        "03:15-0400",
        "03:30-0400",
    ]


def test_hours_written_out_are_fixed_times():
    """Vixie's rule goes by the star: `0-23` names 24 times of day."""
    assert len(local_day(CronSchedule("0 0-23 * * *", NEW_YORK), "2026-11-01")) == 24


def test_a_day_that_does_not_exist_is_due_when_the_clocks_jump_over_it():
    schedule = CronSchedule("0 12 * * *", "Pacific/Apia")
    start = datetime(2011, 12, 29, 12, tzinfo=UTC)

    assert [
        f"{fire.astimezone(ZoneInfo('Pacific/Apia')):%d %H:%M}"
        for fire in schedule.between(start, start + timedelta(days=3), 9)
    ] == [
        "29 12:00",
        "31 00:00",
        "31 12:00",
        "01 12:00",
    ]


def test_clocks_that_go_back_into_the_day_before_keep_the_order():
    """In St. John's the hour from 23:01 came again after one minute of the next day."""
    schedule = CronSchedule("*/30 * * * *", "America/St_Johns")
    start = datetime(2010, 11, 7, 1, 45, tzinfo=UTC)
    fires = schedule.between(start, start + timedelta(hours=2), 9)

    assert [f"{fire.astimezone(ZoneInfo(schedule.zone)):%d %H:%M}" for fire in fires] == [
        "06 23:30",
        "07 00:00",
        "06 23:30",
        "07 00:00",
    ]


@pytest.mark.parametrize("zone", [NEW_YORK, LONDON, "Pacific/Chatham", "Asia/Kathmandu", "UTC"])
def test_a_leap_year_has_8784_hours_and_366_days(zone):
    counts = [local_year(CronSchedule(text, zone), 2024) for text in ("0 * * * *", "@hourly", "30 2 * * *")]

    assert counts == [8_784, 8_784, 366]


# --- what an expression means


@pytest.mark.parametrize(
    ("cron", "fires"),
    [
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29"]),
        ("0 0 L * *", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("0 0 L 2 *", ["2026-02-28", "2027-02-28", "2028-02-29"]),
        ("0 0 * * MON#2", ["2026-01-12", "2026-02-09"]),
        ("0 0 * * 5L", ["2026-01-30", "2026-02-27"]),
        ("0 0 * 7 5L", ["2026-07-31", "2027-07-30"]),
        ("0 0 13 * FRI", ["2026-01-02", "2026-01-09", "2026-01-13", "2026-01-16"]),
        ("0 0 */2 * FRI", ["2026-01-09", "2026-01-23", "2026-02-13"]),
        ("0 0 ? JAN,mar 7", ["2026-01-04", "2026-01-11"]),
        ("0 0 * * FRI-SUN", ["2026-01-02", "2026-01-03", "2026-01-04", "2026-01-09"]),
        ("@weekly", ["2026-01-04", "2026-01-11"]),
        ("@monthly", ["2026-02-01", "2026-03-01"]),
        ("@yearly", ["2027-01-01", "2028-01-01"]),
        ("@daily", ["2026-01-02", "2026-01-03"]),
    ],
)
def test_days(cron, fires):
    found = CronSchedule(cron).between(
        datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC), len(fires)
    )

    assert [f"{fire:%Y-%m-%d}" for fire in found] == fires


def test_with_day_or_off_both_day_fields_must_match():
    schedule = CronSchedule("0 0 13 * FRI", day_or=False)

    assert schedule.next_after(datetime(2026, 3, 13, tzinfo=UTC)) == datetime(2026, 11, 13, tzinfo=UTC)


def test_the_rarest_day_is_found():
    """29 February is a Monday again after 40 years when a century that is no leap year lies between."""
    schedule = CronSchedule("0 0 29 2 MON", day_or=False)

    assert schedule.next_after(datetime(2072, 3, 1, tzinfo=UTC)) == datetime(2112, 2, 29, tzinfo=UTC)


def test_a_wildcard_that_only_ever_falls_into_a_gap_has_no_next_fire():
    schedule = CronSchedule("*/15 2 * 3 SUN#2", NEW_YORK)

    assert schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("cron", "canonical"),
    [
        ("@daily", "cron 0 0 * * *"),
        ("  00   0 *  * *  ", "cron 0 0 * * *"),
        ("0,0 0 * jan-DEC 0-7", "cron 0 0 * * 0,1,2,3,4,5,6"),
        ("0 9 * * MON-fri", "cron 0 9 * * 1,2,3,4,5"),
        ("0 9 * * 7", "cron 0 9 * * 0"),
        ("*/15,7 */1 1,L * 2#1,TUEL", "cron */15,7 * 1,L * 2L,2#1"),
        ("5-20/5 * * * *", "cron 5,10,15,20 * * * *"),
    ],
)
def test_an_expression_has_one_spelling_however_it_is_written(cron, canonical):
    assert CronSchedule(cron).canonical == canonical
    assert CronSchedule(canonical.removeprefix("cron ")).canonical == canonical


def test_day_or_is_part_of_the_spelling_only_where_it_matters():
    assert CronSchedule("0 0 13 * 5", day_or=False).canonical == "cron 0 0 13 * 5 both days"
    assert CronSchedule("0 0 13 * *", day_or=False).canonical == "cron 0 0 13 * *"


# --- what cannot be


@pytest.mark.behaviour("DP-07")
@pytest.mark.parametrize(
    ("cron", "fault"),
    [
        ("", "it has 0 fields instead of 5: minute hour day month weekday"),
        ("* * * *", "it has 4 fields instead of 5: minute hour day month weekday"),
        ("* * * * * *", "it has 6 fields instead of 5: minute hour day month weekday; for seconds use an interval"),
        ("60 * * * *", "60 is no minute: give 0-59"),
        ("* 24 * * *", "24 is no hour: give 0-23"),
        ("* * 0 * *", "0 is no day of the month: give 1-31"),
        ("* * * 13 *", "13 is no month: give 1-12 or JAN-DEC"),
        ("* * * * 8", "8 is no day of the week: give 0-7 or SUN-SAT"),
        ("* * * * FOO", "FOO is no day of the week: give 0-7 or SUN-SAT"),
        ("JAN * * * *", "JAN is no minute: give 0-59"),
        ("*/0 * * * *", "minute */0 has a step of 0: give 1 or more"),
        ("*/x * * * *", "'*/X' cannot be a minute: give *, n, a-b, */n or a list of them"),
        ("1,,2 * * * *", "'' cannot be a minute: give *, n, a-b, */n or a list of them"),
        ("-5 * * * *", "'-5' cannot be a minute: give *, n, a-b, */n or a list of them"),
        ("? * * * *", "'?' cannot be a minute: give *, n, a-b, */n or a list of them"),
        ("٣ * * * *", "'٣' cannot be a minute: give *, n, a-b, */n or a list of them"),
        ("0 22-2 * * *", "hour 22-2 runs backwards: write 22-23,0-2"),
        ("0 0 15W * *", "'15W' cannot be a day of the month: give *, n, a-b, */n or a list of them"),
        ("0 0 L, * *", "'' cannot be a day of the month: give *, n, a-b, */n or a list of them"),
        ("0 0 * * MON#6", "'MON#6' cannot be a day of the week: give *, n, a-b, */n or a list of them"),
        ("0 0 30 2 *", "it never fires, since no such month has such a day"),
        ("0 0 31 4,6,9,11 *", "it never fires, since no such month has such a day"),
        ("@often", f"there is no '@often': give one of {', '.join(NICKNAMES)}, or five fields"),
        ("* " * 501, "it has 1002 characters instead of at most 1000"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_field_and_the_mend(cron, fault):
    with pytest.raises(InvalidSchedule) as refused:
        CronSchedule(cron)

    assert str(refused.value) == f"the cron expression {cron[:100]!r} cannot be: {fault}"


@pytest.mark.parametrize("cron", [None, 5, ["* * * * *"]])
def test_an_expression_is_a_text(cron):
    with pytest.raises(InvalidSchedule, match="a cron expression is a text such as"):
        CronSchedule(cron)


@pytest.mark.behaviour("DP-07")
@pytest.mark.parametrize(
    "zone", ["Mars/Base", "", "America", "../../etc/passwd", "/etc/localtime", "\0", None, 5]
)
def test_a_zone_that_does_not_exist_is_refused(zone):
    with pytest.raises(InvalidSchedule) as refused:
        CronSchedule("@daily", zone)

    assert str(refused.value) == (
        f"there is no time zone {zone!r}: name one as 'Europe/London', 'America/New_York' or 'UTC'"
    )


def test_a_naive_instant_is_refused():
    with pytest.raises(ValueError, match="has no time zone"):
        CronSchedule("@daily").next_after(datetime.fromisoformat("2026-01-01"))


def test_instants_at_the_ends_of_time_are_borne():
    schedule = CronSchedule("@daily", NEW_YORK)

    assert schedule.next_after(datetime.min.replace(tzinfo=UTC)) is not None
    assert schedule.next_after(datetime.max.replace(tzinfo=UTC)) is None
