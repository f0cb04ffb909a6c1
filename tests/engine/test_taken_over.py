"""A run whose owner has died is taken up in a process that was there all the time, before anybody has reaped it."""

from __future__ import annotations

import pytest

from tests.orchestrator.conftest import DEAD
from trioflow import clock, flow, rerun
from trioflow.core.states import Pending, Running
from trioflow.wire import endpoints, requests


@pytest.mark.promise("P1")
async def test_what_is_said_of_the_dead_owner_does_not_cancel_the_next_one(client, books):
    @flow
    async def five():
        return 5

    run_id = clock.new_id()
    create = requests.CreateFlowRun(
        id=run_id, flow_name="five", name="otter", state=Pending(), transition_id=clock.new_id(), owner=DEAD
    )
    await client.call(endpoints.CREATE_FLOW_RUN, create)
    begin = requests.ProposeFlowRunState(
        run_id=run_id, state=Running(), transition_id=clock.new_id(), epoch=1
    )
    await client.call(endpoints.PROPOSE_FLOW_RUN_STATE, begin)

    assert await rerun(five, run_id) == 5

    told = ["Pending", "Running", "Crashed", "Scheduled", "Pending", "Running", "Completed"]
    assert await books.history(run_id) == told
