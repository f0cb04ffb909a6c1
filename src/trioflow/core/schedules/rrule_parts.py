"""The text of an RRULE taken apart and checked: RFC 5545's parts, without what would burn time or mean nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from attrs import evolve, field, frozen

from trioflow.core.schedules.zones import DEFAULT_ANCHOR
from trioflow.errors import InvalidSchedule

LONGEST = 4_000
"""Characters of a rule."""
MOST_COUNTED = 10_000
"""The highest COUNT: its end is found by counting."""
MOST_TIMES = 1_440
"""Times of day that BYHOUR, BYMINUTE and BYSECOND may name together,"""
MOST_PICKED_FROM = 24
"""and where BYSETPOS picks from those of a whole year."""
LONGEST_INTERVAL = timedelta(days=50 * 366)

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_LINE = re.compile(r"(?P<name>[A-Z-]+)(?P<parameters>(?:;[^:]*)?):(?P<value>.*)", re.DOTALL)
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?", re.ASCII)
_BYDAY = re.compile(r"(?P<nth>[+-]?\d{1,2})?(?P<day>MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_RANGES = {
    "BYSETPOS": (-366, 366),
    "BYMONTH": (1, 12),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYHOUR": (0, 23),
    "BYMINUTE": (0, 59),
    "BYSECOND": (0, 59),
}


class Freq(IntEnum):
    """What INTERVAL counts."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5

    @property
    def length(self) -> timedelta:
        """How long one is, about."""
        days = (366, 31, 7, 1)
        return (
            timedelta(days=days[self])
            if self <= Freq.DAILY
            else timedelta(minutes=60 if self is Freq.HOURLY else 1)
        )


Numbers = tuple[int, ...]


@frozen(cache_hash=True)
class DayFilter:
    """Which days of a year match, as RFC 5545's YEARLY says it; what is empty does not limit."""

    months: Numbers = ()
    monthdays: Numbers = ()
    yeardays: Numbers = ()
    weeknos: Numbers = ()
    weekdays: tuple[tuple[int, int], ...] = ()
    """(weekday, Monday is 0; which one of the month, or of the year if no months are named; 0 is every one)."""
    weekstart: int = 0


@frozen
class Rule:
    """A checked rule. Times are wall times; empty tuples mean that the rule does not say."""

    freq: Freq
    start: datetime
    """DTSTART, naive unless it was given in UTC."""
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    """The last instant or wall time that is due, included."""
    setpos: Numbers = ()
    days: DayFilter = field(factory=DayFilter)
    hours: Numbers = ()
    minutes: Numbers = ()
    seconds: Numbers = ()

    @property
    def times(self) -> int:
        """How many times of day BYHOUR, BYMINUTE and BYSECOND name together."""
        return max(1, len(self.hours)) * max(1, len(self.minutes)) * max(1, len(self.seconds))

    @property
    def text(self) -> str:
        """The rule in one spelling: its parts in one order, its lists sorted, no defaults."""
        days = self.days
        parts = {
            "DTSTART": _spelt(self.start),
            "FREQ": self.freq.name,
            "INTERVAL": str(self.interval) if self.interval > 1 else "",
            "COUNT": str(self.count or ""),
            "UNTIL": _spelt(self.until) if self.until else "",
            "WKST": WEEKDAYS[days.weekstart] if days.weekstart else "",
            "BYDAY": ",".join(f"{nth or ''}{WEEKDAYS[day]}" for day, nth in days.weekdays),
            "BYMONTH": _joined(days.months),
            "BYMONTHDAY": _joined(days.monthdays),
            "BYYEARDAY": _joined(days.yeardays),
            "BYWEEKNO": _joined(days.weeknos),
            "BYHOUR": _joined(self.hours),
            "BYMINUTE": _joined(self.minutes),
            "BYSECOND": _joined(self.seconds),
            "BYSETPOS": _joined(self.setpos),
        }
        return ";".join(f"{name}={value}" for name, value in parts.items() if value)

    def complete(self, start: datetime) -> Rule:
        """The rule with all that it leaves to DTSTART said, as RFC 5545 fills it in.

        Args:
            start: DTSTART as a wall time of the schedule's zone.
        """
        days = self.days
        if not (days.monthdays or days.yeardays or days.weeknos or days.weekdays):
            days = self._implied(start)
        if self.freq is Freq.MONTHLY and not days.months:
            days = evolve(days, months=tuple(range(1, 13)))
        if self.freq >= Freq.HOURLY:
            return evolve(self, start=start, days=days)
        return evolve(
            self,
            start=start,
            days=days,
            hours=self.hours or (start.hour,),
            minutes=self.minutes or (start.minute,),
            seconds=self.seconds or (start.second,),
        )

    def _implied(self, start: datetime) -> DayFilter:
        match self.freq:
            case Freq.YEARLY:
                return evolve(self.days, months=self.days.months or (start.month,), monthdays=(start.day,))
            case Freq.MONTHLY:
                return evolve(self.days, monthdays=(start.day,))
            case Freq.WEEKLY:
                return evolve(self.days, weekdays=((start.weekday(), 0),))
            case _:
                return evolve(self.days, weekdays=tuple((day, 0) for day in range(7)))


def _joined(numbers: Numbers) -> str:
    return ",".join(map(str, numbers))


def _spelt(stamp: datetime) -> str:
    return stamp.strftime("%Y%m%dT%H%M%S") + ("Z" if stamp.tzinfo else "")


def read_rule(text: str, zone: str) -> Rule:
    """Take a rule apart: ``FREQ=...``, or the lines ``DTSTART...:...`` and ``RRULE:...``.

    Raises:
        InvalidSchedule: names the part and the mend.
    """
    if len(text) > LONGEST:
        raise InvalidSchedule(f"it has {len(text)} characters instead of at most {LONGEST}")
    start, rules = DEFAULT_ANCHOR, list[str]()
    for line in text.upper().split():
        found = _LINE.fullmatch(line)
        match found["name"] if found else "RRULE":
            case "RRULE":
                rules.append(found["value"] if found else line)
            case "DTSTART":
                start = _start(line, text, zone)
            case name:
                raise InvalidSchedule(
                    f"{name} is not supported: give DTSTART and one RRULE, or several schedules"
                )
    if len(rules) != 1:
        raise InvalidSchedule(f"it has {len(rules)} rules instead of 1: give several schedules")
    return _rule(rules[0], start)


def _start(line: str, text: str, zone: str) -> datetime:
    where, _, value = line.partition(":")
    named = re.search(r"TZID=([^:;\s]+)", text, re.IGNORECASE)
    if "TZID=" in where and (named is None or named[1] != zone):
        raise InvalidSchedule(
            f"{line!r} does not agree with the zone {zone!r}: give the zone to the schedule"
        )
    return _stamp("DTSTART", value)


def _rule(text: str, start: datetime) -> Rule:
    parts = dict[str, str]()
    for part in text.strip(";").split(";"):
        name, _, value = part.partition("=")
        if not value or name in parts:
            raise InvalidSchedule(f"{part!r} cannot be part of an RRULE: write NAME=value, each name once")
        parts[name] = value
    freq = _freq(parts.pop("FREQ", ""))
    interval = _number("INTERVAL", parts.pop("INTERVAL", "1"), 1, 10**9)
    if interval > LONGEST_INTERVAL / freq.length:
        raise InvalidSchedule(f"INTERVAL={interval} of FREQ={freq.name} is longer than 50 years")
    until = parts.pop("UNTIL", None)
    count = parts.pop("COUNT", None)
    if until and count:
        raise InvalidSchedule("it ends by COUNT and by UNTIL: give one of them")
    weekstart = parts.pop("WKST", "MO")
    if weekstart not in WEEKDAYS:
        raise InvalidSchedule(f"WKST={weekstart} is no weekday: give one of {', '.join(WEEKDAYS)}")
    weekdays = _weekdays(parts.pop("BYDAY", ""), freq)
    lists = {name: _numbers(name, value) for name, value in parts.items()}
    _check_fit(freq, lists)
    rule = Rule(
        freq=freq,
        start=start,
        interval=interval,
        count=_number("COUNT", count, 1, MOST_COUNTED) if count else None,
        until=_until(until) if until else None,
        setpos=lists.get("BYSETPOS", ()),
        days=DayFilter(
            months=lists.get("BYMONTH", ()),
            monthdays=lists.get("BYMONTHDAY", ()),
            yeardays=lists.get("BYYEARDAY", ()),
            weeknos=lists.get("BYWEEKNO", ()),
            weekdays=weekdays,
            weekstart=WEEKDAYS.index(weekstart),
        ),
        hours=lists.get("BYHOUR", ()),
        minutes=lists.get("BYMINUTE", ()),
        seconds=lists.get("BYSECOND", ()),
    )
    most = MOST_PICKED_FROM if rule.setpos else MOST_TIMES
    if freq <= Freq.DAILY and rule.times > most:
        raise InvalidSchedule(
            f"it names {rule.times} times of day instead of at most {most}: use FREQ=HOURLY"
        )
    return rule


def _freq(text: str) -> Freq:
    if text == "SECONDLY":
        raise InvalidSchedule("FREQ=SECONDLY is not supported: use an interval")
    if text not in Freq.__members__:
        raise InvalidSchedule(f"FREQ={text} cannot be: give one of {', '.join(Freq.__members__)}")
    return Freq[text]


def _check_fit(freq: Freq, lists: dict[str, Numbers]) -> None:
    if "BYWEEKNO" in lists and freq is not Freq.YEARLY:
        raise InvalidSchedule(f"BYWEEKNO counts the weeks of a year: it needs FREQ=YEARLY, not {freq.name}")
    if "BYSETPOS" in lists and freq >= Freq.HOURLY:
        raise InvalidSchedule(f"BYSETPOS picks from a day or longer: it needs FREQ=DAILY, not {freq.name}")


def _number(name: str, text: str, low: int, high: int) -> int:
    if re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII) is None or not low <= int(text) <= high:
        raise InvalidSchedule(f"{name}={text} cannot be: give a number from {low} to {high}")
    return int(text)


def _numbers(name: str, text: str) -> Numbers:
    if name not in _RANGES:
        raise InvalidSchedule(
            f"{name} is no part of an RRULE: give FREQ, INTERVAL, COUNT, UNTIL, WKST or BY..."
        )
    low, high = _RANGES[name]
    found = {_number(name, value, low, high) for value in text.split(",")}
    if low < 0 and 0 in found:
        raise InvalidSchedule(f"{name}=0 cannot be: count from 1, or from -1 for the last one")
    return tuple(sorted(found))


def _weekdays(text: str, freq: Freq) -> tuple[tuple[int, int], ...]:
    found = set[tuple[int, int]]()
    for part in text.split(",") if text else ():
        day = _BYDAY.fullmatch(part)
        nth = int(day["nth"] or 0) if day else 0
        if day is None or abs(nth) > 53 or (day["nth"] and not nth):
            raise InvalidSchedule(f"BYDAY={part} cannot be: give MO, 2TU (the second) or -1FR (the last)")
        if nth and freq > Freq.MONTHLY:
            raise InvalidSchedule(f"BYDAY={part} counts in a month or year: it needs FREQ=MONTHLY or YEARLY")
        found.add((WEEKDAYS.index(day["day"]), nth))
    return tuple(sorted(found))


def _until(text: str) -> datetime:
    """A date means all of that day."""
    return _stamp("UNTIL", text if "T" in text else f"{text}T235959")


def _stamp(name: str, text: str) -> datetime:
    found = _STAMP.fullmatch(text)
    try:
        year, month, day, hour, minute, second = (
            (int(part or 0) for part in found.groups()[:6]) if found else [0] * 6
        )
        stamp = datetime(year, month, day, hour, minute, second, tzinfo=UTC if found and found[7] else None)
    except ValueError:
        raise InvalidSchedule(f"{name}={text} is no time: write 20240131T093000, or ...Z for UTC") from None
    if not 1900 <= stamp.year <= 9000:
        raise InvalidSchedule(f"{name}={text} is too far away: give a year from 1900 to 9000")
    return stamp
