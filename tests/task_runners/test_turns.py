"""Turns: never more at a time than allowed, first come first served, and no call starves for another one's sake."""

from __future__ import annotations

import functools

import pytest
import trio
import trio.testing

from trioflow.task_runners.nursery import NurseryTaskRunner
from trioflow.task_runners.sequential import SequentialTaskRunner
from trioflow.task_runners.turns import lending


class Gauge:
    """Calls of 1 s, and how many of them there were at once."""

    def __init__(self):
        self.now = self.most = 0
        self.order = []

    async def call(self, name=None):
        self.now += 1
        self.most = max(self.most, self.now)
        self.order.append(name)
        await trio.sleep(1)
        self.now -= 1


async def make(session, gauge, count):
    async with trio.open_nursery() as nursery:
        for name in range(count):
            session.start_soon(nursery, lambda name=name: gauge.call(name))


@pytest.mark.parametrize(("limit", "most", "seconds"), [(None, 20, 1), (8, 8, 3), (1, 1, 20)])
async def test_at_most_so_many_calls_run_at_once(autojump_clock, limit, most, seconds):
    gauge = Gauge()

    await make(NurseryTaskRunner(max_workers=limit).session(), gauge, 20)

    assert (gauge.most, trio.current_time()) == (most, seconds)


async def test_sequential_calls_are_made_in_the_order_of_submission(autojump_clock):
    gauge = Gauge()

    await make(SequentialTaskRunner().session(), gauge, 20)

    assert (gauge.order, gauge.most) == (list(range(20)), 1)


async def test_calls_within_calls_complete_under_a_limit_of_one(autojump_clock):
    session = SequentialTaskRunner().session()
    depths = []

    async def dive(depth):
        depths.append(depth)
        if depth < 50:
            await session.run(lambda: dive(depth + 1))

    await session.run(lambda: dive(1))

    assert depths == list(range(1, 51))


async def test_a_call_that_waits_lends_its_turn_and_gets_one_back_before_it_goes_on(autojump_clock):
    session = SequentialTaskRunner().session()
    log = []
    finished = trio.Event()

    async def waiter():
        log.append("waits")
        async with lending():
            await finished.wait()
        log.append(f"goes on at {trio.current_time():g}")

    async def other():
        finished.set()
        await trio.sleep(5)
        log.append("other ends")

    async with trio.open_nursery() as nursery:
        session.start_soon(nursery, waiter)
        session.start_soon(nursery, other)

    assert log == ["waits", "other ends", "goes on at 5"]


async def test_a_cancelled_call_leaves_its_turn_to_the_next(autojump_clock):
    session = SequentialTaskRunner().session()
    gauge = Gauge()

    async with trio.open_nursery() as nursery:
        with trio.move_on_after(0.5):
            async with trio.open_nursery() as doomed:
                session.start_soon(doomed, lambda: gauge.call("running"))
                session.start_soon(doomed, lambda: gauge.call("in line"))
        session.start_soon(nursery, lambda: gauge.call("next"))

    assert (gauge.order, trio.current_time()) == (["running", "next"], 1.5)


async def test_a_call_cancelled_while_it_waits_for_its_turn_back_keeps_the_count(autojump_clock):
    session = SequentialTaskRunner().session()
    turns = session.turns

    async def waiter():
        async with lending():
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        with trio.move_on_after(2):
            async with trio.open_nursery() as doomed:
                session.start_soon(doomed, waiter)
                await trio.testing.wait_all_tasks_blocked()
                session.start_soon(nursery, functools.partial(trio.sleep, 5))
    assert (turns.free, len(turns.line), trio.current_time()) == (1, 0, 5)


async def test_what_several_waits_lend_is_lent_once(autojump_clock):
    turns = NurseryTaskRunner(max_workers=1).session().turns
    frees = []

    async def waits():
        async with lending():
            frees.append(turns.free)
            await trio.sleep(1)

    async def call():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits)
            nursery.start_soon(waits)

    await turns.ask().run(call)

    assert (frees, turns.free) == ([1, 1], 1)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit):
    with pytest.raises(ValueError, match="max_workers"):
        NurseryTaskRunner(max_workers=limit)
