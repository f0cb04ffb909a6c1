"""Asking for the end of a run: one request, whoever owns it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from trioflow.clock import new_id
from trioflow.core.states import Cancelling
from trioflow.wire.endpoints import PROPOSE_FLOW_RUN_STATE
from trioflow.wire.replies import FlowRunAnswer
from trioflow.wire.requests import ProposeFlowRunState

if TYPE_CHECKING:
    from trioflow.client.client import Client


async def request_cancel(client: Client, run_id: UUID, why: str) -> FlowRunAnswer:
    """Propose that the run be CANCELLING; one that nobody runs is CANCELLED at once.

    Raises:
        RunNotFound: there is no such run.
    """
    proposal = ProposeFlowRunState(run_id=run_id, state=Cancelling(message=why), transition_id=new_id())
    return await client.call(PROPOSE_FLOW_RUN_STATE, proposal)
