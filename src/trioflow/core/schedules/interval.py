"""Intervals: the fires are anchor + k × interval for every whole k, computed afresh each time and never chained."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from attrs import Factory, field, frozen

from trioflow.core.schedules.schedule import Schedule
from trioflow.core.schedules.zones import (
    DEFAULT_ANCHOR,
    LAST_YEAR,
    as_utc,
    first_shown,
    plain,
    wall_time,
    zone_named,
)
from trioflow.errors import InvalidSchedule

_DAY = timedelta(days=1)
_NONE = timedelta()


def _every(given: timedelta | float) -> timedelta:
    """A duration longer than 0; a number means seconds."""
    match given:
        case timedelta():
            every = timedelta(days=given.days, seconds=given.seconds, microseconds=given.microseconds)
        case bool():
            raise InvalidSchedule(f"an interval is a number of seconds or a timedelta, not {given}")
        case int() | float() if abs(given) < timedelta.max.total_seconds():
            every = timedelta(seconds=given)
        case _:
            raise InvalidSchedule(f"an interval is a number of seconds or a timedelta, not {given!r}")
    if every <= _NONE:
        raise InvalidSchedule(f"an interval is longer than 0 seconds, not {every.total_seconds():g}")
    return every


def _anchor(given: datetime | None) -> datetime | None:
    match given:
        case None:
            return None
        case datetime():
            return plain(given)
        case _:
            raise InvalidSchedule(f"an anchor is a datetime, not {given!r}")


def _zone_of(schedule: IntervalSchedule) -> ZoneInfo:
    return zone_named(schedule.zone)


def _start_of(schedule: IntervalSchedule) -> datetime:
    anchor = schedule.anchor or DEFAULT_ANCHOR
    return as_utc(anchor) if anchor.tzinfo else first_shown(anchor, zone_named(schedule.zone))


@frozen
class IntervalSchedule(Schedule):
    """Every so often, before the anchor as after it: the anchor sets the phase, not the beginning.

    An interval of whole days keeps its wall time through every change of the clocks: a time that is skipped is due
    when the clocks jump over it, a time that comes twice the first time. Any other interval is real time.

    Raises:
        InvalidSchedule: the interval is not longer than 0, or there is no such zone.
    """

    every: timedelta = field(converter=_every)
    """A number means seconds."""
    anchor: datetime | None = field(default=None, converter=_anchor)
    """A naive one is read in the zone; the default is 2020-01-01 there."""
    zone: str = "UTC"
    _tz: ZoneInfo = field(init=False, eq=False, repr=False, default=Factory(_zone_of, takes_self=True))
    _start: datetime = field(init=False, eq=False, repr=False, default=Factory(_start_of, takes_self=True))

    @property
    def canonical(self) -> str:
        """``every <seconds> from <anchor in UTC>``."""
        seconds, micro = divmod(self.every, timedelta(seconds=1))
        fraction = f".{micro.microseconds:06}".rstrip("0") if micro else ""
        return f"every {seconds}{fraction} from {self._start:%Y-%m-%dT%H:%M:%S.%fZ}"

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The instants, in UTC and strictly increasing, strictly after an aware datetime."""
        at = as_utc(after)
        walk = self._real_time(at) if self.every % _DAY else self._wall_time(at)
        try:
            yield from walk
        except OverflowError:
            return

    def _real_time(self, after: datetime) -> Iterator[datetime]:
        for k in count((after - self._start) // self.every + 1):
            fire = self._start + k * self.every
            if fire.year > LAST_YEAR:
                return
            yield fire

    def _wall_time(self, after: datetime) -> Iterator[datetime]:
        anchor = self.anchor or DEFAULT_ANCHOR
        start, last = wall_time(anchor, self._tz) if anchor.tzinfo else anchor, after
        for k in count((wall_time(after, self._tz) - start) // self.every + 1):
            wall = start + k * self.every
            if wall.year > LAST_YEAR:
                return
            fire = first_shown(wall, self._tz)
            if fire > last:  # in a repeated hour the first pass is over; two walls may share a jump
                yield fire
                last = fire
