"""Many tasks wait for few slots: in order, and without all of them asking at each change."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define

from trioflow import flow, task
from trioflow.client.client import Client
from trioflow.client.connect import use_client
from trioflow.wire.endpoints import PROPOSE_TASK_RUN_STATE, SET_CONCURRENCY_LIMIT, Endpoint
from trioflow.wire.filters import ChangeFilter
from trioflow.wire.replies import Changes
from trioflow.wire.requests import SetConcurrencyLimit


@define(eq=False)
class Counting:
    """A client that counts what task runs ask for."""

    client: Client
    proposals: int = 0

    async def call(self, endpoint: Endpoint[Any, Any], request: Any) -> Any:
        self.proposals += endpoint is PROPOSE_TASK_RUN_STATE
        return await self.client.call(endpoint, request)

    async def changes(self, after: int, which: ChangeFilter) -> Changes:
        return await self.client.changes(after, which)

    async def now(self) -> int:
        return await self.client.now()


@pytest.mark.promise("P15")
@pytest.mark.behaviour("OR-12")
async def test_those_who_wait_for_a_slot_stand_in_line(client):
    counting = Counting(client)
    use_client(counting)
    await client.call(SET_CONCURRENCY_LIMIT, SetConcurrencyLimit(tag="narrow", limit=1))
    order = []

    @task(tags=["narrow"])
    async def one(i):
        order.append(i)

    @flow
    async def many():
        one.map(range(60))

    await many()
    assert sorted(order) == list(range(60))
    # Each asks when it comes to the front, at most once more there, and reports its end; all of them at each end
    # would be 60 * 60 / 2.
    assert counting.proposals < 60 * 5
