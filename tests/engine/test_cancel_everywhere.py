"""Cancelled by its host at any of its steps, a flow leaves no run behind that is not over."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from attrs import define

from trioflow import flow, task
from trioflow.client.connect import serve_store, use_client
from trioflow.settings import Settings, use_settings
from trioflow.store.sqlite import open_memory
from trioflow.wire import endpoints, requests
from trioflow.wire.filters import FlowRunFilter, TaskRunFilter


@task
async def leaf(x):
    await trio.lowlevel.checkpoint()
    return x


@task(retries=1)
async def branch(x):
    leaf.submit(x)
    return await leaf(x)


@flow
async def inner(x):
    return await branch(x)


@flow
async def outer():
    futures = [leaf.submit(1), inner.submit(2)]
    await leaf(futures[0])
    return [await future for future in futures]


@define(eq=False)
class CancelAtStep(trio.abc.Instrument):
    """Cancels ``scope`` at a step of the program: ``before`` it, or after it."""

    steps: int
    scope: trio.CancelScope
    before: bool
    count: int = 0

    def before_task_step(self, task: Any) -> None:
        if self.before:
            self._step()

    def after_task_step(self, task: Any) -> None:
        if not self.before:
            self._step()

    def _step(self) -> None:
        self.count += 1
        if self.count == self.steps:
            self.scope.cancel()


async def runs_after_cancelling_at(step: int, before: bool) -> tuple[bool, list[Any]]:
    """Whether the flow was cancelled at all, and every run that it left in the store."""
    async with trio.open_nursery() as nursery:
        client = await nursery.start(serve_store, open_memory())
        use_client(client)
        scope = trio.CancelScope()
        instrument = CancelAtStep(step, scope, before)
        with scope:
            trio.lowlevel.add_instrument(instrument)
            await outer(return_state=True)
        trio.lowlevel.remove_instrument(instrument)
        flow_runs = await client.call(endpoints.FIND_FLOW_RUNS, requests.FindFlowRuns(filter=FlowRunFilter()))
        task_runs = await client.call(endpoints.FIND_TASK_RUNS, requests.FindTaskRuns(filter=TaskRunFilter()))
        nursery.cancel_scope.cancel()
    return scope.cancelled_caught, [*flow_runs.runs, *task_runs.runs]


@pytest.mark.promise("P7", "P8")
@pytest.mark.parametrize("before", [True, False], ids=["before a step", "after a step"])
def test_wherever_its_host_cancels_it_a_flow_leaves_only_ended_runs(tmp_path, before):
    left = {}
    for step in range(1, 1000):
        with use_settings(Settings(home=tmp_path)):
            clock = trio.testing.MockClock(autojump_threshold=0)
            cancelled, runs = trio.run(runs_after_cancelling_at, step, before, clock=clock)
        left[step] = [(run.name, str(run.state)) for run in runs if not run.state.is_final]
        if not cancelled and step > 20:
            break

    assert {step: names for step, names in left.items() if names} == {}
    assert len(left) > 50
