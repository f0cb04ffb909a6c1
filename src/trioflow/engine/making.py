"""Makes runs. One that may have been made although nobody was told so is ended: nobody would ever drive it."""

from __future__ import annotations

from contextlib import suppress
from typing import TypeVar

from trioflow import clock
from trioflow.client.client import Client
from trioflow.engine.crashes import crash_state, last_words
from trioflow.engine.drive import sendable
from trioflow.errors import LinkClosed, RunNotFound, StoreError
from trioflow.settings import current_settings
from trioflow.wire.endpoints import PROPOSE_FLOW_RUN_STATE, PROPOSE_TASK_RUN_STATE, Endpoint
from trioflow.wire.requests import BeginTaskRun, CreateFlowRun, ProposeFlowRunState, ProposeTaskRunState

Request = TypeVar("Request", BeginTaskRun, CreateFlowRun)
Reply = TypeVar("Reply")


async def made(client: Client, endpoint: Endpoint[Request, Reply], request: Request) -> Reply:
    """The reply to a request that makes a run.

    Raises:
        LinkClosed, StoreError: there is no such run, or it has CRASHED, as far as anybody can still say so.
    """
    try:
        return await client.call(endpoint, request)
    except (LinkClosed, StoreError) as error:
        with last_words(current_settings().grace_seconds), suppress(LinkClosed, RunNotFound, StoreError):
            await _crash(client, request, error)
        raise


async def _crash(client: Client, request: BeginTaskRun | CreateFlowRun, error: Exception) -> None:
    state, epoch = sendable(crash_state(error)), 1 if request.owner else request.epoch
    match request:
        case CreateFlowRun(id=run_id):
            flow_run = ProposeFlowRunState(
                run_id=run_id, state=state, transition_id=clock.new_id(), epoch=epoch
            )
            await client.call(PROPOSE_FLOW_RUN_STATE, flow_run)
        case BeginTaskRun(id=run_id):
            task_run = ProposeTaskRunState(
                run_id=run_id, state=state, transition_id=clock.new_id(), epoch=epoch
            )
            await client.call(PROPOSE_TASK_RUN_STATE, task_run)
