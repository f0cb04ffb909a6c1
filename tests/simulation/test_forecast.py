"""A forecast goes through a year of schedules in seconds, and draws what it found."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

import pytest

from tests.simulation import flows
from trioflow.core.states import StateType
from trioflow.testing.simulation.forecast import Forecast, Season, forecast
from trioflow.testing.simulation.report import report_of

WEEK = timedelta(days=7)


def hours(count: int = 1, **schedule) -> list:
    given = {"cron": "0 * * * *", "timezone": "Europe/Berlin", **schedule}
    return [flows.hourly.to_deployment(f"h{number}", **given) for number in range(count)]


@pytest.mark.promise("P19")
def test_both_nights_on_which_the_clocks_are_set_have_the_hours_that_they_have():
    spring = Season(start=datetime(2026, 3, 28, 23, tzinfo=UTC), duration=timedelta(hours=23, minutes=2))
    autumn = Season(start=datetime(2026, 10, 24, 22, tzinfo=UTC), duration=timedelta(hours=25, minutes=2))
    for season, count in ((spring, 23), (autumn, 25)):
        found = forecast(hours(2), season)
        due = [run.due for run in found.runs if run.deployment == "hourly/h0"]
        begin = season.start.astimezone(UTC)
        assert due[:count] == [begin + timedelta(hours=number) for number in range(1, count + 1)]
        assert {run.type for run in found.runs if run.due < begin + season.duration} == {StateType.COMPLETED}
        assert max(run.late for run in found.runs) == timedelta()


def test_the_same_seed_is_the_same_year_and_another_is_another():
    def digest(seed: int) -> str:
        return forecast(hours(2), Season(duration=timedelta(days=1), seed=seed)).digest

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


def test_runs_that_wait_for_a_slot_are_late_and_start_in_the_order_in_which_they_were_due():
    found = forecast(hours(3), Season(duration=timedelta(hours=5), limit=1), {"hourly": lambda chance: 600.0})
    late = sorted({round(run.late.total_seconds()) for run in found.runs if run.started})
    assert late == [0, 600, 1200]


def test_runs_that_must_not_overlap_are_skipped():
    found = forecast(
        hours(overlap="skip"), Season(duration=timedelta(hours=6)), {"hourly": lambda chance: 5000.0}
    )
    types = [run.type for run in found.runs][:4]
    assert types == [StateType.COMPLETED, StateType.CANCELLED] * 2


@pytest.mark.parametrize(("catch_up", "made_up"), [("skip", 0), ("latest", 1), ("all(3)", 3)])
def test_what_is_missed_while_nobody_serves_is_made_up_for_as_the_policy_says(catch_up, made_up):
    season = Season(duration=timedelta(days=31), away=timedelta(hours=9), limit=10)
    found = forecast(hours(catch_up=catch_up, cron="0 */2 * * *"), season)
    ((begin, end),) = found.away
    fires = [run for run in found.runs if begin < run.due < end]
    assert len(fires) == made_up
    assert len(found.missed["hourly/h0"]) + made_up in (4, 5)
    assert all(run.started >= end for run in fires)


def test_runs_that_fail_are_retried_as_their_flow_says():
    def flaky(chance) -> float:
        if chance.random() < 0.5:
            raise ConnectionError("not now")
        return 1.0

    deployment = flows.stubborn.to_deployment("s", cron="0 * * * *")
    found = forecast([deployment], Season(duration=timedelta(days=2)), {"stubborn": flaky})
    over = [run for run in found.runs if run.ended]
    assert {run.type for run in over} == {StateType.COMPLETED}
    assert sum(run.attempts - 1 for run in over) > 20


def test_the_report_is_one_page_that_needs_nothing_else_and_marks_the_night():
    found = forecast(
        hours(2), Season(start=datetime(2026, 3, 27, tzinfo=UTC), duration=timedelta(days=4), limit=1)
    )
    page = report_of(found)
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    charts = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    assert len(charts) == 5
    assert "29 Mar: 23 hours" in page
    assert f"{len(found.runs):,}</b>runs" in page


@pytest.mark.nightly
@pytest.mark.promise("P19")
def test_a_year_of_ten_hourly_schedules_is_whole():
    found: Forecast = forecast(hours(10), Season(seed=1))
    runs = [run for run in found.runs if run.type is StateType.COMPLETED]
    assert len(runs) == 87_600
    assert len({(run.deployment, run.due) for run in runs}) == 87_600
