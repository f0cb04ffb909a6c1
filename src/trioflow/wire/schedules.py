"""How schedules are spelt: as Prefect 2 spells them, so that the kind is told by the first field."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from trioflow.core.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule


def spell_schedule(schedule: Schedule) -> dict[str, Any]:
    """The schedule as JSON has it."""
    match schedule:
        case IntervalSchedule(every=every, anchor=anchor, zone=zone):
            at = None if anchor is None else anchor.isoformat()
            return {"interval": every / timedelta(seconds=1), "anchor_date": at, "timezone": zone}
        case CronSchedule(cron=cron, zone=zone, day_or=day_or):
            return {"cron": cron, "timezone": zone, "day_or": day_or}
        case RRuleSchedule(rrule=rrule, zone=zone):
            return {"rrule": rrule, "timezone": zone}
        case _:
            raise TypeError(f"{type(schedule).__name__} is no schedule that can be spelt")


def read_schedule(spelt: dict[str, Any], _: object = None) -> Schedule:
    """The schedule that `spell_schedule` spelt.

    Raises:
        InvalidSchedule: there can be no such schedule.
        KeyError: it is of no kind that there is.
    """
    zone = spelt.get("timezone") or "UTC"
    if "interval" in spelt:
        anchor = spelt.get("anchor_date")
        return IntervalSchedule(spelt["interval"], anchor and datetime.fromisoformat(anchor), zone)
    if "cron" in spelt:
        return CronSchedule(spelt["cron"], zone, day_or=spelt.get("day_or", True))
    return RRuleSchedule(spelt["rrule"], zone)
