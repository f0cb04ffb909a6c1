"""The flows that are simulated: what users write, with all that can go wrong in it."""

from __future__ import annotations

import random

import trio

import trioflow


@trioflow.task
async def add(a: int, b: int) -> int:
    await trio.sleep(1)
    return a + b


@trioflow.flow
async def hourly(n: int = 2) -> int:
    total = 0
    for number in range(n):
        total = await add(total, number)
    return total


@trioflow.task(tags=["db"], retries=1, retry_delay_seconds=2)
async def query(n: int) -> int:
    await trio.sleep(random.uniform(0.1, 5))
    if random.random() < 0.1:
        raise ValueError("flaky")
    return n


@trioflow.flow(retries=1, retry_delay_seconds=20)
async def etl() -> int:
    futures = [query.submit(number) for number in range(3)]
    return sum([await future for future in futures])


@trioflow.flow
async def part(n: int) -> int:
    return await add(n, 1)


@trioflow.flow(timeout_seconds=60)
async def whole() -> int:
    await part(1)
    await trio.sleep(random.uniform(0, 90))
    return await part(2)


@trioflow.task
def sync_add(a: int, b: int) -> int:
    return a + b


@trioflow.flow
def sync_report(seconds: float = 3.0) -> int:
    first = sync_add(1, 2)
    trio.from_thread.run(trio.sleep, seconds)
    return sync_add(first, 3)


async def note(flow: object, flow_run: object, state: object) -> None:
    await trio.sleep(0.1)


@trioflow.flow(on_crashed=[note], on_cancellation=[note], on_completion=[note])
async def hooked() -> None:
    await trio.sleep(random.uniform(1, 40))


@trioflow.flow(retries=30, retry_delay_seconds=20)
async def stubborn() -> None:
    raise ValueError("not yet")


@trioflow.flow
async def failing() -> None:
    raise ValueError("as it was meant to")


@trioflow.flow
async def patient(parts: int = 8) -> int:
    """Long enough for somebody to pause it, and resume it."""
    total = 0
    for number in range(parts):
        total = await add(total, number)
        await trio.sleep(8)
    return total


@trioflow.flow
async def deaf() -> None:
    """Heeds nothing: only a kill ends it sooner."""
    with trio.CancelScope(shield=True):
        await trio.sleep(150)
