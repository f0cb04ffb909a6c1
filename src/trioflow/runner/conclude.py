"""Conclusions: what is written of a run once nothing of its process lives."""

from __future__ import annotations

from logging import ERROR, INFO
from typing import TYPE_CHECKING

import trio

from trioflow import clock
from trioflow.core.states import StateType
from trioflow.errors import RunNotFound
from trioflow.loops import BEYOND_HELP
from trioflow.runner.exits import state_after_exit
from trioflow.wire.endpoints import CLOSE_FLOW_RUN, END_LEASE, READ_FLOW_RUN
from trioflow.wire.requests import CloseFlowRun, EndLease, ReadFlowRun

if TYPE_CHECKING:
    from uuid import UUID

    from trioflow.core.states import State
    from trioflow.infrastructure.infrastructure import ExitReport
    from trioflow.runner.run_log import RunLog

_FIRST_BACKOFF, _LAST_BACKOFF = 0.1, 5.0


async def conclude(log: RunLog, report: ExitReport | None, ending: State | None) -> State | None:
    """Close the run that ``log`` speaks of, or end its lease: the state that it is in then; None if that is gone.

    While the store cannot take it, which is said once, it is tried again: as long as this process lives, it renews the
    run's lease.

    Args:
        log: of the run as it was claimed, with the epoch that this process got.
        report: how its process ended; None when there was none, or nobody watched it.
        ending: what whoever ended the process wants the run to be in.
    """
    transition_id, backoff = clock.new_id(), _FIRST_BACKOFF
    while True:
        try:
            return await _concluded(log, report, ending, transition_id)
        except (RunNotFound, *BEYOND_HELP):
            return None
        except Exception as error:  # noqa: BLE001 - whatever the store says
            if backoff == _FIRST_BACKOFF:
                await log.say(ERROR, _not_written(log.run.id, ending), error)
            await trio.sleep(backoff)
            backoff = min(2 * backoff, _LAST_BACKOFF)


async def _concluded(
    log: RunLog, report: ExitReport | None, ending: State | None, transition_id: UUID
) -> State | None:
    client, run_id, epoch = log.client, log.run.id, log.run.epoch
    run = await client.call(READ_FLOW_RUN, ReadFlowRun(run_id=run_id))
    closing = state_after_exit(run, report, ending)
    if closing is not None:
        request = CloseFlowRun(
            run_id=run_id, epoch=epoch, state=closing, transition_id=transition_id, draw=clock.draw()
        )
        run = (await client.call(CLOSE_FLOW_RUN, request)).run
    elif run.state is None or not run.state.is_final:
        await client.call(END_LEASE, EndLease(run_id=run_id, epoch=epoch))
    await _tell(log, run.state, closing, ending)
    return run.state


async def _tell(log: RunLog, state: State | None, closing: State | None, ending: State | None) -> None:
    match state.type if state else None:
        case StateType.CRASHED if state and closing:
            await log.say(INFO, f"Reported flow run '{log.run.id}' as crashed: {state.message}")
        case StateType.CANCELLED if closing or ending:
            await log.say(INFO, f"Cancelled flow run '{log.run.id}'!")
        case _:
            pass


def _not_written(run_id: UUID, ending: State | None) -> str:
    if ending is not None and ending.type is StateType.CANCELLED:
        return f"Encountered exception while killing process of flow run '{run_id}'. Flow run may not be cancelled."
    return f"What became of flow run '{run_id}' cannot be stored; trying again."
