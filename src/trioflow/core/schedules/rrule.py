"""RRULEs: RFC 5545's recurrence rules, with a cost that is bounded whatever the rule says.

dateutil is asked one question only: which days of one year match. It answers in well under a millisecond, and its
answer is remembered; so nothing is ever scanned from a far DTSTART, and a rule that never fires is found out at
construction. Periods, positions and the clocks are ours.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import groupby, islice, product, takewhile
from zoneinfo import ZoneInfo

from attrs import Factory, evolve, field, frozen

from trioflow.core.schedules.rrule_parts import DayFilter, Freq, Rule, read_rule
from trioflow.core.schedules.schedule import Schedule
from trioflow.core.schedules.zones import (
    HORIZON_YEARS,
    LAST_YEAR,
    MIDNIGHT,
    TICK,
    Stretch,
    as_utc,
    first_shown,
    stretches,
    wall_time,
    zone_named,
)
from trioflow.errors import InvalidSchedule

MOST_SLOTS = 20_000
"""So many hours or minutes in a row without a match, on days that match, and an hourly rule is over."""
_ONE_YEAR_ONLY = 10_000
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


def _text(given: str) -> str:
    match given:
        case str():
            return given
        case _:
            raise InvalidSchedule(f"an RRULE is a text such as 'FREQ=WEEKLY;BYDAY=MO', not {given!r}")


def _recurrence_of(schedule: RRuleSchedule) -> Recurrence:
    return recurrence(schedule.rrule, zone_named(schedule.zone))


@frozen
class RRuleSchedule(Schedule):
    """A recurrence rule of RFC 5545: ``FREQ=...``, or the lines ``DTSTART:...`` and ``RRULE:...``.

    DTSTART is read in the schedule's zone; the default is 2020-01-01 there. A rule of whole days keeps its wall
    times through every change of the clocks: a time that is skipped is due when the clocks jump over it, a time that
    comes twice the first time. HOURLY and MINUTELY count real time from DTSTART, and their BYHOUR, BYDAY, ... look
    at the clocks. An UNTIL without a time includes that day.

    Raises:
        InvalidSchedule: a part that cannot be, a rule that never fires, or no such zone.
    """

    rrule: str = field(converter=_text)
    zone: str = "UTC"
    _recurrence: Recurrence = field(
        init=False, eq=False, repr=False, default=Factory(_recurrence_of, takes_self=True)
    )

    @property
    def canonical(self) -> str:
        """``rrule DTSTART=...;FREQ=...``, its parts in one order and its lists sorted."""
        return f"rrule {self._recurrence.text}"

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The instants, in UTC and strictly increasing, strictly after an aware datetime."""
        return self._recurrence.fires(as_utc(after))


@lru_cache(maxsize=4096)
def recurrence(text: str, zone: ZoneInfo) -> Recurrence:
    """Make the rule ready: give it its start, and turn COUNT and UNTIL into its last fire.

    Raises:
        InvalidSchedule: names the part and the mend.
    """
    try:
        return _made_ready(read_rule(text, zone.key), zone)
    except InvalidSchedule as fault:
        raise InvalidSchedule(f"the RRULE {text[:100]!r} cannot be: {fault}") from None


def _made_ready(given: Rule, zone: ZoneInfo) -> Recurrence:
    start = as_utc(given.start) if given.start.tzinfo else first_shown(given.start, zone)
    rule = given.complete(wall_time(start, zone) if given.start.tzinfo else given.start)
    clock = tuple(timedelta(0, s, 0, 0, m, h) for h, m, s in product(rule.hours, rule.minutes, rule.seconds))
    by_hour = rule.hours and rule.interval * rule.freq.length < _DAY
    windows = tuple((hour * _HOUR, _HOUR) for hour in rule.hours) if by_hour else ((0 * _DAY, _DAY),)
    endless = Recurrence(text=given.text, rule=rule, zone=zone, start=start, clock=clock, windows=windows)
    if next(endless.fires(start - TICK), None) is None:
        raise InvalidSchedule("it never fires, since no such day or time comes")
    match given:
        case Rule(count=int(count)):
            # a count that a century does not reach is no end
            last = next(islice(endless.fires(start - TICK), count - 1, None), None)
        case Rule(until=datetime() as until):
            last = as_utc(until) if until.tzinfo else first_shown(until, zone)
        case _:
            last = None
    if last and last < start:
        raise InvalidSchedule("it ends before it starts")
    return evolve(endless, last=last)


@frozen(eq=False, kw_only=True)
class Recurrence:
    """A rule in a zone, ready to be walked."""

    text: str
    """The rule in one spelling."""
    rule: Rule
    zone: ZoneInfo
    start: datetime
    """DTSTART as an instant."""
    last: datetime | None = None
    """No fire is later."""
    clock: tuple[timedelta, ...]
    """Of a rule of days or longer: its times of day since midnight, in order."""
    windows: tuple[tuple[timedelta, timedelta], ...]
    """Of a rule of hours or minutes: the parts of a day, begin and length, in which to look for its slots."""

    def fires(self, after: datetime) -> Iterator[datetime]:
        """The instants strictly after ``after``, a plain datetime in UTC."""
        begin, last = max(after, self.start - TICK), self.last
        walk = self._real_time(begin) if self.rule.freq >= Freq.HOURLY else self._wall_time(begin)
        return takewhile(lambda fire: fire <= last, walk) if last else walk

    # --- days and longer: wall times, each at the first instant at which the clocks show it

    def _wall_time(self, after: datetime) -> Iterator[datetime]:
        last = after
        for wall in self._walls(max(wall_time(after, self.zone) + TICK, self.rule.start)):
            fire = first_shown(wall, self.zone)
            if fire > last:  # in a repeated hour the first pass is over; skipped times share one jump
                yield fire
                last = fire

    def _walls(self, start: datetime) -> Iterator[datetime]:
        today, origin = start.date(), self._period(self.rule.start.date())
        for period, days in groupby(self._days(self._period_start(today)), key=self._period):
            if (period - origin) % self.rule.interval == 0:
                times = self._picked(days) if self.rule.setpos else self._timed(d for d in days if d >= today)
                yield from (wall for wall in times if wall >= start)

    def _timed(self, days: Iterable[date]) -> Iterator[datetime]:
        """Every wall time of the days, in order."""
        for day in days:
            midnight = datetime.combine(day, MIDNIGHT)
            for time in self.clock:
                yield midnight + time

    def _picked(self, days: Iterable[date]) -> list[datetime]:
        """Those wall times of a whole period that BYSETPOS names."""
        walls = list(self._timed(days))
        count = len(walls)
        return sorted({walls[n - 1 if n > 0 else n] for n in self.rule.setpos if -count <= n <= count})

    def _period(self, day: date) -> int:
        """The number of the period that the day is in; the next period has the next number."""
        match self.rule.freq:
            case Freq.YEARLY:
                return day.year
            case Freq.MONTHLY:
                return day.year * 12 + day.month
            case Freq.WEEKLY:
                return (day.toordinal() - 1 - self.rule.days.weekstart) // 7  # day 1 was a Monday
            case _:
                return day.toordinal()

    def _period_start(self, day: date) -> date:
        match self.rule.freq:
            case Freq.YEARLY:
                return day.replace(month=1, day=1)
            case Freq.MONTHLY:
                return day.replace(day=1)
            case Freq.WEEKLY:
                return day - timedelta(days=(day.weekday() - self.rule.days.weekstart) % 7)
            case _:
                return day

    # --- hours and minutes: real time from DTSTART, looked at by the clocks

    def _real_time(self, after: datetime) -> Iterator[datetime]:
        barren = 0
        for stretch in stretches(self.zone, after + TICK):
            for slot in self._slots(stretch):
                barren += 1
                for fire in self._fires_in(slot + stretch.offset, stretch):
                    yield fire
                    barren = 0
                if barren > MOST_SLOTS:
                    return

    def _slots(self, stretch: Stretch) -> Iterator[datetime]:
        """The instants DTSTART + k × INTERVAL whose hour or minute may reach into a matching day of a stretch."""
        step = self.rule.interval * self.rule.freq.length
        due = stretch.begin - self.rule.freq.length
        for day in self._days((stretch.begin + stretch.offset).date()):
            midnight = datetime.combine(day, MIDNIGHT, UTC) - stretch.offset
            if midnight >= stretch.end:
                return
            for begin, length in self.windows:
                due = max(due, midnight + begin)
                slot = self.start - (self.start - due) // step * step
                end = min(midnight + begin + length, stretch.end)
                while slot < end:
                    yield slot
                    slot += step

    def _fires_in(self, shown: datetime, stretch: Stretch) -> Iterator[datetime]:
        """The fires of a slot at which the clocks show ``shown``, where they lie in the stretch."""
        rule = self.rule
        minutes = rule.minutes or (shown.minute,)
        if rule.freq is Freq.MINUTELY:
            minutes = (shown.minute,) if shown.minute in minutes else ()
        if rule.hours and shown.hour not in rule.hours:
            return
        for minute, second in product(minutes, rule.seconds or (shown.second,)):
            fire = shown.replace(minute=minute, second=second) - stretch.offset
            if stretch.begin <= fire < stretch.end:
                yield fire

    def _days(self, start: date) -> Iterator[date]:
        """The matching days from ``start`` on, as far as the horizon."""
        for year in range(start.year, min(start.year + HORIZON_YEARS, LAST_YEAR) + 1):
            days = _days_of_year(self.rule.days, year)
            yield from days[bisect_left(days, start) :] if year == start.year else days


@lru_cache(maxsize=512)
def _days_of_year(days: DayFilter, year: int) -> tuple[date, ...]:
    """The matching days of a year, in order."""
    from dateutil.rrule import YEARLY, rrule, weekday  # type: ignore[import-untyped]

    plain = [day for day in days.weekdays if not day[1]]
    counted = [day for day in days.weekdays if day[1]]
    found = set[date]()
    for kind in [plain, counted] if plain and counted else [days.weekdays]:  # it would want both at once
        matching = rrule(
            YEARLY,
            dtstart=datetime.combine(date(year, 1, 1), MIDNIGHT),
            interval=_ONE_YEAR_ONLY,
            wkst=days.weekstart,
            bymonth=days.months or None,
            bymonthday=days.monthdays or None,
            byyearday=days.yeardays or None,
            byweekno=days.weeknos or None,
            byweekday=[weekday(day, nth or None) for day, nth in kind] or None,
        )
        found.update(match.date() for match in matching)
    return tuple(sorted(found))
