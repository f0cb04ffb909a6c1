"""How values read to a person: ids, durations, ages, the colour of a state. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from trioflow.core.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule
from trioflow.core.states import StateType

_SHORT = 8

_STYLES = {
    StateType.SCHEDULED: "yellow",
    StateType.PENDING: "bright_black",
    StateType.RUNNING: "blue",
    StateType.PAUSED: "yellow",
    StateType.SUSPENDED: "yellow",
    StateType.CANCELLING: "magenta",
    StateType.COMPLETED: "green",
    StateType.FAILED: "red",
    StateType.CRASHED: "red",
    StateType.CANCELLED: "magenta",
}


def short_id(id: UUID) -> str:
    """The last eight digits: they are drawn by chance, while runs of one minute share the first ones."""
    return id.hex[-_SHORT:]


def spoken_duration(seconds: float) -> str:
    """``0.34 s``, ``12.3 s``, ``3 min 05 s``, ``2 h 04 min``: what a person wants to know of it."""
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def spoken_age(age: timedelta) -> str:
    """``now``, ``12 s ago``, ``5 min ago``, ``3 h ago``, ``2 days ago``; or ``in 5 min``."""
    seconds = round(age.total_seconds())
    size = abs(seconds)
    if size < 2:
        return "now"
    if size < 60:
        spoken = f"{size} s"
    elif size < 60 * 60:
        spoken = f"{size // 60} min"
    elif size < 48 * 60 * 60:
        spoken = f"{size // 3600} h"
    else:
        spoken = f"{size // 86400} days"
    return f"in {spoken}" if seconds < 0 else f"{spoken} ago"


def spoken_due(due: datetime, now: datetime) -> str:
    """``in 12 s``; ``now`` for what is due already."""
    return spoken_age(min(now - due, timedelta()))


def spoken_seconds(seconds: float) -> str:
    """``0:07``, ``12:34``, ``1:02:03``: a clock that does not jump about."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def state_style(type_: StateType | None) -> str:
    """The colour of a state."""
    return _STYLES[type_] if type_ else ""


def spoken_schedule(schedule: Schedule) -> str:
    """``every 30 s``, ``cron 0 9 * * MON-FRI (Europe/Berlin)``, ``rrule FREQ=DAILY``: as it was asked for."""
    match schedule:
        case IntervalSchedule(every=every):
            told = f"every {_spoken_interval(every)}"
        case CronSchedule(cron=cron):
            told = f"cron {cron}"
        case RRuleSchedule(rrule=rrule):
            told = f"rrule {rrule}"
        case _:
            told = schedule.canonical
    return told if schedule.zone == "UTC" else f"{told} ({schedule.zone})"


def _spoken_interval(every: timedelta) -> str:
    for seconds, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        count, rest = divmod(every, timedelta(seconds=seconds))
        if not rest and count:
            return "day" if (count, name) == (1, "days") else f"{count} {name}"
    return f"{every.total_seconds():g} s"
