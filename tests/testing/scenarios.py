"""What the engine can do in one process, as scenarios that may be interrupted anywhere."""

from __future__ import annotations

from datetime import timedelta

import trio
from attrs import define

from trioflow import allow_failure, flow, get_run_logger, run, tags, task
from trioflow.wire.endpoints import SET_CONCURRENCY_LIMIT
from trioflow.wire.requests import SetConcurrencyLimit


@task
async def add(x: int, y: int = 1) -> int:
    return x + y


@task
async def double_slowly(x: int) -> int:
    await trio.sleep(1)
    return 2 * x


async def sequential_tasks(client) -> None:
    """One task after the other, each with the result of the one before."""

    @flow
    async def sums(n: int) -> int:
        get_run_logger().info("adding up to %d", n)
        total = 0
        for number in range(n):
            total = await add(total, number)
        return total

    assert await sums(4) == 6


async def mapped_tasks(client) -> None:
    """Tasks that run side by side, and a task that takes all their results."""

    @task
    async def total(numbers: list[int]) -> int:
        return sum(numbers)

    @flow
    async def doubles() -> int:
        return await total(double_slowly.map(range(4)))

    assert await doubles() == 12


async def mapped_under_a_limit(client) -> None:
    """Four tasks want two slots of one tag."""
    await client.call(SET_CONCURRENCY_LIMIT, SetConcurrencyLimit(tag="narrow", limit=2))

    @task(tags=["narrow"])
    async def one(x: int) -> int:
        await trio.sleep(1)
        return x

    @flow
    async def many() -> list[int]:
        return [await future for future in one.map(range(4))]

    assert await many() == [0, 1, 2, 3]


async def several_limits(client) -> None:
    """Tasks with two tags each, one slot of either, and a flow that gives them a third."""
    for tag in ("red", "blue", "all"):
        await client.call(SET_CONCURRENCY_LIMIT, SetConcurrencyLimit(tag=tag, limit=1))

    @task(tags=["red", "blue"])
    async def both() -> None:
        await trio.sleep(1)

    @task(tags=["red"])
    async def red() -> None:
        await trio.sleep(1)

    @flow
    async def painters() -> None:
        both.submit()
        red.submit()
        with tags("all"):
            both.submit()

    await painters()


async def retries_with_delays(client) -> None:
    """A task and its flow fail, wait, and are tried again."""
    tries = {"task": 0, "flow": 0}

    @task(retries=2, retry_delay_seconds=[10, 60])
    async def flaky() -> int:
        tries["task"] += 1
        if tries["task"] < 2:
            raise ValueError("not yet")
        return 5

    @flow(retries=1, retry_delay_seconds=3600)
    async def patient() -> int:
        found = await flaky()
        tries["flow"] += 1
        if tries["flow"] < 2:
            raise ValueError("not yet either")
        return found

    assert await patient() == 5


async def timeouts(client) -> None:
    """A task and a subflow take longer than they may."""

    @task(timeout_seconds=1)
    async def late() -> None:
        await trio.sleep(60)

    @flow(timeout_seconds=2)
    async def later() -> None:
        add.submit(1)
        await trio.sleep(60)

    @flow
    async def strict() -> list[str]:
        states = [await late(return_state=True), await later(return_state=True)]
        return [state.name for state in states]

    assert await strict() == ["TimedOut", "TimedOut"]


async def subflows(client) -> None:
    """A flow that calls one flow and submits another, which calls a third."""

    @flow
    async def leaf(x: int) -> int:
        return await add(x)

    @flow
    async def branch(x: int) -> int:
        return await leaf(x) + await double_slowly(x)

    @flow
    async def tree() -> int:
        submitted = branch.submit(1)
        return await leaf(2) + await submitted

    assert await tree() == 7


async def cached_tasks(client) -> None:
    """The second call of a task is answered from the cache."""

    @task(cache_key_fn=lambda _, parameters: str(parameters["x"]), cache_expiration=timedelta(hours=1))
    async def costly(x: int) -> int:
        await trio.sleep(5)
        return x * x

    @flow
    async def twice() -> int:
        return await costly(3) + await costly(3)

    assert await twice() == 18


async def hooks(client) -> None:
    """Hooks of a flow and of its tasks, for good ends and bad ones."""
    told: list[str] = []

    async def tell(flow, flow_run, state) -> None:
        await trio.sleep(1)
        told.append(state.name)

    async def tell_of_task(task, task_run, state) -> None:
        await trio.lowlevel.checkpoint()
        told.append(state.name)

    @task(on_failure=[tell_of_task])
    async def fails() -> None:
        raise ValueError("as it should")

    @flow(on_completion=[tell], on_cancellation=[tell], on_crashed=[tell], on_failure=[tell])
    async def tells() -> str:
        return (await fails(return_state=True)).name

    assert await tells() == "Failed"


async def failures(client) -> None:
    """A task fails, one that waits for it is never started, one that does not mind is."""

    @task
    async def fails() -> None:
        raise ValueError("as it should")

    @flow
    async def goes_on() -> int:
        failed = fails.submit()
        waits = add.submit(1, wait_for=[failed])
        await waits.wait()
        return await add(1, wait_for=[allow_failure(failed)])

    assert await goes_on() == 2


async def a_task_alone(client) -> None:
    """A task that is called outside of any flow."""
    assert await double_slowly(4) == 8


async def clean_up(client) -> None:
    """Code that takes its time to clean up, and calls a task there."""

    @flow
    async def tidy() -> int:
        try:
            return await double_slowly(1)
        finally:
            with trio.move_on_after(3, shield=True):
                await trio.sleep(2)

    assert await tidy() == 2


async def large_results(client) -> None:
    """A result that is kept in a file."""

    @task
    async def large() -> str:
        return "x" * 100_000

    @flow
    async def keeps() -> int:
        return len(await large())

    assert await keeps() == 100_000


async def sync_code(client) -> None:
    """A sync flow, which calls and submits sync tasks from its thread."""

    @task
    def square(x: int) -> int:
        return x * x

    @flow
    def squares() -> int:
        submitted = [square.submit(x) for x in range(2)]
        return square(3) + sum(future.result() for future in submitted)

    assert await run(squares) == 10


@define
class Twice:
    """Two roots side by side."""

    __name__ = "two_roots"

    async def __call__(self, client) -> None:
        @flow
        async def root(x: int) -> int:
            return await double_slowly(x)

        async with trio.open_nursery() as nursery:
            for x in range(2):
                nursery.start_soon(root, x)


SCENARIOS = [
    sequential_tasks,
    mapped_tasks,
    mapped_under_a_limit,
    several_limits,
    retries_with_delays,
    timeouts,
    subflows,
    cached_tasks,
    hooks,
    failures,
    a_task_alone,
    clean_up,
    large_results,
    sync_code,
    Twice(),
]
