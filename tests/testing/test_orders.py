"""Under Hypothesis, each example sees an order of tasks of its own."""

from __future__ import annotations

from collections.abc import Callable

import trio
from hypothesis import given, settings

from trioflow.testing.orders import take_order, task_orders

EXAMPLES = settings(max_examples=200, database=None)


async def steps() -> tuple[int, ...]:
    """Which of five tasks takes its turn when."""
    taken: list[int] = []

    async def take_turns(number: int) -> None:
        for _ in range(4):
            taken.append(number)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(take_turns, number)
    return tuple(taken)


def orders_seen(take: Callable[[int], None]) -> set[tuple[int, ...]]:
    seen = set()

    @EXAMPLES
    @given(order=task_orders())
    def look(order: int) -> None:
        take(order)
        seen.add(trio.run(steps))

    look()
    return seen


def test_two_hundred_examples_see_more_than_a_hundred_orders():
    assert len(orders_seen(take_order)) > 100


def test_without_a_drawn_order_all_examples_see_the_same_one():
    assert len(orders_seen(lambda order: None)) == 1


def test_the_same_order_is_the_same_again():
    seen = []
    for seed in (1, 2, 1):
        take_order(seed)
        seen.append(trio.run(steps))

    assert seen[0] == seen[2] != seen[1]
