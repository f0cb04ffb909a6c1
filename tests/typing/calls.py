# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What mypy and pyright infer of calls. Checked, not run, by the `types` session; an ignore must ignore something."""

from __future__ import annotations

from typing import assert_type

import trio

from trioflow import (
    AsyncFlow,
    CronSchedule,
    FlowDeployment,
    Future,
    NurseryTaskRunner,
    State,
    SyncFlow,
    SyncTask,
    flow,
    rerun,
    run,
    run_deployment,
    task,
    unmapped,
)


@task
async def add(x: int, y: int = 0) -> int:
    return x + y


@task(name="told", retries=3, retry_delay_seconds=[1, 2], tags=["a"])
async def told(x: int) -> list[str]:
    return [str(x)]


@flow(timeout_seconds=5, task_runner=NurseryTaskRunner(max_workers=8))
async def total(xs: list[int], *, scale: float = 1.0) -> float:
    return scale * sum([await future for future in add.map(xs)])


@flow
async def nothing() -> None:
    pass


@task
def count(text: str) -> int:
    return len(text)


@task(retries=2, timeout_seconds=1)
def words(text: str) -> list[str]:
    return text.split()


@flow(log_prints=True)
def total_sync(n: int) -> float:
    return n / 2


@flow
def nothing_sync() -> None:
    pass


def sync_calls() -> None:
    assert_type(count("a"), int)
    assert_type(words("a"), list[str])
    assert_type(count("a", return_state=True), State)
    assert_type(count("a", wait_for=[add.submit(1)]), int)
    assert_type(words.with_options(name="b")("a"), list[str])
    assert_type(count.submit("a"), Future[int])
    assert_type(count.submit("a").result(), int)
    assert_type(add.submit(1).result(return_state=True), State)
    assert_type(words.map(["a"]), list[Future[list[str]]])
    assert_type(total_sync(1), float)
    assert_type(total_sync(1, return_state=True), State)
    assert_type(total_sync.with_options(retries=1)(1), float)
    assert_type(total_sync.submit(1), Future[float])
    count(1)  # type: ignore[call-overload]
    total_sync("a")  # type: ignore[call-overload]


async def calls_of_tasks() -> None:
    assert_type(await add(1, y=2), int)
    assert_type(await add(1, 2, return_state=True), State)
    assert_type(await add(1, 2, wait_for=[add.submit(1)]), int)
    assert_type(await told(1), list[str])
    assert_type(await told.with_options(name="b", timeout_seconds=None)(1), list[str])
    await add("1")  # type: ignore[call-overload]
    await add(1, 2, 3)  # type: ignore[call-overload]


async def submissions() -> None:
    future = add.submit(1, y=add.submit(2))
    assert_type(future, Future[int])
    assert_type(await future, int)
    assert_type(await future.wait(), State)
    assert_type(future.state, State)
    assert_type(told.map([1, 2]), list[Future[list[str]]])
    assert_type(add.map([1], unmapped(2)), list[Future[int]])
    assert_type(total.submit([1]), Future[float])


async def calls_of_flows() -> None:
    assert_type(await total([1], scale=2), float)
    assert_type(await nothing(), None)
    assert_type(await total([1], return_state=True), State)
    assert_type(await total.with_options(retries=1)([1]), float)
    assert_type(await run(total, [1], scale=2), float)
    assert_type(await run(add, 1), int)
    assert_type(await run(total_sync, 1), float)
    assert_type(await run(count, "a"), int)
    assert_type(await rerun(total_sync, "id"), float)
    assert_type(await rerun(total, "id"), float)
    assert_type(await rerun(total, "id", return_state=True), State)
    await total(1)  # type: ignore[call-overload]


async def deployments() -> None:
    assert_type(total.to_deployment("a", interval=5, tags=["b"], overlap="skip"), FlowDeployment)
    assert_type(total_sync.to_deployment(schedules=[CronSchedule("@daily")]), FlowDeployment)
    assert_type(FlowDeployment.from_entrypoint("a.py:b", cron="@daily"), FlowDeployment)
    assert_type(total_sync.serve("a", limit=1, cron=["@daily"]), None)
    assert_type(await total.aserve("a", rrule="FREQ=DAILY"), None)
    assert_type((await run_deployment("a", {"x": 1}, timeout=0, tags=["b"])).name, str)
    total.to_deployment("a", intervall=5)  # type: ignore[call-arg]
    total.to_deployment("a", interval="5")  # type: ignore[arg-type]


def definitions() -> None:
    made: AsyncFlow[[], None] = nothing
    assert_type(made, AsyncFlow[[], None])
    assert_type(trio.run(nothing), None)
    task(name="a", retires=3)(add.fn)  # type: ignore[call-overload]
    flow(name=5)(nothing.fn)  # type: ignore[call-overload]
    made_sync: SyncFlow[[], None] = nothing_sync
    assert_type(made_sync, SyncFlow[[], None])
    made_task: SyncTask[[], None] = task(sync_calls)
    assert_type(made_task, SyncTask[[], None])
    assert_type(task(retries=1)(sync_calls), SyncTask[[], None])
