# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What mypy and pyright infer of calls. Checked, not run, by the `types` session; an ignore must ignore something."""

from __future__ import annotations

from typing import assert_type

import trio

from trioflow import (
    AsyncFlow,
    Future,
    NurseryTaskRunner,
    State,
    flow,
    rerun,
    run,
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
    assert_type(await rerun(total, "id"), float)
    assert_type(await rerun(total, "id", return_state=True), State)
    await total(1)  # type: ignore[call-overload]


def definitions() -> None:
    made: AsyncFlow[[], None] = nothing
    assert_type(made, AsyncFlow[[], None])
    assert_type(trio.run(nothing), None)
    task(name="a", retires=3)(add.fn)  # type: ignore[call-overload]
    flow(name=5)(nothing.fn)  # type: ignore[call-overload]

    @flow  # type: ignore[arg-type]
    def sync() -> None: ...
