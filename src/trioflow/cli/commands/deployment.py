"""``trioflow deployment``: which deployments there are, when they are due, and whether they may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import trio
from cyclopts import Parameter

from trioflow.cli.finding import the_deployment
from trioflow.cli.reading import Found, flow_runs, home_exists, soon
from trioflow.cli.render import Cell, as_json, coloured, print_table, put, spoken_times, tell
from trioflow.client.connect import current_client
from trioflow.clock import now
from trioflow.core.deployments import Deployment, DeploymentSchedule, PausedBy
from trioflow.core.parameter_schema import spoken
from trioflow.deployments.finding import find_deployments
from trioflow.settings import current_settings
from trioflow.spoken import short_id, spoken_age, spoken_schedule
from trioflow.wire.converter import to_builtins
from trioflow.wire.endpoints import DELETE_DEPLOYMENT, PAUSE_SCHEDULES, RESUME_SCHEDULES
from trioflow.wire.filters import FlowRunFilter
from trioflow.wire.replies import Deployments
from trioflow.wire.requests import DeleteDeployment, PauseSchedules, ResumeSchedules

_RUNS = 5
_PAUSED = {None: "active", PausedBy.OPERATOR: "paused", PausedBy.RUNNER: "paused by its runner"}


async def list_deployments(*, as_data: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """List deployments, by flow and name: when they are due, and whether their schedules are paused.

    Args:
        as_data: As JSON.
    """
    await trio.lowlevel.checkpoint()
    found = await find_deployments(await current_client()) if home_exists() else Deployments((), ())
    pairs = list(zip(found.deployments, found.next_due, strict=True))
    if as_data:
        put(as_json([{**to_builtins(one), "next_due": due and due.isoformat()} for one, due in pairs]))
    elif pairs:
        print_table(("NAME", "SCHEDULE", "NEXT", "STATUS"), [row for pair in pairs for row in _rows(*pair)])
    else:
        tell(
            f"No deployments yet in {current_settings().home}: `trioflow serve flows.py` makes one of each flow "
            "in a file, and serves it."
        )


def _rows(deployment: Deployment, due: datetime | None) -> list[tuple[Cell, ...]]:
    """One for each schedule; the name and the next run stand in the first."""
    first = (deployment.full_name, spoken_age(now() - due) if due else "")
    rows = [(spoken_schedule(each.schedule), _PAUSED[each.paused_by]) for each in deployment.schedules]
    rows = rows or [("", "runs when asked to")]
    firsts = [first] + [("", "")] * (len(rows) - 1)
    return [
        (name, schedule, due, status) for (name, due), (schedule, status) in zip(firsts, rows, strict=True)
    ]


async def inspect(name: str, /, *, as_data: Annotated[bool, Parameter(name="--json")] = False) -> None:
    """Show one deployment: what it takes, when it is due, its newest runs.

    Args:
        name: ``flow/deployment``, the deployment's name alone where only one has it, or its id.
        as_data: As JSON.
    """
    deployment = await the_deployment(name)
    which = FlowRunFilter(deployment_id=deployment.id, due_before=soon())
    runs = await flow_runs(await current_client(), which, most=_RUNS)
    if as_data:
        put(as_json({**to_builtins(deployment), "runs": [run.as_data() for run in runs]}))
        return
    put(f"Deployment {deployment.full_name!r}")
    print_table((), _facts(deployment))
    _print("Schedules", (), [_schedule_row(each) for each in deployment.schedules])
    properties: Mapping[str, Any] = deployment.parameter_schema.get("properties", {})
    takes = [_parameter_row(deployment, name, schema) for name, schema in properties.items()]
    _print("Parameters", ("  NAME", "WANTS", "VALUE"), takes)
    _print("Newest runs", (), [_run_row(run) for run in runs])


def _facts(deployment: Deployment) -> list[tuple[Cell, ...]]:
    facts = {
        "id": str(deployment.id),
        "entrypoint": deployment.entrypoint,
        "version": deployment.version,
        "description": deployment.description,
        "tags": ", ".join(sorted(deployment.tags)),
        "on shutdown": deployment.on_shutdown.value,
    }
    return [(f"  {name}", value) for name, value in facts.items() if value]


def _schedule_row(each: DeploymentSchedule) -> tuple[Cell, ...]:
    schedule, paused_by = each.schedule, each.paused_by
    due = schedule.next_after(now()) if paused_by is None else None
    return (
        f"  {spoken_schedule(schedule)}",
        _PAUSED[paused_by],
        spoken_age(now() - due) if due else "",
        f"catch-up {each.catch_up}",
        f"overlap {each.overlap}",
    )


def _parameter_row(deployment: Deployment, name: str, schema: Mapping[str, Any]) -> tuple[Cell, ...]:
    if name in deployment.parameters:
        value = repr(deployment.parameters[name])
    elif "default" in schema:
        value = f"{schema['default']!r} (the flow's default)"
    else:
        value = "to be given" if name in deployment.parameter_schema.get("required", ()) else ""
    return f"  {name}", spoken(schema), value


def _run_row(found: Found) -> tuple[Cell, ...]:
    run = found.run
    return f"  {short_id(run.id)}", run.name, coloured(run.state), *spoken_times(run.times, now())


def _print(title: str, headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    if rows:
        put(f"\n{title}")
        print_table(headings, rows)


async def pause(name: str, /) -> None:
    """Pause all schedules of a deployment: no run is planned, and those that were go. Runs that began go on.

    Args:
        name: ``flow/deployment``, the deployment's name alone where only one has it, or its id.
    """
    found = await the_deployment(name)
    client = await current_client()
    paused = await client.call(PAUSE_SCHEDULES, PauseSchedules(deployment_id=found.id))
    if paused.schedules:
        put(f"Paused {paused.full_name} until `trioflow deployment resume {paused.full_name}`")
    else:
        put(f"{paused.full_name} has no schedule that could be paused")


async def resume(name: str, /) -> None:
    """Resume all schedules of a deployment. What was due while they were paused stays left out.

    Args:
        name: ``flow/deployment``, the deployment's name alone where only one has it, or its id.
    """
    found = await the_deployment(name)
    client = await current_client()
    resumed = await client.call(RESUME_SCHEDULES, ResumeSchedules(deployment_id=found.id))
    due = [at for each in resumed.schedules if (at := each.schedule.next_after(now()))]
    if due:
        put(f"Resumed {resumed.full_name}: due {spoken_age(now() - min(due))}")
    else:
        put(f"{resumed.full_name} has no schedule that is due again")


async def delete(name: str, /) -> None:
    """Delete a deployment, its schedules and the runs that they had planned. Runs that began stay.

    Args:
        name: ``flow/deployment``, the deployment's name alone where only one has it, or its id.
    """
    found = await the_deployment(name)
    client = await current_client()
    await client.call(DELETE_DEPLOYMENT, DeleteDeployment(deployment_id=found.id))
    put(f"Deleted {found.full_name}")
