"""``trioflow deployment run``: has a deployment run by whoever serves it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

import trio
from attrs import frozen
from cyclopts import Parameter

from trioflow.cli.concluding import conclude
from trioflow.cli.finding import the_deployment
from trioflow.cli.following import Outcome
from trioflow.cli.parameters import read_json_parameters
from trioflow.cli.render import put, tell
from trioflow.cli.screens import Screen, choose_screen
from trioflow.cli.watching import follow_elsewhere
from trioflow.client.connect import current_client
from trioflow.clock import now
from trioflow.core.deployments import Deployment
from trioflow.core.runs import FlowRun
from trioflow.deployments.run import RunKeywords, create_run
from trioflow.errors import ParameterError
from trioflow.spoken import short_id, spoken_age

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@Parameter(name="*")
@frozen(kw_only=True)
class Asked:
    """What is said of a run that is to be."""

    param: Annotated[tuple[str, ...], Parameter(name=("--param", "-p"))] = ()
    """A parameter, as ``name=value``: JSON where it parses as such and fits, else a text."""
    params: str | None = None
    """Several parameters, as a JSON object."""
    name: str | None = None
    """What the run is called."""
    tag: tuple[str, ...] = ()
    """A label of the run, beside those of the deployment; may be given several times."""
    at: str | None = None
    """When it is due, as ``2026-01-31T09:30``: by the clocks here, unless it says otherwise."""
    after: Annotated[str | None, Parameter(name="--in")] = None
    """In how long it is due, as ``90`` (seconds), ``15m``, ``2h`` or ``1d``."""


_NOTHING = Asked()


def run(
    deployment: str,
    /,
    *,
    asked: Asked = _NOTHING,
    watch: bool = False,
    quiet: Annotated[bool, Parameter(name=("--quiet", "-q"))] = False,
) -> int:
    """Have a deployment run by whoever serves it. The id and the name of the run are printed on stdout.

    Args:
        deployment: ``flow/deployment``, the deployment's name alone where only one has it, or its id.
        asked: What is said of the run.
        watch: Follow the run to its end. The exit code is 0 if it completed.
        quiet: Tell nothing but the id and the name, and of failures.
    """
    if not watch:
        created = trio.run(_create, deployment, asked)
        if not quiet:
            tell(_told(*created))
        return 0
    try:
        outcome = trio.run(partial(_watch, deployment, asked, choose_screen(quiet=quiet), quiet=quiet))
    except KeyboardInterrupt:
        tell("Watching has ended; the run goes on.")
        raise
    return conclude(outcome, quiet=quiet)


async def _create(name: str, asked: Asked) -> tuple[Deployment, FlowRun]:
    deployment = await the_deployment(name)
    keywords: RunKeywords = {
        "flow_run_name": asked.name,
        "tags": asked.tag,
        "scheduled_time": _due(asked),
    }
    parameters = read_json_parameters(deployment.parameter_schema, asked.param, asked.params)
    run = await create_run(await current_client(), deployment, parameters, keywords)
    put(f"{run.id} {run.name}")
    return deployment, run


def _told(deployment: Deployment, run: FlowRun) -> str:
    due = run.times.next_scheduled_start or now()
    return (
        f"A run of {deployment.full_name} is due {spoken_age(now() - due)}; whoever serves it runs it. "
        f"`trioflow flow-run inspect {short_id(run.id)}` tells how it goes."
    )


async def _watch(name: str, asked: Asked, screen: Screen, *, quiet: bool) -> Outcome:
    deployment, run = await _create(name, asked)
    return await follow_elsewhere(await current_client(), run, deployment.flow_name, screen, quiet=quiet)


def _due(asked: Asked) -> datetime | None:
    match asked:
        case Asked(at=None, after=None):
            return None
        case Asked(at=str(at), after=None):
            return _instant(at)
        case Asked(at=None, after=str(after)):
            return now() + _duration(after)
        case _:
            raise ParameterError("--at and --in both say when the run is due: give one of them")


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise ParameterError(f"--at {text!r} is no instant: give one as 2026-01-31T09:30") from None


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]+)?)([smhd]?)", text)
    if found is None:
        raise ParameterError(f"--in {text!r} is no time to wait: give seconds as 90, or 15m, 2h, 1d")
    return timedelta(seconds=float(found[1]) * _SECONDS[found[2] or "s"])
