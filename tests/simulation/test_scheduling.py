"""Scheduling reaches for private names of Trio's: here it shows loudly when they are gone."""

from __future__ import annotations

import gc
import inspect

import pytest
import trio
from trio._core import _run

from trioflow.testing.simulation.scheduling import Strategy, deterministic


def test_trio_still_has_what_deterministic_scheduling_needs():
    source = inspect.getsource(_run.unrolled_run)
    for line in (
        "batch = list(runner.runq)",
        "if _ALLOW_DETERMINISTIC_SCHEDULING:",
        "batch.sort(key=lambda t: t._counter)",
        "_r.shuffle(batch)",
        "task = batch.pop()",
        "runner.clock._autojump()",
    ):
        assert line in source, f"Trio {trio.__version__} schedules otherwise: {line!r} is gone"
    assert isinstance(_run._ALLOW_DETERMINISTIC_SCHEDULING, bool)
    assert callable(_run._r.shuffle)


async def order_of(count: int) -> list[int]:
    seen = []

    async def task(number: int) -> None:
        for _ in range(3):
            seen.append(number)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(task, number)
    return seen


@pytest.mark.parametrize("strategy", list(Strategy))
def test_the_same_seed_gives_the_same_order(strategy):
    def order(seed: int) -> list[int]:
        with deterministic(seed, strategy):
            return trio.run(order_of, 6)

    assert order(1) == order(1)


def test_first_in_first_out_needs_no_seed_and_random_orders_are_many():
    with deterministic(None, Strategy.FIFO):
        assert trio.run(order_of, 3) == [0, 1, 2] * 3
    orders = set()
    for seed in range(20):
        with deterministic(seed):
            orders.add(tuple(trio.run(order_of, 4)))
    assert len(orders) == 20


def test_everything_is_put_back():
    before = _run._r, _run._ALLOW_DETERMINISTIC_SCHEDULING, gc.isenabled()
    with deterministic(1):
        assert (_run._r, _run._ALLOW_DETERMINISTIC_SCHEDULING, gc.isenabled()) != before
    assert (_run._r, _run._ALLOW_DETERMINISTIC_SCHEDULING, gc.isenabled()) == before
