"""``trioflow flow-run ls``: which runs there are."""

from __future__ import annotations

from typing import Annotated

import trio
from cyclopts import Parameter
from cyclopts.validators import Number

from trioflow.cli.reading import Found, flow_runs, home_exists
from trioflow.cli.render import Cell, as_json, coloured, print_table, put, spoken_times, tell
from trioflow.client.connect import current_client
from trioflow.clock import now
from trioflow.core.states import StateType
from trioflow.settings import current_settings
from trioflow.spoken import short_id
from trioflow.wire.filters import FlowRunFilter


async def ls(
    *,
    state: tuple[StateType, ...] = (),
    flow: str | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    subflows: bool = False,
    as_data: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """List flow runs, newest first.

    Args:
        state: Only runs in this type of state; may be given several times.
        flow: Only runs of the flow of this name.
        limit: At most so many.
        subflows: Also those that other flows called.
        as_data: As JSON.
    """
    which = FlowRunFilter(flow_name=flow, state_types=frozenset(state), roots_only=not subflows)
    await trio.lowlevel.checkpoint()
    found = await flow_runs(await current_client(), which, most=limit) if home_exists() else []
    if as_data:
        put(as_json([one.as_data() for one in found]))
    elif found:
        print_table(("ID", "NAME", "FLOW", "STATE", "STARTED", "DURATION"), map(_row, found))
    else:
        tell("No such runs." if state or flow else f"No runs yet in {current_settings().home}.")


def _row(found: Found) -> tuple[Cell, ...]:
    run = found.run
    return (
        short_id(run.id),
        run.name,
        found.flow_name,
        coloured(run.state),
        *spoken_times(run.times, now()),
    )
