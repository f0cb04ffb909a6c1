"""Threads: where sync code runs, what it knows there, and how many of them there are."""

from __future__ import annotations

import threading

import pytest
import trio
from attrs import define, field

import trioflow
from trioflow import (
    NurseryTaskRunner,
    SequentialTaskRunner,
    current_flow_run,
    current_task_run,
    flow,
    get_run_logger,
    tags,
    task,
)
from trioflow.engine.blocking import TrioPortal, use_portal
from trioflow.engine.tasks import MOST_THREADS


@pytest.mark.behaviour("FL-05")
async def test_async_code_runs_on_the_loops_thread_and_sync_code_in_others(client):
    loop = threading.get_ident()

    @task
    async def on_the_loop():
        return threading.get_ident()

    @task
    def in_a_thread():
        return threading.get_ident()

    @flow
    def sync():
        return threading.get_ident(), on_the_loop.submit().result(), in_a_thread()

    @flow
    async def mixed():
        return threading.get_ident(), await on_the_loop(), await in_a_thread.submit()

    outer, inner_async, inner = await trioflow.run(sync)
    assert inner_async == loop
    assert len({loop, outer, inner}) == 3
    outer, inner_async, inner = await mixed()
    assert (outer, inner_async) == (loop, loop)
    assert inner != loop


async def test_sync_code_belongs_to_its_run(books):
    @task
    def named():
        get_run_logger().info("from a task")
        return current_task_run().name, current_flow_run().name

    @flow(log_prints=True)
    def named_flow():
        print("from a flow")  # noqa: T201 - it is captured
        with tags("a"):
            return current_flow_run().name, named()

    flow_name, (task_name, around) = await trioflow.run(named_flow)

    run = await books.flow_run()
    assert (flow_name, task_name, around) == (run.name, "named-0", run.name)
    assert {"from a task", "from a flow"} <= set(await books.said())
    assert {run.tags for run in (await books.task_runs()).values()} == {frozenset({"a"})}


async def test_a_generator_is_run_to_its_end_in_its_thread(client):
    @task
    def counts(n):
        for i in range(n):
            yield i, threading.get_ident() != loop

    loop = threading.get_ident()
    assert await trioflow.run(counts, 2) == [(0, True), (1, True)]


async def test_a_sync_task_is_retried(books):
    attempts = []

    @task(retries=2)
    def recovers():
        attempts.append(threading.get_ident())
        if len(attempts) < 3:
            raise ValueError
        return "done"

    assert await trioflow.run(recovers) == "done"
    (run,) = (await books.task_runs()).values()
    assert await books.history(run.id) == [
        "Pending",
        "Running",
        "AwaitingRetry",
        "Retrying",
        "AwaitingRetry",
        "Retrying",
        "Completed",
    ]


@define(eq=False)
class Crowd:
    """Tasks that are at work at the same time, and no more until all of those are there."""

    size: int
    lock: threading.Lock = field(factory=threading.Lock)
    at_work: int = 0
    most: int = 0
    barrier: threading.Barrier = field(init=False)

    def __attrs_post_init__(self):
        self.barrier = threading.Barrier(self.size)

    def join(self, _):
        with self.lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        self.barrier.wait(10)
        with self.lock:
            self.at_work -= 1
        self.barrier.wait(10)


@pytest.mark.parametrize(
    ("runner", "most"),
    [(None, MOST_THREADS), (NurseryTaskRunner(max_workers=3), 3), (SequentialTaskRunner(), 1)],
)
async def test_so_many_sync_tasks_are_at_work_at_once(client, runner, most):
    crowd = Crowd(most)
    joins = task(name="joins")(crowd.join)

    @flow(task_runner=runner)
    async def submits():
        joins.map(range(2 * most))

    await submits()

    assert crowd.most == most


async def test_sync_tasks_within_sync_tasks_complete_under_a_limit_of_one(client):
    @task
    def dive(depth):
        return depth if depth == 50 else dive.submit(depth + 1).result()

    @flow(task_runner=SequentialTaskRunner())
    def dives():
        return dive(1)

    assert await trioflow.run(dives) == 50


async def test_user_code_leaves_trios_own_limit_alone(client):
    @task
    def looks():
        return trio.from_thread.run_sync(
            lambda: trio.to_thread.current_default_thread_limiter().borrowed_tokens
        )

    assert await trioflow.run(looks) == 0


@define(eq=False)
class CountingPortal:
    """A portal that counts who goes through it."""

    inner: TrioPortal = field(factory=TrioPortal)
    passed: list[str] = field(factory=list)

    async def enter(self, function):
        self.passed.append("in")
        return await self.inner.enter(function)

    def is_open(self):
        return self.inner.is_open()

    def call(self, function):
        self.passed.append("out")
        return self.inner.call(function)


async def test_all_sync_code_goes_through_one_portal_that_can_be_replaced(client):
    @task
    def nothing():
        pass

    @flow
    def calls():
        nothing()
        nothing.submit().result()

    with use_portal(CountingPortal()) as portal:
        await trioflow.run(calls)

    assert sorted(portal.passed) == ["in"] * 3 + ["out"] * 3
    assert portal.passed[:3] == ["in", "out", "in"]
