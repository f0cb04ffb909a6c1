"""An owner of the past that closes its run late: nothing of the owner of today changes, not even in one batch."""

from __future__ import annotations

from typing import Any

import pytest

from tests.orchestrator.conftest import ELSEWHERE, Desk
from trioflow import clock
from trioflow.core.runs import FlowRun, RetryPolicy
from trioflow.core.states import Completed, Crashed, Failed, Running, Scheduled, State, StateType
from trioflow.core.verdicts import Abort, Accept
from trioflow.processes import this_process
from trioflow.wire import requests

RETRIES = RetryPolicy(retries=2, on_crash=True)
HOOKED = frozenset({StateType.COMPLETED})


@pytest.fixture
async def past(desk: Desk) -> FlowRun:
    """A run as its first owner has it, who does not know that it has been closed in its name."""
    return await desk.start(ELSEWHERE, deployment_id=clock.new_id(), retry=RETRIES, hooked=HOOKED)


@pytest.fixture
async def today(desk: Desk, past: FlowRun) -> FlowRun:
    """The same run, RUNNING under its next owner."""
    await desk.close(past, Crashed())
    claimed = (await desk.claim(past.id)).run
    return (await desk.propose(past.id, Running(), epoch=claimed.epoch)).run


def close(run: FlowRun, state: State) -> requests.CloseFlowRun:
    return requests.CloseFlowRun(run_id=run.id, epoch=run.epoch, state=state, transition_id=clock.new_id())


def propose(run: FlowRun, state: State, **fields: Any) -> requests.ProposeFlowRunState:
    return requests.ProposeFlowRunState(
        run_id=run.id, epoch=run.epoch, state=state, transition_id=clock.new_id(), **fields
    )


async def lease_epochs(desk: Desk) -> list[tuple[int]]:
    return await desk.rows("SELECT epoch FROM leases")


@pytest.mark.promise("P5", "P13")
async def test_it_does_not_take_the_lease_of_a_run_that_awaits_its_retry_in_another_process(
    desk: Desk, past: FlowRun, today: FlowRun
) -> None:
    waiting = (await desk.propose(today.id, Failed(), epoch=today.epoch)).run
    answer = await desk.close(past, Scheduled(clock.now()))

    assert waiting.state.name == "AwaitingRetry"
    assert isinstance(answer.verdict, Abort)
    assert answer.run == waiting == await desk.flow_run(today.id)
    assert await lease_epochs(desk) == [(today.epoch,)]


@pytest.mark.promise("P10", "P13")
async def test_the_hooks_that_the_owner_of_today_owes_stay_its_own(
    desk: Desk, past: FlowRun, today: FlowRun
) -> None:
    """Or another process would call them as well."""
    ended, closed = await desk.together(propose(today, Completed()), close(past, Crashed()))

    assert (type(ended.verdict), type(closed.verdict)) == (Accept, Abort)
    assert await desk.rows("SELECT state_type, pid FROM owed_hooks") == [("COMPLETED", this_process().pid)]


async def test_who_closes_a_run_leaves_the_tasks_of_others_in_the_batch_alone(desk: Desk) -> None:
    closed, other = await desk.start(), await desk.start()
    task = await desk.begin(other)
    begin = desk.begin_request(other, 1)
    answers = await desk.together(begin, desk.begin_request(other), close(closed, Crashed()))

    assert [answer.run.state.name for answer in answers] == ["Running", "Running", "Crashed"]
    assert await desk.names(begin.id) == await desk.names(task.run.id) == ["Pending", "Running"]
