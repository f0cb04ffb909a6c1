"""The scheduler: one loop that plans runs and marks late ones, as long as its home is served.

Every process that serves the home may run one: what one of them has done, the others find done. It sleeps by the
wall clock until there is something to do, or somebody schedules a run, and looks around at least each
``look_seconds``: a clock that was set, or a machine that was suspended, is noticed then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import trio
from attrs import frozen

from trioflow import clock
from trioflow.core.states import StateType
from trioflow.loops import Bell, Loop
from trioflow.orchestrator.desk import DOWNTIME
from trioflow.scheduler.mark_late import is_late, mark_late, next_late
from trioflow.scheduler.plan_runs import next_look, plan_runs

if TYPE_CHECKING:
    from trioflow.orchestrator.desk import Desk
    from trioflow.orchestrator.orchestrator import Orchestrator
    from trioflow.store.store import Tx
    from trioflow.wire.replies import Change

LOOK_SECONDS = 30.0
"""How often schedules are looked at."""


async def run_scheduler(
    orchestrator: Orchestrator,
    *,
    look_seconds: float = LOOK_SECONDS,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Keep the runs of every schedule planned, until cancelled.

    Trouble of the store is waited out. One schedule that cannot be planned holds up no other.

    Raises:
        StoreError: the store is closed, or of a newer trioflow.
        Exception: a defect that does not go away.
    """
    each = timedelta(seconds=look_seconds)
    orchestrator.downtime = max(DOWNTIME, 2 * each)
    planning = Loop(
        "Planning runs",
        partial(work_off, orchestrator, each),
        look_seconds,
        jitter=0,
        look_seconds=look_seconds,
    )
    listening = Loop("Listening to schedules", partial(_listen, orchestrator, planning.bell), 0, jitter=0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listening.keep_going)
        nursery.start_soon(planning.keep_going)
        task_status.started()


@frozen(kw_only=True)
class Outlook:
    """What there is to do."""

    is_due: bool
    """Something is to be done now."""
    next_due: datetime | None
    """When there is more."""


def outlook(tx: Tx, now: datetime, each: timedelta) -> Outlook:
    """What there is to do, and when there will be something, as the store has it."""
    look = next_look(tx, each)
    is_due = (look is not None and look <= now) or is_late(tx, now)
    later = [at for at in (look, next_late(tx, now)) if at is not None and at > now]
    return Outlook(is_due=is_due, next_due=min(later, default=None))


async def work_off(orchestrator: Orchestrator, each: timedelta) -> datetime | None:
    """Do all that is due; tells when there is more."""
    found = await _outlook(orchestrator, each)
    if not found.is_due:
        return found.next_due
    while await orchestrator.transact(_work):
        pass
    return (await _outlook(orchestrator, each)).next_due


async def _outlook(orchestrator: Orchestrator, each: timedelta) -> Outlook:
    return await orchestrator.store.read(lambda tx: outlook(tx, clock.now(), each))


def _work(tx: Tx, desk: Desk) -> bool:
    """Do some of what is due; whether there may be more."""
    more_to_plan = plan_runs(tx, desk)
    return mark_late(tx, desk) or more_to_plan


async def _listen(orchestrator: Orchestrator, bell: Bell) -> datetime | None:
    """Ring whenever a run was scheduled."""
    after = orchestrator.store.last_change()
    while True:
        after = (await orchestrator.changes.wait_for(_is_scheduled, after)).last
        bell.ring()


def _is_scheduled(change: Change) -> bool:
    return change.is_flow_run and change.type is StateType.SCHEDULED
