"""Clocks read second by second: the slow, plain model that schedules are compared with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from attrs import frozen

MINUTE = timedelta(minutes=1)

CHANGES = (
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Europe/London", "2026-03-29"),
    ("Europe/London", "2026-10-25"),
    ("Australia/Lord_Howe", "2026-04-05"),  # half an hour
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Pacific/Chatham", "2026-04-05"),  # at 02:45, of an offset of 12:45
    ("Pacific/Chatham", "2026-09-27"),
    ("Africa/Casablanca", "2026-02-15"),  # around Ramadan
    ("Africa/Casablanca", "2026-03-22"),
    ("Asia/Beirut", "2026-03-29"),  # midnight does not exist
    ("Asia/Beirut", "2026-10-25"),  # the hour before midnight comes twice
    ("America/Havana", "2026-11-01"),  # the hour after midnight comes twice
    ("America/St_Johns", "2010-03-14"),  # at 00:01
    ("America/St_Johns", "2010-11-07"),  # at 00:01, back into the day before
    ("Asia/Kathmandu", "1986-01-01"),  # a quarter of an hour, for good
    ("Pacific/Apia", "2011-12-30"),  # a day that does not exist
)
"""Zones, and days around which their clocks change."""


@frozen
class Reading:
    """The clocks show a full minute, or have just jumped."""

    instant: datetime
    wall: datetime
    fresh: tuple[datetime, ...]
    """The full minutes that the clocks have now reached, or jumped over, for the first time."""


@cache
def readings(zone: str, day: str) -> list[Reading]:
    """Read the clocks of the zone second by second, from the day before a day to the day after it."""
    tz, day_begin = ZoneInfo(zone), int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
    seen = _wall(day_begin - 86_401, tz)
    found: list[Reading] = []
    for second in range(day_begin - 86_400, day_begin + 172_800):
        wall = _wall(second, tz)
        fresh = []
        while seen < wall:
            seen = min(seen + MINUTE - timedelta(seconds=seen.second), wall)
            if seen.second == 0:
                fresh.append(seen)
        if fresh or wall.second == 0:
            found.append(Reading(datetime.fromtimestamp(second, UTC), wall, tuple(fresh)))
    return found


def _wall(second: int, tz: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(second, tz).replace(tzinfo=None, fold=0)


def whenever_shown(matches, read: list[Reading]) -> list[datetime]:
    """The instants at which the clocks show a matching full minute."""
    return [r.instant for r in read if r.wall.second == 0 and matches(r.wall)]


def once_each(matches, read: list[Reading]) -> list[datetime]:
    """The instants at which a matching full minute is reached or jumped over for the first time."""
    return [r.instant for r in read if any(matches(wall) for wall in r.fresh)]
