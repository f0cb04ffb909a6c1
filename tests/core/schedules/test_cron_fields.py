"""The fields of a cron expression: every name and nickname, the ends of every range, how far days are looked for."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from trioflow.core.schedules import CronSchedule
from trioflow.core.schedules.cron_fields import cron_table
from trioflow.errors import InvalidSchedule


def spelt(expression: str) -> str:
    return cron_table(expression, day_or=True).text


MEANT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
    " @HOURLY ": "0 * * * *",
    "0 0 1 JAN,FEB,MAR,APR,MAY,JUN *": "0 0 1 1,2,3,4,5,6 *",
    "0 0 1 JUL,AUG,SEP,OCT,NOV *": "0 0 1 7,8,9,10,11 *",
    "0 0 1 dec *": "0 0 1 12 *",
    "0 0 * * SUN,MON,TUE": "0 0 * * 0,1,2",
    "0 0 * * WED,THU,FRI": "0 0 * * 3,4,5",
    "0 0 * * SAT": "0 0 * * 6",
    "0 0 1 * ?": "0 0 1 * *",
    "0 0 ? * *": "0 0 * * *",
    "0,59 0,23 1,31 1,12 0": "0,59 0,23 1,31 1,12 0",
    "5-5 * * * *": "5 * * * *",
    "0 0 * * SUN-SUN": "0 0 * * 0",
    "0 0 * * SAT-SUN": "0 0 * * 0,6",
    "0 0 * * 7#1,0#2,1#5": "0 0 * * 0#1,0#2,1#5",
    "50/5 * * * *": "50,55 * * * *",
    "*/59 * * * *": "*/59 * * * *",
    "*/99 */9999 */31 */12 */7": "*/60 */24 */31 1 */7",
    "*,7 0 * * *": "* 0 * * *",
    "7,* 0 * * *": ",".join(map(str, range(60))) + " 0 * * *",
}


@pytest.mark.parametrize(("expression", "meant"), MEANT.items(), ids=MEANT)
def test_an_expression_means(expression: str, meant: str) -> None:
    assert spelt(expression) == meant
    assert spelt(meant) == meant


NONE_OF_THEM = [
    ("* * 32 * *", "32 is no day of the month: give 1-31"),
    ("* * * 0 *", "0 is no month: give 1-12 or JAN-DEC"),
    ("* * * MON *", "MON is no month: give 1-12 or JAN-DEC"),
    ("* JAN-FEB * * *", "JAN is no hour: give 0-23"),
    ("1-60 * * * *", "60 is no minute: give 0-59"),
    ("*/00 * * * *", "minute */00 has a step of 0: give 1 or more"),
    ("*/10000 * * * *", "'*/10000' cannot be a minute: give *, n, a-b, */n or a list of them"),
    ("*/ * * * *", "'*/' cannot be a minute: give *, n, a-b, */n or a list of them"),
    ("* ? * * *", "'?' cannot be a hour: give *, n, a-b, */n or a list of them"),
    ("0 0 1 ? *", "'?' cannot be a month: give *, n, a-b, */n or a list of them"),
    ("5-0 * * * *", "minute 5-0 runs backwards: write 5-59,0-0"),
    ("0 0 * * FRI-MON", "day of the week FRI-MON runs backwards: write 5-7,0-1"),
    ("0 0 * 12-1 *", "month 12-1 runs backwards: write 12-12,1-1"),
    ("0 0 * * MON#0", "'MON#0' cannot be a day of the week: give *, n, a-b, */n or a list of them"),
    ("0 0 * * XYZ#1", "XYZ is no day of the week: give 0-7 or SUN-SAT"),
    ("0 0 31 2 *", "it never fires, since no such month has such a day"),
    (
        "@never",
        (
            "there is no '@never': give one of @yearly, @annually, @monthly, @weekly, @daily, @midnight,"
            " @hourly, or five fields"
        ),
    ),
]


@pytest.mark.parametrize(("expression", "fault"), NONE_OF_THEM, ids=[each for each, _ in NONE_OF_THEM])
def test_an_expression_cannot_be(expression: str, fault: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        spelt(expression)

    assert str(refused.value) == f"the cron expression {expression!r} cannot be: {fault}"


def test_an_expression_has_at_most_a_thousand_characters() -> None:
    assert spelt("* * * * *".ljust(1_000)) == "* * * * *"
    with pytest.raises(InvalidSchedule, match=r"it has 1001 characters instead of at most 1000$"):
        spelt("* * * * *".ljust(1_001))


def test_a_field_is_refused_by_what_it_begins_with() -> None:
    """Only a hundred characters of what was given are told."""
    with pytest.raises(InvalidSchedule) as refused:
        spelt("x" * 101)
    assert str(refused.value) == (
        f"the cron expression {'x' * 100!r} cannot be:"
        " it has 1 fields instead of 5: minute hour day month weekday"
    )


def test_days_are_looked_for_through_a_century_and_no_further() -> None:
    yearly = cron_table("@yearly", day_or=True)

    assert list(yearly.matching_days(date(2000, 1, 1))) == [date(y, 1, 1) for y in range(2000, 2101)]
    assert list(yearly.matching_days(date(9996, 1, 2))) == [date(9997, 1, 1), date(9998, 1, 1)]


def test_days_are_looked_for_from_the_day_that_is_given() -> None:
    days = cron_table("0 0 5,20 2,3 *", day_or=True).matching_days(date(2026, 2, 20))

    assert [next(days) for _ in range(3)] == [date(2026, 2, 20), date(2026, 3, 5), date(2026, 3, 20)]


def test_the_times_of_a_day_are_in_order() -> None:
    times = cron_table("30,0 12,1 * * *", day_or=True).times

    assert times == tuple(timedelta(minutes=minutes) for minutes in (60, 90, 720, 750))


@pytest.mark.parametrize(
    ("expression", "day_or", "days"),
    [
        ("0 0 1 * *", True, (1,)),
        ("0 0 L * *", True, (30,)),
        ("0 0 30,L * *", True, (30,)),
        ("0 0 * * MON", True, (7, 14, 21, 28)),
        ("0 0 * * MON#2", True, (14,)),
        ("0 0 * * MONL", True, (28,)),
        ("0 0 * * TUE#1,WEDL", True, (1, 30)),
        ("0 0 14 * TUE", True, (1, 8, 14, 15, 22, 29)),
        ("0 0 14,15 * TUE", False, (15,)),
        ("0 0 */14 * TUE", True, (1, 15, 29)),
        ("0 0 14,15 * */2", True, (15,)),
    ],
)
def test_the_days_of_a_month_of_thirty_that_begins_on_a_tuesday(
    expression: str, day_or: bool, days: tuple[int, ...]
) -> None:
    assert cron_table(expression, day_or=day_or).days[1, 30] == days


@pytest.mark.parametrize(
    ("expression", "real_time"),
    [("* 1 * * *", True), ("*/5 1 * * *", True), ("1 * * * *", True), ("1 1 * * *", False)],
)
def test_a_star_in_the_minute_or_the_hour_follows_real_time(expression: str, real_time: bool) -> None:
    assert cron_table(expression, day_or=True).real_time is real_time


def test_both_day_fields_are_told_where_a_day_must_match_both() -> None:
    assert cron_table("0 0 1 * 1", day_or=False).text == "0 0 1 * 1 both days"
    assert cron_table("0 0 * * 1", day_or=False).text == "0 0 * * 1"
    assert CronSchedule("0 0 1 * 1").canonical == "cron 0 0 1 * 1"
