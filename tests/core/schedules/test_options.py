"""What a caller may say of when something is due, in one go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trioflow.core.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from trioflow.core.schedules.options import ScheduleOptions
from trioflow.errors import InvalidSchedule

ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)
OBJECTS = "give an IntervalSchedule, a CronSchedule or an RRuleSchedule, or a list of them"
ONE_KIND = "were given: give one of them, or a list of schedules"
DAILY = CronSchedule("@daily", "Asia/Kathmandu")


@pytest.mark.behaviour("DP-04", "DP-06", "DP-10")
@pytest.mark.parametrize(
    ("options", "schedules"),
    [
        ({}, []),
        ({"interval": 90}, [IntervalSchedule(90)]),
        ({"interval": timedelta(hours=1), "anchor": ANCHOR}, [IntervalSchedule(3_600, ANCHOR)]),
        ({"interval": [60, timedelta(days=1)], "zone": "Asia/Kathmandu"}, [
            IntervalSchedule(60, zone="Asia/Kathmandu"), IntervalSchedule(86_400, zone="Asia/Kathmandu"),
        ]),
        ({"cron": "@daily", "zone": "Asia/Kathmandu"}, [DAILY]),
        ({"cron": "0 3 * * *"}, [CronSchedule("0 3 * * *")]),
        ({"cron": ("@daily", "0 0 * * *", "@hourly")}, [CronSchedule("0 0 * * *"), CronSchedule("@hourly")]),
        ({"rrule": "FREQ=DAILY", "zone": "UTC"}, [RRuleSchedule("FREQ=DAILY")]),
        ({"rrule": ["FREQ=DAILY", "FREQ=WEEKLY"]}, [RRuleSchedule("FREQ=DAILY"), RRuleSchedule("FREQ=WEEKLY")]),
        ({"schedule": DAILY}, [DAILY]),
        ({"schedules": [DAILY, IntervalSchedule(60)]}, [DAILY, IntervalSchedule(60)]),
        ({"schedules": []}, []),
    ],
)  # fmt: skip
def test_each_kind_gives_its_schedules_once(options, schedules):
    assert list(ScheduleOptions(**options).asked()) == schedules


@pytest.mark.behaviour("DP-06", "DP-07")
@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"interval": 5, "cron": "@daily"}, f"interval and cron {ONE_KIND}"),
        ({"schedule": DAILY, "schedules": []}, f"schedule and schedules {ONE_KIND}"),
        ({"interval": 0, "rrule": ""}, f"interval and rrule {ONE_KIND}"),
        ({"anchor": ANCHOR}, "an anchor was given without an interval: it sets the phase of one"),
        ({"anchor": ANCHOR, "cron": "@daily"}, "an anchor was given without an interval: it sets the phase of one"),
        ({"zone": "UTC"}, "the zone 'UTC' needs an interval, cron or rrule that it can belong to"),
        ({"zone": "UTC", "schedule": DAILY}, "the zone 'UTC' needs an interval, cron or rrule that it can belong to"),
        ({"interval": 0}, "an interval is longer than 0 seconds, not 0"),
        ({"interval": "5"}, "interval cannot be '5': give seconds or a timedelta, or a list of them"),
        ({"cron": 5}, "cron cannot be 5: give a text such as '0 9 * * MON-FRI', or a list of them"),
        ({"rrule": [5]}, "rrule cannot be 5: give a text such as 'FREQ=WEEKLY;BYDAY=MO', or a list of them"),
        ({"schedules": [DAILY, "@daily"]}, f"schedules cannot be '@daily': {OBJECTS}"),
        ({"schedule": "@daily"}, f"schedules cannot be '@': {OBJECTS}"),
        ({"cron": "@daily", "schedules": [DAILY]}, f"cron and schedules {ONE_KIND}"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(options, fault):
    with pytest.raises(InvalidSchedule) as refused:
        ScheduleOptions(**options).asked()

    assert str(refused.value) == fault
