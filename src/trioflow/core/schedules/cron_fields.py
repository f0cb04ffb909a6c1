"""Cron expressions taken apart: five fields into the days and the times of day that they match. No zones here."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from functools import lru_cache
from itertools import product

from attrs import field, frozen

from trioflow.core.schedules.zones import HORIZON_YEARS, LAST_YEAR
from trioflow.errors import InvalidSchedule

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LONGEST = 1_000
"""Characters of an expression; every minute of every hour written out takes 240."""

_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: n for n, name in enumerate(_MONTH_NAMES, start=1)}
_WEEKDAYS = {name: n for n, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_LAST = -1
_PART = re.compile(r"(?P<star>[*?])|(?P<low>[0-9]+|[A-Z]{3})(?:-(?P<high>[0-9]+|[A-Z]{3}))?", re.ASCII)
_NTH = re.compile(r"(?P<day>[0-7]|[A-Z]{3})(?:#(?P<nth>[1-5])|L)", re.ASCII)
_SHAPES = [(first, length) for first in range(7) for length in (28, 29, 30, 31)]


@frozen
class Place:
    """One of the five places of an expression: what may stand there."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(factory=dict[str, int])
    question: bool = False
    """Whether ``?`` may stand for ``*`` here."""

    def number(self, text: str) -> int:
        """The value that a number or a name stands for."""
        value = self.names.get(text, -1) if text.isalpha() else int(text)
        if not self.low <= value <= self.high:
            named = f" or {'-'.join([*self.names][:: len(self.names) - 1])}" if self.names else ""
            raise InvalidSchedule(f"{text} is no {self.name}: give {self.low}-{self.high}{named}")
        return value

    def covered(self, part: str) -> range:
        """The values that one part of a list covers: ``*``, ``n``, ``a-b``, each with or without ``/step``."""
        body, slash, every = part.partition("/")
        found = _PART.fullmatch(body)
        if (
            found is None
            or (slash and not re.fullmatch(r"[0-9]{1,4}", every))
            or (body == "?" and not self.question)
        ):
            raise InvalidSchedule(f"{part!r} cannot be a {self.name}: give *, n, a-b, */n or a list of them")
        if found["star"]:
            low, high = self.low, self.high
        else:
            low = self.number(found["low"])
            high = self.number(found["high"]) if found["high"] else self.high if slash else low
        if high == 0 < low and self.names is _WEEKDAYS:  # FRI-SUN
            high = 7
        if low > high:
            raise InvalidSchedule(
                f"{self.name} {body} runs backwards: write {low}-{self.high},{self.low}-{high}"
            )
        if slash and int(every) == 0:
            raise InvalidSchedule(f"{self.name} {part} has a step of 0: give 1 or more")
        return range(low, high + 1, int(every) if slash else 1)

    def values(self, parts: Iterable[str]) -> set[int]:
        """The values that the parts of a list cover."""
        return {value for part in parts for value in self.covered(part)}

    def spelt(self, values: set[int], *, starred: bool) -> str:
        """The values in one spelling. A field that began with ``*`` still does: it changes what the rules are."""
        step = 0
        if starred:
            steps = range(1, self.high + 2)
            step = next(n for n in steps if values.issuperset(range(self.low, self.high + 1, n)))
        star = {0: [], 1: ["*"]}.get(step, [f"*/{step}"])
        rest = values.difference(range(self.low, self.high + 1, step) if step else ())
        return ",".join([*star, *map(str, sorted(rest))])


MINUTE = Place("minute", 0, 59)
HOUR = Place("hour", 0, 23)
DAY = Place("day of the month", 1, 31, question=True)
MONTH = Place("month", 1, 12, _MONTHS)
WEEKDAY = Place("day of the week", 0, 7, _WEEKDAYS, question=True)


@frozen(eq=False)
class CronTable:
    """What an expression matches."""

    text: str
    """The expression in one spelling: spaces, names, nicknames, order and repetition make no difference."""
    times: tuple[timedelta, ...]
    """The matching times of day, since midnight, in order."""
    months: tuple[int, ...]
    days: Mapping[tuple[int, int], tuple[int, ...]]
    """The matching days of a month, by its shape: (weekday of its first day, Monday is 0; how many days)."""
    real_time: bool
    """Whether the minute or the hour begins with ``*``: Vixie's wildcard jobs, which follow real time."""

    def matching_days(self, start: date) -> Iterator[date]:
        """The matching days from ``start`` on, as far as the horizon."""
        for year in range(start.year, min(start.year + HORIZON_YEARS, LAST_YEAR) + 1):
            for month in self.months:
                if (year, month) >= (start.year, start.month):
                    days = (date(year, month, day) for day in self.days[monthrange(year, month)])
                    yield from (day for day in days if day >= start)


@lru_cache(maxsize=4096)
def cron_table(expression: str, *, day_or: bool) -> CronTable:
    """Take an expression apart.

    Args:
        expression: five fields, or a nickname such as ``@daily``.
        day_or: whether a day matches by either of the two day fields, where neither begins with ``*`` (Vixie's
            rule); otherwise it must match by both.

    Raises:
        InvalidSchedule: names the field and the mend.
    """
    try:
        return _taken_apart(expression, day_or=day_or)
    except InvalidSchedule as fault:
        raise InvalidSchedule(f"the cron expression {expression[:100]!r} cannot be: {fault}") from None


def _taken_apart(expression: str, *, day_or: bool) -> CronTable:
    minute, hour, day, month, weekday = _five_fields(expression)
    minutes, hours, months = (
        place.values(text.split(",")) for place, text in ((MINUTE, minute), (HOUR, hour), (MONTH, month))
    )
    day_rule = _DayRule.read(day, weekday, day_or=day_or)
    shapes = {shape: day_rule.matching(*shape) for shape in _SHAPES}
    if not any(shapes[first, length] for first in range(7) for m in months for length in _lengths(m)):
        raise InvalidSchedule("it never fires, since no such month has such a day")
    spelt = (
        MINUTE.spelt(minutes, starred=_starred(minute)),
        HOUR.spelt(hours, starred=_starred(hour)),
        day_rule.spelt_days(),
        MONTH.spelt(months, starred=len(months) == 12),
        day_rule.spelt_weekdays(),
    )
    return CronTable(
        text=" ".join(spelt) + (" both days" if day_rule.narrowed else ""),
        times=tuple(timedelta(hours=h, minutes=m) for h, m in product(sorted(hours), sorted(minutes))),
        months=tuple(sorted(months)),
        days=shapes,
        real_time=_starred(minute) or _starred(hour),
    )


@frozen
class _DayRule:
    """The two day fields, and how they go together."""

    days: set[int]
    last: bool
    """Whether the month's last day is among the days (``L``)."""
    weekdays: set[int]
    """Sunday is 0."""
    nths: set[tuple[int, int]]
    """(weekday, which one of the month); the last one is -1."""
    starred: tuple[bool, bool]
    day_or: bool

    @classmethod
    def read(cls, day: str, weekday: str, *, day_or: bool) -> _DayRule:
        """Take the two fields apart."""
        days, ordinals = day.split(","), weekday.split(",")
        nths = [found for part in ordinals if (found := _NTH.fullmatch(part))]
        return cls(
            days=DAY.values(part for part in days if part != "L"),
            last="L" in days,
            weekdays={v % 7 for v in WEEKDAY.values(p for p in ordinals if not _NTH.fullmatch(p))},
            nths={(WEEKDAY.number(found["day"]) % 7, int(found["nth"] or _LAST)) for found in nths},
            starred=(_starred(day), _starred(weekday)),
            day_or=day_or,
        )

    @property
    def narrowed(self) -> bool:
        """Whether ``day_or=False`` changes what is matched."""
        return not self.day_or and not any(self.starred)

    def matching(self, first: int, length: int) -> tuple[int, ...]:
        """The matching days of a month whose first weekday (Monday is 0) and length are given."""
        either = self.day_or and not any(self.starred)
        judge = any if either else all
        numbered = [(day, (first + day) % 7) for day in range(1, length + 1)]
        return tuple(
            day
            for day, weekday in numbered
            if judge((self._by_day(day, length), self._by_weekday(day, weekday, length)))
        )

    def _by_day(self, day: int, length: int) -> bool:
        return day in self.days or (self.last and day == length)

    def _by_weekday(self, day: int, weekday: int, length: int) -> bool:
        is_last = day + 7 > length
        nth = (weekday, (day + 6) // 7) in self.nths or (is_last and (weekday, _LAST) in self.nths)
        return weekday in self.weekdays or nth

    def spelt_days(self) -> str:
        """The day of the month in one spelling."""
        return ",".join(filter(None, [DAY.spelt(self.days, starred=self.starred[0]), "L" * self.last]))

    def spelt_weekdays(self) -> str:
        """The day of the week in one spelling."""
        nths = [f"{day}L" if nth == _LAST else f"{day}#{nth}" for day, nth in sorted(self.nths)]
        plain = Place(WEEKDAY.name, 0, 6).spelt(self.weekdays, starred=self.starred[1])
        return ",".join(filter(None, [plain, *nths]))


def _five_fields(expression: str) -> list[str]:
    if len(expression) > LONGEST:
        raise InvalidSchedule(f"it has {len(expression)} characters instead of at most {LONGEST}")
    text = expression.strip()
    if text.startswith("@") and text.lower() not in NICKNAMES:
        raise InvalidSchedule(f"there is no {text!r}: give one of {', '.join(NICKNAMES)}, or five fields")
    fields = NICKNAMES.get(text.lower(), text).upper().split()
    if len(fields) == 5:
        return fields
    mend = "minute hour day month weekday"
    if len(fields) == 6:
        mend += "; for seconds use an interval"
    raise InvalidSchedule(f"it has {len(fields)} fields instead of 5: {mend}")


def _starred(text: str) -> bool:
    return text.startswith(("*", "?"))


def _lengths(month: int) -> tuple[int, ...]:
    return (28, 29) if month == 2 else (monthrange(2001, month)[1],)
