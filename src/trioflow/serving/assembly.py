"""`serve` for scripts and `aserve` for nurseries: store, scheduler and runner, put together and ended in order.

The store is opened first and closed last: whatever ends, its last words are written. The runner ends before it, and
with it every process that it has started.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypedDict, Unpack, final
from uuid import UUID

import trio
from attrs import frozen

from trioflow.core.tables import FLOW_RUNS, TASK_RUNS, Table, Tables
from trioflow.engine.edges import own_nursery
from trioflow.engine.loading import is_serving_blocked
from trioflow.errors import WrongColour
from trioflow.runner.runner import Runner
from trioflow.runner.witness import StreamWitness, Witness
from trioflow.serving.home import in_home
from trioflow.settings import current_settings

if TYPE_CHECKING:
    from trioflow.client.client import Client
    from trioflow.deployments.deployment import FlowDeployment


class RunnerOptions(TypedDict, total=False):
    """What a `Runner` may be given; see there."""

    name: str | None
    query_seconds: float | None
    prefetch_seconds: float
    limit: int | None
    pause_on_shutdown: bool


@final
@frozen(eq=False)
class Serving:
    """What is being served, for the nursery that started it."""

    runner: Runner
    client: Client
    deployment_ids: tuple[UUID, ...]
    url: str | None = None
    """Where its API listens; None as long as it has none."""


async def aserve(
    *deployments: FlowDeployment,
    witness: Witness | None = None,
    flow_table: Table = FLOW_RUNS,
    task_table: Table = TASK_RUNS,
    task_status: trio.TaskStatus[Serving] = trio.TASK_STATUS_IGNORED,
    **options: Unpack[RunnerOptions],
) -> None:
    """Serve deployments as a child of your nursery: ``await nursery.start(trioflow.aserve, deployment)``.

    It opens the home of the current settings, plans the deployments' schedules, and runs what is due in processes of
    their own, until cancelled. Then its runs are ended as their deployments say, with the grace period of the
    settings; when it returns, no task, thread, socket or process of it is left. It takes no signals.

    Args:
        deployments: what is served, registered in this order.
        witness: who is told what happens; by default what runs say is written to stdout and stderr.
        flow_table: what judges its flow runs, with rules of yours: ``FLOW_RUNS.with_rule(...)``.
        task_table: what judges its task runs.
        task_status: gets a `Serving` as soon as everything is registered.
        options: for the `Runner`.

    Raises:
        DeploymentApplyError: a deployment was refused.
        InvalidSetting: the runner cannot be like that.
        StoreError: the home's database cannot be opened.
    """

    async def body(client: Client) -> None:
        runner = Runner(client=client, witness=witness or StreamWitness(), **options)
        ids = [await runner.add_deployment(deployment) for deployment in deployments]
        async with own_nursery() as nursery:
            await nursery.start(runner.start)
            task_status.started(Serving(runner, client, tuple(ids)))

    await in_home(current_settings(), body, flow_table=flow_table, task_table=task_table)


def serve(
    *deployments: FlowDeployment,
    print_starting_message: bool = True,
    flow_table: Table = FLOW_RUNS,
    task_table: Table = TASK_RUNS,
    **options: Unpack[RunnerOptions],
) -> None:
    """Serve deployments until Ctrl-C or SIGTERM, and block: for scripts. In a Trio program, see `aserve`.

    The first signal stops claiming, and lets runs finish for ``TRIOFLOW_DRAIN_SECONDS``; a second one ends them now.
    While a file is loaded for its flows, it does nothing but warn.

    Args:
        deployments: what is served, registered in this order.
        print_starting_message: whether to say what is served, and how to start a run.
        flow_table: what judges its flow runs, with rules of yours: ``FLOW_RUNS.with_rule(...)``.
        task_table: what judges its task runs.
        options: for the `Runner`.

    Raises:
        DeploymentApplyError: a deployment was refused.
        InvalidSetting: the runner cannot be like that.
        StoreError: the home's database cannot be opened.
        WrongColour: a Trio program runs in this thread.
    """
    if is_serving_blocked():
        return
    if trio.lowlevel.in_trio_run():
        raise WrongColour("serve() blocks: in a Trio program use `await nursery.start(trioflow.aserve, ...)`")
    from trioflow.serving.program import run_program, until_signalled

    tables: Tables = {"flow_table": flow_table, "task_table": task_table}
    run_program(partial(until_signalled, deployments, options, tables, announced=print_starting_message))
