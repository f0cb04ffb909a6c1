"""A run whose words cannot be stored for a while waits, and what it says is stored once."""

from __future__ import annotations

import logging

import pytest
import trio
from attrs import define

from trioflow import clock
from trioflow.client.client import Client
from trioflow.core.states import Running, StateType
from trioflow.errors import RunNotFound, StoreClosed, StoreFull
from trioflow.runner.child import ChildClient
from trioflow.wire import endpoints, requests


@define(eq=False)
class Outage:
    """A client whose store refuses for so many seconds, before or after it has done what was asked."""

    client: Client
    seconds: float
    error: Exception
    after: bool = False

    async def call(self, endpoint, request):
        out = trio.current_time() < self.seconds
        if not out or self.after:
            reply = await self.client.call(endpoint, request)
        if out:
            raise self.error
        return reply

    async def changes(self, after, which):
        return await self.client.changes(after, which)

    async def now(self):
        return await self.client.now()


@pytest.fixture
def during(books, place):
    """A child whose runner's store is out of order."""

    async def during(seconds, error, *, after=False):
        run = await books.claimed()
        until = trio.current_time() + seconds
        return ChildClient(Outage(books.client, until, error, after), run, place.witness, place.settings)

    return during


def running(run):
    return endpoints.PROPOSE_FLOW_RUN_STATE, requests.ProposeFlowRunState(
        run_id=run.id, state=Running(), transition_id=clock.new_id(), epoch=run.epoch
    )


@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
async def test_an_outage_is_waited_out_said_once_and_what_was_asked_is_done_once(
    books, during, autojump_clock, caplog, *, after
):
    child = await during(60, StoreFull(), after=after)
    began = trio.current_time()
    with caplog.at_level(logging.WARNING, "trioflow.runner"):
        answer = await child.call(*running(child.run))
    assert 60 <= trio.current_time() - began <= 65
    assert answer.run.state.type is StateType.RUNNING
    history = await books.client.call(endpoints.READ_HISTORY, requests.ReadHistory(run_id=child.run.id))
    assert [state.type for state in history.states].count(StateType.RUNNING) == 1
    told = [record.message for record in caplog.records if record.name == "trioflow.runner"]
    assert told == [f"A run waits, for its words cannot be stored: {StoreFull()}"]


@pytest.mark.parametrize("error", [StoreClosed(), RunNotFound()], ids=["closed", "no such run"])
async def test_what_does_not_pass_is_answered_at_once(during, autojump_clock, error):
    child = await during(60, error)
    began = trio.current_time()
    with pytest.raises(type(error)):
        await child.call(*running(child.run))
    assert trio.current_time() == began


async def test_a_child_that_waits_can_be_cancelled(during, autojump_clock):
    child = await during(3_600, StoreFull())
    with trio.move_on_after(7) as scope:
        await child.call(*running(child.run))
    assert scope.cancelled_caught
