"""Strategies for schedules: intervals, cron, RRULEs, in zones whose clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from operator import mul

from hypothesis import strategies as st

from trioflow.core.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule

ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Chatham"),
    *("Asia/Beirut", "America/Havana", "Africa/Casablanca", "Asia/Kathmandu"),
)
"""The plainest first; the others change their clocks by hours, halves and quarters, at midnight too."""

_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_MINUTES, _HOURS = st.integers(0, 59), st.integers(0, 23)
_ANCHORS = st.datetimes(datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2040-01-01"))


def zones() -> st.SearchStrategy[str]:
    """IANA names of time zones."""
    return st.sampled_from(ZONES)


def instants() -> st.SearchStrategy[datetime]:
    """Aware datetimes in UTC, of 2020 to 2039: to look at schedules from."""
    first, last = datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2039-12-31")
    return st.datetimes(first, last).map(lambda instant: instant.replace(tzinfo=UTC))


def schedules() -> st.SearchStrategy[Schedule]:
    """Schedules that fire at least once a year."""
    return st.one_of(intervals(), crons(), rrules())


def intervals() -> st.SearchStrategy[IntervalSchedule]:
    """Every so many seconds, minutes, hours or days, up to a month; with an anchor or without."""
    seconds = st.one_of([st.integers(1, most).map(partial(mul, unit)) for unit, most in _UNITS])
    return st.builds(
        IntervalSchedule,
        seconds.map(lambda given: timedelta(seconds=given)),
        st.none() | _ANCHORS,
        zones(),
    )


_UNITS = ((86_400, 31), (3_600, 48), (60, 120), (1, 3_600))


def crons() -> st.SearchStrategy[CronSchedule]:
    """Cron expressions: each so many minutes, each hour, at times of the day, of the week or of the month."""
    texts = st.one_of(
        st.builds("{} {} * * *".format, _MINUTES, _HOURS),
        st.builds("{} * * * *".format, _MINUTES),
        st.builds("*/{} * * * *".format, st.integers(1, 59)),
        st.builds("{} {} * * {}".format, _MINUTES, _HOURS, st.integers(0, 7)),
        st.builds("{} {} {} * *".format, _MINUTES, _HOURS, st.integers(1, 28)),
    )
    return st.builds(CronSchedule, texts, zones())


def rrules() -> st.SearchStrategy[RRuleSchedule]:
    """Recurrence rules: daily, weekly, monthly, hourly."""
    texts = st.one_of(
        st.builds(
            "FREQ=DAILY;INTERVAL={};BYHOUR={};BYMINUTE={}".format, st.integers(1, 10), _HOURS, _MINUTES
        ),
        st.builds("FREQ=WEEKLY;BYDAY={};BYHOUR={}".format, st.sampled_from(_WEEKDAYS), _HOURS),
        st.builds("FREQ=MONTHLY;BYMONTHDAY={};BYHOUR={}".format, st.integers(1, 28), _HOURS),
        st.builds("FREQ=HOURLY;INTERVAL={}".format, st.integers(1, 23)),
    )
    return st.builds(RRuleSchedule, texts, zones())
