"""A schedule is what was said of it, and nothing that was computed from that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from inspect import signature

import pytest

from trioflow.core.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule
from trioflow.core.schedules.window import CatchUp, Planning
from trioflow.errors import InvalidSchedule

SHOWN = {
    IntervalSchedule(60): "IntervalSchedule(every=datetime.timedelta(seconds=60), anchor=None, zone='UTC')",
    CronSchedule("@daily"): "CronSchedule(cron='@daily', zone='UTC', day_or=True)",
    RRuleSchedule("FREQ=DAILY"): "RRuleSchedule(rrule='FREQ=DAILY', zone='UTC')",
}


@pytest.mark.parametrize(("schedule", "shown"), SHOWN.items(), ids=lambda given: type(given).__name__)
def test_it_is_shown_as_it_is_asked_for(schedule: Schedule, shown: str) -> None:
    assert repr(schedule) == shown
    named = [part.partition("=")[0] for part in shown.partition("(")[2].split(", ")]
    assert list(signature(type(schedule)).parameters) == named


SAID = [
    (lambda: CronSchedule(5), "a cron expression is a text such as '0 9 * * MON-FRI', not 5"),
    (lambda: RRuleSchedule(5), "an RRULE is a text such as 'FREQ=WEEKLY;BYDAY=MO', not 5"),
    (lambda: IntervalSchedule(60, "2020"), "an anchor is a datetime, not '2020'"),
    (
        lambda: IntervalSchedule(timedelta.max.total_seconds()),
        "an interval is a number of seconds or a timedelta, not 86400000000000.0",
    ),
    (
        lambda: CronSchedule("@daily", "Mars/Base"),
        "there is no time zone 'Mars/Base': name one as 'Europe/London', 'America/New_York' or 'UTC'",
    ),
    (lambda: CatchUp.named("all(1001)"), "catch-up makes up for 0 to 1000 runs, not 1001"),
    (lambda: CatchUp.named("none"), "there is no catch-up 'none': give skip, latest or all(<limit>)"),
    (lambda: Planning(runs_ahead=-1), "0 or more runs are planned ahead, not -1"),
    (lambda: Planning(horizon=-timedelta(hours=1)), "planning needs times of 0 or more seconds, not -3600"),
]


@pytest.mark.parametrize(("ask", "said"), SAID)
def test_what_is_none_is_refused_in_whole_sentences(ask, said: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        ask()
    assert str(refused.value) == said


def test_an_instant_needs_a_zone() -> None:
    naive = datetime.fromisoformat("2026-01-01")
    with pytest.raises(
        ValueError, match=r"^2026-01-01 00:00:00 has no time zone: an instant is an aware datetime$"
    ):
        CronSchedule("@daily").next_after(naive)


def test_an_interval_may_be_a_fraction_of_a_second() -> None:
    assert IntervalSchedule(timedelta(microseconds=250)).every == timedelta(microseconds=250)


@pytest.mark.parametrize(
    "schedule", [IntervalSchedule(3600), IntervalSchedule(86_400), CronSchedule("@daily")]
)
def test_the_last_year_is_9998(schedule: Schedule) -> None:
    december = datetime(9998, 12, 30, 12, 30, tzinfo=UTC)
    fires = schedule.between(december, december + timedelta(hours=12), 99)
    assert fires[-1] == datetime(9998, 12, 31, tzinfo=UTC)
    assert schedule.next_after(datetime(9998, 12, 31, 23, 30, tzinfo=UTC)) is None


def test_nothing_negative_is_planned_and_nothing_may_be() -> None:
    none = timedelta()
    assert Planning(runs_ahead=0, horizon=none, tolerance=none).runs_ahead == 0
    assert (CatchUp(0), str(CatchUp(1000))) == (CatchUp.named("skip"), "all(1000)")
