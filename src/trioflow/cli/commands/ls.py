"""``trioflow flow-run ls``: which runs there are."""

from __future__ import annotations

from typing import Annotated

import trio
from attrs import evolve, frozen
from cyclopts import Parameter
from cyclopts.validators import Number

from trioflow.cli.finding import the_deployment
from trioflow.cli.reading import Found, flow_runs, home_exists, soon
from trioflow.cli.render import Cell, as_json, coloured, print_table, put, spoken_times, tell
from trioflow.client.connect import current_client
from trioflow.clock import now
from trioflow.core.states import StateType
from trioflow.settings import current_settings
from trioflow.spoken import short_id
from trioflow.wire.filters import FlowRunFilter

_COUNTED = 1_000


@Parameter(name="*")
@frozen(kw_only=True)
class Asked:
    """Which runs are meant."""

    state: tuple[StateType, ...] = ()
    """Only runs in this type of state; may be given several times. SCHEDULED shows what is planned, too."""
    flow: str | None = None
    """Only runs of the flow of this name."""
    deployment: str | None = None
    """Only runs of this deployment."""
    subflows: bool = False
    """Also those that other flows called."""

    async def as_filter(self) -> FlowRunFilter:
        """The same for the store. What is planned for later is left out, unless it is asked for."""
        return FlowRunFilter(
            flow_name=self.flow,
            deployment_id=(await the_deployment(self.deployment)).id if self.deployment else None,
            state_types=frozenset(self.state),
            due_before=None if StateType.SCHEDULED in self.state else soon(),
            roots_only=not self.subflows,
        )


_ALL = Asked()


async def ls(
    *,
    asked: Asked = _ALL,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    as_data: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """List flow runs, newest first, without those that are planned for later.

    Args:
        asked: Which runs are meant.
        limit: At most so many.
        as_data: As JSON.
    """
    which = await asked.as_filter()
    await trio.lowlevel.checkpoint()
    found = await flow_runs(await current_client(), which, most=limit) if home_exists() else []
    if as_data:
        put(as_json([one.as_data() for one in found]))
        return
    if found:
        print_table(("ID", "NAME", "FLOW", "STATE", "STARTED", "DURATION"), map(_row, found))
    else:
        narrowed = asked.state or asked.flow or asked.deployment
        tell("No such runs." if narrowed else f"No runs yet in {current_settings().home}.")
    if not asked.state and (planned := await _planned(which)):
        tell(f"{planned} planned for later: `trioflow flow-run ls --state SCHEDULED` lists them.")


async def _planned(which: FlowRunFilter) -> str:
    """How many of the runs are left out because they are due later: ``3 runs are``; nothing for none."""
    if not home_exists():
        return ""
    client = await current_client()
    scheduled = evolve(which, state_types=frozenset({StateType.SCHEDULED}))
    due = await flow_runs(client, scheduled, most=_COUNTED)
    every = await flow_runs(client, evolve(scheduled, due_before=None), most=_COUNTED)
    match len(every) - len(due):
        case 0:
            return ""
        case 1:
            return "1 run is"
        case count:
            return f"{count}{' or more' if len(every) == _COUNTED else ''} runs are"


def _row(found: Found) -> tuple[Cell, ...]:
    run = found.run
    return (
        short_id(run.id),
        run.name,
        found.flow_name,
        coloured(run.state),
        *spoken_times(run.times, now()),
    )
