"""Wall clocks: what the clocks of a zone show at an instant, and when they first show a wall time.

An *instant* is an aware datetime, in UTC wherever we give one; a *wall time* is a naive one. Between two changes
of its offset a zone is plain arithmetic; `stretches` cuts time there. All that DST does to a schedule follows from
`first_shown` (a fixed time of day) or from `stretches` (what follows real time).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from attrs import frozen

from trioflow.errors import InvalidSchedule

HORIZON_YEARS = 100
"""Nobody looks further for a next fire: what has not fired for a century is over."""
FIRST_YEAR, LAST_YEAR = 2, 9998
"""Outside, a wall time and its instant do not both fit into a datetime."""

TICK = datetime.resolution
DEFAULT_ANCHOR = datetime.fromisoformat("2020-01-01")
"""A wall time, to be read in the schedule's zone."""
MIDNIGHT = time()

_SECOND = timedelta(seconds=1)
_PROBE = timedelta(days=2)
"""The closest two changes of offset in the data since 1970 are 167 hours apart."""


@frozen
class Stretch:
    """From ``begin`` to just before ``end`` the zone's clocks show UTC plus ``offset``."""

    begin: datetime
    end: datetime
    offset: timedelta


def zone_named(name: str) -> ZoneInfo:
    """The time zone of that IANA name.

    Raises:
        InvalidSchedule: there is none.
    """
    try:
        return ZoneInfo(name)
    except (OSError, TypeError, ValueError, LookupError) as unknown:
        raise InvalidSchedule(
            f"there is no time zone {name!r}: name one as 'Europe/London', 'America/New_York' or 'UTC'"
        ) from unknown


def as_utc(instant: datetime) -> datetime:
    """The instant as a plain datetime in UTC, kept within the years that can be computed with.

    Raises:
        ValueError: it has no time zone, so it is not an instant.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone: an instant is an aware datetime")
    if instant.year < FIRST_YEAR:
        return datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
    if instant.year > LAST_YEAR:
        return datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
    return plain(instant.astimezone(UTC))


def plain(given: datetime) -> datetime:
    """The same instant or wall time without a subclass's own arithmetic."""
    if type(given) is datetime:
        return given
    return datetime.combine(given.date(), given.time(), given.tzinfo)


def wall_time(instant: datetime, zone: ZoneInfo) -> datetime:
    """What the zone's clocks show at the instant, as a naive datetime."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def first_shown(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the zone's clocks show ``wall`` or later.

    So a wall time that comes twice means its first pass, and one that is skipped the instant the clocks jump over
    it. Later wall times never give earlier instants.
    """
    first = wall.replace(tzinfo=zone).utcoffset() or timedelta()
    second = wall.replace(tzinfo=zone, fold=1).utcoffset() or timedelta()
    if first >= second:
        return (wall - first).replace(tzinfo=UTC)
    low, high = ((wall - offset).replace(tzinfo=UTC, microsecond=0) for offset in (second, first))
    return _change(zone, low, high)


def stretches(zone: ZoneInfo, begin: datetime) -> Iterator[Stretch]:
    """The stretches of constant offset from ``begin`` on, without a hole, as far as the horizon."""
    for year in range(begin.year, min(begin.year + HORIZON_YEARS, LAST_YEAR) + 1):
        for end in _cuts(zone, year):
            if begin < end:
                yield Stretch(begin, end, _offset(zone, begin))
                begin = end


@lru_cache(maxsize=1024)
def _cuts(zone: ZoneInfo, year: int) -> tuple[datetime, ...]:
    """The changes of offset in a year of UTC, and its end."""
    at, end = (datetime(y, 1, 1, tzinfo=UTC) for y in (year, year + 1))
    found: list[datetime] = []
    while at < end:
        later = min(at + _PROBE, end)
        if _offset(zone, at) != _offset(zone, later):
            found.append(_change(zone, at, later))
        at = later
    return (*found, end)


def _change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second after ``low``, and at the latest ``high``, at which the offset is no longer low's."""
    before = _offset(zone, low)
    seconds = range((high - low) // _SECOND)
    return (
        low + bisect_left(seconds, x=True, key=lambda s: _offset(zone, low + s * _SECOND) != before) * _SECOND
    )


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()
