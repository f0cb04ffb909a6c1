"""One run for each fire time: keys that are equal for the same fire of the same schedule, in every process.

Deleted and made again, edited and edited back, a schedule has the identity that it had. So its fire keys are the
same too, and a unique index over them lets no fire time have a second run.
"""

from __future__ import annotations

from datetime import datetime

from trioflow.core.keys import cache_key
from trioflow.core.schedules.schedule import Schedule
from trioflow.core.schedules.zones import as_utc


def schedule_identity(flow: str, deployment: str, schedule: Schedule) -> str:
    """What makes a schedule the same one: the names of its flow and deployment, its canonical text, its zone.

    Returns:
        64 hexadecimal digits.
    """
    return cache_key(*(part.encode() for part in (flow, deployment, schedule.canonical, schedule.zone)))


def fire_key(identity: str, fire: datetime) -> str:
    """The key of the one run that a schedule has at that instant: ``<identity>@<instant in UTC>``."""
    return f"{identity}@{as_utc(fire):%Y-%m-%dT%H:%M:%S.%fZ}"
