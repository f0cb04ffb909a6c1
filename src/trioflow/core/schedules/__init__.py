"""When a deployment's runs are due: pure functions of a schedule and an instant.

Knows: intervals, cron, RRULE, the clocks of a zone, and which runs a schedule owes between two instants.
May import: errors, core's keys, attrs, dateutil (in one function) and the pure parts of the standard library.
Never: the clock, I/O, runs, trio. Time-zone data is zoneinfo's: the system's if it has any, else tzdata's.
"""

from __future__ import annotations

from trioflow.core.schedules.cron import CronSchedule
from trioflow.core.schedules.interval import IntervalSchedule
from trioflow.core.schedules.rrule import RRuleSchedule
from trioflow.core.schedules.schedule import Schedule

__all__ = ["CronSchedule", "IntervalSchedule", "RRuleSchedule", "Schedule"]
