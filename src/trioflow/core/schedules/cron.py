"""Cron by Vixie's rules: fixed times fire once whatever the clocks do, wildcards follow real time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from attrs import Factory, field, frozen

from trioflow.core.schedules.cron_fields import CronTable, cron_table
from trioflow.core.schedules.schedule import Schedule
from trioflow.core.schedules.zones import (
    MIDNIGHT,
    TICK,
    as_utc,
    first_shown,
    stretches,
    wall_time,
    zone_named,
)
from trioflow.errors import InvalidSchedule


def _text(given: str) -> str:
    match given:
        case str():
            return given
        case _:
            raise InvalidSchedule(f"a cron expression is a text such as '0 9 * * MON-FRI', not {given!r}")


def _zone_of(schedule: CronSchedule) -> ZoneInfo:
    return zone_named(schedule.zone)


def _table_of(schedule: CronSchedule) -> CronTable:
    return cron_table(schedule.cron, day_or=schedule.day_or)


@frozen
class CronSchedule(Schedule):
    """A cron expression of five fields, read by the clocks of a zone.

    Where the clocks change, Vixie cron's rules hold. An expression whose minute or hour begins with ``*`` follows
    real time: it fires whenever the clocks show a matching time, so hourly means 25 times on a day of 25 hours.
    Any other names fixed times of day: one that comes twice fires the first time, one that is skipped fires at the
    instant the clocks jump over it.

    Beyond numbers, names, ranges, steps and lists: ``@hourly`` and the like; ``?`` for ``*`` in the day fields;
    ``L``, the last day of the month; ``FRI#2`` and ``FRIL``, the second and the last Friday of it; 7 is Sunday too.

    Raises:
        InvalidSchedule: a field that cannot be, an expression that never fires, or no such zone.
    """

    cron: str = field(converter=_text)
    zone: str = "UTC"
    day_or: bool = True
    """Whether a day matches by either day field, if both are given; otherwise it must match by both."""
    _tz: ZoneInfo = field(init=False, eq=False, repr=False, default=Factory(_zone_of, takes_self=True))
    _table: CronTable = field(init=False, eq=False, repr=False, default=Factory(_table_of, takes_self=True))

    @property
    def canonical(self) -> str:
        """``cron <five fields>``, with numbers for names and nicknames."""
        return f"cron {self._table.text}"

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The instants, in UTC and strictly increasing, strictly after an aware datetime."""
        at = as_utc(after)
        return self._whenever_shown(at) if self._table.real_time else self._once_each(at)

    def _whenever_shown(self, after: datetime) -> Iterator[datetime]:
        for stretch in stretches(self._tz, after + TICK):
            offset = stretch.offset
            for wall in self._walls((stretch.begin + offset).replace(tzinfo=None)):
                fire = (wall - offset).replace(tzinfo=UTC)
                if fire >= stretch.end:
                    break
                yield fire

    def _once_each(self, after: datetime) -> Iterator[datetime]:
        last = after
        for wall in self._walls(wall_time(after, self._tz) + TICK):
            fire = first_shown(wall, self._tz)
            if fire > last:  # in a repeated hour the first pass is over; skipped times share one jump
                yield fire
                last = fire

    def _walls(self, start: datetime) -> Iterator[datetime]:
        """The matching wall times from ``start`` on."""
        times = self._table.times
        today = start.date()
        for day in self._table.matching_days(today):
            midnight = datetime.combine(day, MIDNIGHT)
            begin = bisect_left(times, start - midnight) if day == today else 0
            for time in times[begin:] if begin else times:
                yield midnight + time
