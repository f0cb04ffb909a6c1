"""Which runs a schedule owes: those of a downtime, those ahead, and what happens when two are due at once.

The scheduler *looks* at a schedule now and then. What was due since it looked last, it owes: all of it if it
looked a moment ago, what the catch-up policy says if it was away. What is due soon, it plans ahead. Whoever starts
a run asks `take_turns` first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from attrs import field, frozen

from trioflow.core.schedules.schedule import Schedule
from trioflow.core.schedules.zones import as_utc
from trioflow.errors import InvalidSchedule

T = TypeVar("T")

MOST_OWED = 1_000
"""So many fires are made up for, or are due between two looks, at most: the latest ones."""


def _check_limit(_: object, __: object, limit: int) -> None:
    if not 0 <= limit <= MOST_OWED:
        raise InvalidSchedule(f"catch-up makes up for 0 to {MOST_OWED} runs, not {limit}")


def _check_runs(_: object, __: object, runs: int) -> None:
    if runs < 0:
        raise InvalidSchedule(f"0 or more runs are planned ahead, not {runs}")


def _check_time(_: object, __: object, time: timedelta) -> None:
    if time < timedelta():
        raise InvalidSchedule(f"planning needs times of 0 or more seconds, not {time.total_seconds():g}")


@frozen
class CatchUp:
    """How many of the fires that a downtime missed get a run: the latest ``limit`` of them.

    ``skip`` is none, ``latest`` is one, ``all(20)`` is twenty.

    Raises:
        InvalidSchedule: the limit is not a number from 0 to 1,000.
    """

    limit: int = field(validator=_check_limit)

    @classmethod
    def named(cls, text: str) -> CatchUp:
        """Read ``skip``, ``latest`` or ``all(<limit>)``.

        Raises:
            InvalidSchedule: it is none of them.
        """
        match text, re.fullmatch(r"all\(([0-9]{1,9})\)", text):
            case "skip", _:
                return SKIP
            case "latest", _:
                return LATEST
            case _, re.Match() as found:
                return cls(int(found[1]))
            case _:
                raise InvalidSchedule(f"there is no catch-up {text!r}: give skip, latest or all(<limit>)")

    def __str__(self) -> str:
        return {0: "skip", 1: "latest"}.get(self.limit, f"all({self.limit})")


SKIP, LATEST = CatchUp(0), CatchUp(1)


class Overlap(StrEnum):
    """What a run does that is due while an earlier one of its schedule is still going on."""

    ALLOW = "allow"
    """It starts."""
    SKIP = "skip"
    """It is dropped."""
    BUFFER_ONE = "buffer_one"
    """It waits for its turn, unless another one waits already; then it is dropped."""
    CANCEL_OTHER = "cancel_other"
    """The other one is cancelled, and once it is gone this one starts."""


@frozen(kw_only=True)
class Planning:
    """How a schedule's runs are planned.

    Raises:
        InvalidSchedule: a number is negative.
    """

    catch_up: CatchUp = LATEST
    runs_ahead: int = field(default=100, validator=_check_runs)
    """At most so many runs are planned ahead,"""
    horizon: timedelta = field(default=timedelta(days=100), validator=_check_time)
    """and none further than this."""
    tolerance: timedelta = field(default=timedelta(seconds=60), validator=_check_time)
    """Longer than this without a look at the schedule is a downtime."""


@frozen(kw_only=True)
class Standing:
    """How things stand with one schedule."""

    schedule: Schedule
    looked: datetime | None
    """When it was last looked at: all fires up to then are settled. None if it is new; resuming it sets this to now,
    so that nothing is made up for that a pause left out."""
    planned: frozenset[datetime] = frozenset()
    """The fires whose run exists and has not been started."""
    paused: bool = False


@frozen(kw_only=True)
class Plan:
    """What to do about the runs of one schedule; both in order of their fires."""

    create: tuple[datetime, ...] = ()
    """Fires that get a run."""
    drop: tuple[datetime, ...] = ()
    """Fires whose planned run goes."""


@frozen(kw_only=True)
class Turns(Generic[T]):
    """Who may start now, who waits, who will never start, who is to be cancelled."""

    start: Sequence[T] = ()
    wait: Sequence[T] = ()
    drop: Sequence[T] = ()
    cancel: Sequence[T] = ()


def plan(standing: Standing, now: datetime, planning: Planning) -> Plan:
    """The runs to create and to drop when a schedule is looked at; what it says twice does no harm.

    A paused schedule has no planned runs. After a downtime those that the catch-up policy leaves out are dropped,
    even if they had been planned before it. When the clock was set back, nothing that is settled is planned again.
    """
    planned = standing.planned
    if standing.paused:
        return Plan(drop=tuple(sorted(planned)))
    now = as_utc(now)
    looked = as_utc(standing.looked) if standing.looked else now
    due = owed(standing.schedule, looked, now, planning)
    ahead = standing.schedule.between(max(looked, now), now + planning.horizon, planning.runs_ahead)
    missed = {fire for fire in planned if looked < fire <= now}
    return Plan(
        create=tuple(fire for fire in (*due, *ahead) if fire not in planned),
        drop=tuple(sorted(missed.difference(due))),
    )


def owed(schedule: Schedule, looked: datetime, now: datetime, planning: Planning) -> list[datetime]:
    """The fires after ``looked``, up to and including ``now``, that get a run."""
    away = as_utc(now) - as_utc(looked) > planning.tolerance
    return last_fires(schedule, looked, now, planning.catch_up.limit if away else MOST_OWED)


def last_fires(schedule: Schedule, start: datetime, end: datetime, count: int) -> list[datetime]:
    """The last ``count`` fires after ``start``, up to and including ``end``, in order.

    However many fires lie between, a few looks at the schedule find them.
    """
    if count == 0:
        return []
    few, many = as_utc(end), as_utc(start)
    found = schedule.between(many, end, 2 * count)
    while len(found) == 2 * count:  # and perhaps more: come nearer to the end
        middle = many + (few - many) / 2
        nearer = schedule.between(middle, end, 2 * count)
        if len(nearer) < count:
            few = middle
        else:
            many, found = middle, nearer
    return found[-count:]


def take_turns(overlap: Overlap, due: Sequence[T], active: Sequence[T]) -> Turns[T]:
    """Decide about the runs of a schedule that are due, beside those that are going on.

    Args:
        overlap: the policy.
        due: the runs that are due and have not been started, those that wait included, in order of their fires.
        active: the runs that are going on. Asked again while they are being cancelled, the answer is the same.
    """
    room = 0 if active else 1
    match overlap:
        case Overlap.ALLOW:
            return Turns(start=due)
        case Overlap.SKIP:
            return Turns(start=due[:room], drop=due[room:])
        case Overlap.BUFFER_ONE:
            return Turns(start=due[:room], wait=due[room : room + 1], drop=due[room + 1 :])
        case Overlap.CANCEL_OTHER if due and active:
            return Turns(wait=due[-1:], drop=due[:-1], cancel=active)
        case Overlap.CANCEL_OTHER:
            return Turns(start=due[-1:], drop=due[:-1])
