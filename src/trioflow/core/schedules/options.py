"""The ways in which a deployment may be told when it is due, declared once for everyone who takes them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

from attrs import frozen

from trioflow.core.schedules.cron import CronSchedule
from trioflow.core.schedules.interval import IntervalSchedule
from trioflow.core.schedules.rrule import RRuleSchedule
from trioflow.core.schedules.schedule import Schedule
from trioflow.errors import InvalidSchedule


@frozen(kw_only=True)
class ScheduleOptions:
    """What a caller said of when it is due: at most one of the first five."""

    interval: float | timedelta | Iterable[float | timedelta] | None = None
    """A number means seconds."""
    cron: str | Iterable[str] | None = None
    rrule: str | Iterable[str] | None = None
    schedule: Schedule | None = None
    schedules: Iterable[Schedule] | None = None
    anchor: datetime | None = None
    """For intervals only."""
    zone: str | None = None
    """For an interval, cron or rrule; a schedule object has its own. The default is UTC."""

    def asked(self) -> tuple[Schedule, ...]:
        """The schedules that they amount to, each once.

        Raises:
            InvalidSchedule: there are several kinds, an anchor or a zone has nothing to belong to, or one of the
                schedules cannot be.
        """
        kinds = {
            name: value
            for name in ("interval", "cron", "rrule", "schedule", "schedules")
            if (value := getattr(self, name)) is not None
        }
        if len(kinds) > 1:
            raise InvalidSchedule(
                f"{' and '.join(kinds)} were given: give one of them, or a list of schedules"
            )
        if self.anchor is not None and self.interval is None:
            raise InvalidSchedule("an anchor was given without an interval: it sets the phase of one")
        if self.zone is not None and kinds.keys().isdisjoint(("interval", "cron", "rrule")):
            raise InvalidSchedule(
                f"the zone {self.zone!r} needs an interval, cron or rrule that it can belong to"
            )
        objects = _several("schedules", self.schedule if self.schedules is None else self.schedules, Schedule)
        found = [*self._built(self.zone or "UTC"), *objects]
        return tuple({(schedule.canonical, schedule.zone): schedule for schedule in found}.values())

    def _built(self, zone: str) -> list[Schedule]:
        return [
            *(
                IntervalSchedule(every, self.anchor, zone)
                for every in _several("interval", self.interval, (int, float, timedelta))
            ),
            *(CronSchedule(cron, zone) for cron in _several("cron", self.cron, str)),
            *(RRuleSchedule(rrule, zone) for rrule in _several("rrule", self.rrule, str)),
        ]


def _several(name: str, given: object, kind: type | tuple[type, ...]) -> list[Any]:
    """One of a kind, several or none, as a list."""
    if given is None:
        return []
    if isinstance(given, kind):
        return [given]
    try:
        several = list(cast("Iterable[Any]", given))
    except TypeError:
        several = [given]
    for each in several:
        if not isinstance(each, kind):
            raise InvalidSchedule(f"{name} cannot be {each!r}: give {_WORDS[name]}, or a list of them")
    return several


_WORDS = {
    "interval": "seconds or a timedelta",
    "cron": "a text such as '0 9 * * MON-FRI'",
    "rrule": "a text such as 'FREQ=WEEKLY;BYDAY=MO'",
    "schedules": "an IntervalSchedule, a CronSchedule or an RRuleSchedule",
}
