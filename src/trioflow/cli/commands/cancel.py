"""``trioflow flow-run cancel``: asks for the end of a run, and waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trioflow.cli.cancelling import request_cancel
from trioflow.cli.reading import find_run
from trioflow.cli.render import put, state_name, tell
from trioflow.client.connect import current_client
from trioflow.core.runs import FlowRun
from trioflow.settings import current_settings
from trioflow.wire.endpoints import READ_FLOW_RUN
from trioflow.wire.filters import ChangeFilter
from trioflow.wire.requests import ReadFlowRun

if TYPE_CHECKING:
    from trioflow.client.client import Client

_MARGIN_SECONDS = 2.0
"""What a cancel may take beyond the grace."""


async def cancel(run: str, /) -> int:
    """Cancel a run, and wait until it is over.

    Args:
        run: Its id, the beginning or end of it, or its name.
    """
    found = await find_run(run)
    if found.run.state and found.run.state.is_final:
        tell(f"error: flow run {found.label} is over already: {found.run.state}")
        return 1
    client = await current_client()
    after = await client.now()
    await request_cancel(client, found.run.id, "Asked for by `trioflow flow-run cancel`.")
    last = found.run
    with trio.move_on_after(current_settings().grace_seconds + _MARGIN_SECONDS):
        last = await _end_of(client, found.run, after)
    put(f"{found.label}: {state_name(last.state)}")
    if last.state and last.state.is_final:
        return 0
    tell("Its process has not ended it yet; it will when its code comes to a checkpoint.")
    return 1


async def _end_of(client: Client, run: FlowRun, after: int) -> FlowRun:
    """The run, once it is over."""
    which = ChangeFilter(root_ids=frozenset({run.root_id}), flow_runs_only=True)
    while True:
        run = await client.call(READ_FLOW_RUN, ReadFlowRun(run_id=run.id))
        if run.state and run.state.is_final:
            return run
        after = (await client.changes(after, which)).last
