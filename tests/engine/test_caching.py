"""Caching: runs with equal keys share one result, until it expires or is refreshed."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio
import trio.testing

from trioflow import (
    current_flow_run,
    flow,
    result_of,
    task,
)


@task
async def add(x, y):
    return x + y


async def in_flow(function, **options):
    """What a flow made of this function returns."""
    return await flow(**options)(function)()


@pytest.mark.behaviour("TO-15", "TO-04", "CA-01", "CA-02")
async def test_a_completed_run_is_shared_under_its_cache_key_until_it_expires(books, autojump_clock):
    computed = []

    def key(context, parameters):
        asked.append((context.task.name, context.flow_run.name == current_flow_run().name, parameters))
        return f"double {parameters['x']}"

    asked = []

    @task(cache_key_fn=key, cache_expiration=timedelta(seconds=60))
    async def double(x):
        computed.append(x)
        return 2 * x

    async def calls():
        states = [await double(add.submit(1, 1), return_state=True)]
        states.append(await double(2, return_state=True))
        await trio.sleep(61)
        states.append(await double(2, return_state=True))
        return [(state.name, result_of(state)) for state in states]

    assert await in_flow(calls) == [("Completed", 4), ("Cached", 4), ("Completed", 4)]
    assert computed == [2, 2]
    assert asked == [("double", True, {"x": 2})] * 3
    details = (await books.task_runs())["double-0"].state.details
    assert details.cache_key == "double 2"
    assert details.cache_expiration.timestamp() == pytest.approx(
        (await books.task_runs())["double-0"].times.ended.timestamp() + 60
    )


@pytest.mark.behaviour("CA-03")
async def test_refreshing_computes_and_shares_anew(client):
    computed = []

    @task(cache_key_fn=lambda context, parameters: "key")
    async def counts():
        computed.append(None)
        return len(computed)

    async def calls():
        return [await counts(), await counts.with_options(refresh_cache=True)(), await counts()]

    assert await in_flow(calls) == [1, 2, 2]
