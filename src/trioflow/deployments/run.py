"""Running a deployment: whoever serves it runs it; here it is asked for, and its end waited for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from uuid import UUID

import trio

from trioflow import clock
from trioflow.client.connect import current_client
from trioflow.core.deployments import Deployment
from trioflow.core.runs import FlowRun
from trioflow.deployments.finding import find_deployment
from trioflow.deployments.options import told_parameters
from trioflow.engine.naming import drawn_name
from trioflow.wire.endpoints import CREATE_DEPLOYMENT_RUN, READ_FLOW_RUN
from trioflow.wire.filters import ChangeFilter
from trioflow.wire.requests import CreateDeploymentRun, ReadFlowRun

if TYPE_CHECKING:
    from trioflow.client.client import Client


class RunKeywords(TypedDict, total=False):
    """What may be said about a run of a deployment."""

    flow_run_name: str | None
    """Drawn, unless given."""
    tags: Iterable[str] | None
    """Beside those of the deployment."""
    scheduled_time: datetime | None
    """When it is due; now, unless given. A naive one is read where this process is."""


async def run_deployment(
    name: str | UUID,
    /,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout: float | None = None,
    **keywords: Unpack[RunKeywords],
) -> FlowRun:
    """Have a deployment run by whoever serves it; the run, as it is once it is over.

    Args:
        name: ``flow/deployment``, the deployment's name alone where only one has it, or its id.
        parameters: what it is called with, over the deployment's own.
        timeout: how many seconds to wait for its end; 0 waits for nothing, None for ever. The run goes on.
        keywords: those of `RunKeywords`.

    Raises:
        AmbiguousDeployment: several have this name.
        DeploymentError: a parameter cannot be kept.
        DeploymentNotFound: there is no such deployment.
        ParameterError: the parameters do not fit, and the deployment enforces that they do.
    """
    client = await current_client()
    deployment = await find_deployment(client, name)
    after = await client.now()
    run = await create_run(client, deployment, parameters or {}, keywords)
    with trio.move_on_after(inf if timeout is None else timeout):
        return await end_of(client, run, after)
    return await client.call(READ_FLOW_RUN, ReadFlowRun(run_id=run.id))


async def create_run(
    client: Client, deployment: Deployment, parameters: Mapping[str, Any], keywords: RunKeywords
) -> FlowRun:
    """A new run of the deployment, SCHEDULED.

    Raises:
        DeploymentError: a parameter cannot be kept.
        ParameterError: the parameters do not fit, and the deployment enforces that they do.
    """
    due = keywords.get("scheduled_time")
    request = CreateDeploymentRun(
        id=clock.new_id(),
        deployment_id=deployment.id,
        transition_id=clock.new_id(),
        name=keywords.get("flow_run_name") or drawn_name(),
        parameters=told_parameters(parameters),
        tags=frozenset(keywords.get("tags") or ()),
        scheduled_time=due and due.astimezone(),
    )
    return (await client.call(CREATE_DEPLOYMENT_RUN, request)).run


async def end_of(client: Client, run: FlowRun, after: int) -> FlowRun:
    """The run, once it is over; what has happened since change number ``after`` is heard."""
    which = ChangeFilter(root_ids=frozenset({run.root_id}), flow_runs_only=True)
    while True:
        run = await client.call(READ_FLOW_RUN, ReadFlowRun(run_id=run.id))
        if run.state and run.state.is_final:
            return run
        after = (await client.changes(after, which)).last
