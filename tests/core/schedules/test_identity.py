"""Keys of fires: the same for the same fire of the same schedule, and for no other."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from trioflow.core.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from trioflow.core.schedules.identity import fire_key, schedule_identity

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)


def test_an_identity_is_the_same_in_every_process_and_version():
    assert (
        schedule_identity("etl", "nightly", CronSchedule("0 3 * * *", "Europe/London"))
        == schedule_identity("etl", "nightly", CronSchedule("00 03 * * *", "Europe/London"))
        == "22fc41209c25b7c082dcc63bcd4c799cd2996085f46d5558120375038546d528"
    )


DIFFERENT = [
    ("etl", "nightly", CronSchedule("0 3 * * *")),
    ("etl", "nightly", CronSchedule("0 3 * * *", "Europe/London")),
    ("etl", "nightly", CronSchedule("0 4 * * *")),
    ("etl", "nightly", CronSchedule("0 3 13 * 5")),
    ("etl", "nightly", CronSchedule("0 3 13 * 5", day_or=False)),
    ("etl", "daily", CronSchedule("0 3 * * *")),
    ("etln", "ightly", CronSchedule("0 3 * * *")),
    ("etl", "nightly", IntervalSchedule(60)),
    ("etl", "nightly", IntervalSchedule(60, datetime(2020, 1, 1, 0, 0, 1, tzinfo=UTC))),
    ("etl", "nightly", RRuleSchedule("FREQ=DAILY")),
]


def test_what_differs_has_another_identity():
    assert len({schedule_identity(*each) for each in DIFFERENT}) == len(DIFFERENT)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_a_fire_has_one_key_whatever_its_zone(zone):
    assert fire_key("abc", NOON.astimezone(ZoneInfo(zone))) == "abc@2026-03-08T12:00:00.000000Z"
