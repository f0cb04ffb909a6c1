"""Our edge: a nursery of ours adds no group to what a single task raised."""

from __future__ import annotations

import pytest
import trio

from trioflow.engine.edges import own_nursery


async def raises(error):
    raise error


async def within_ours(*errors):
    """A nursery of ours around tasks that raise, and a body that waits."""
    async with own_nursery() as nursery:
        for error in errors:
            nursery.start_soon(raises, error)
        await trio.sleep_forever()


async def test_a_single_exception_comes_as_itself_with_the_context_that_it_had():
    error = ValueError("one")
    error.__context__ = earlier = KeyError("earlier")

    with pytest.raises(ValueError, match="one") as raised:
        await within_ours(error)

    assert raised.value is error
    assert error.__context__ is earlier


async def test_several_exceptions_come_as_a_group():
    with pytest.raises(ExceptionGroup) as raised:
        await within_ours(ValueError(), KeyError())

    assert {type(error) for error in raised.value.exceptions} == {ValueError, KeyError}


async def test_a_group_of_the_users_stays_one():
    group = ExceptionGroup("mine", [ValueError()])

    with pytest.raises(ExceptionGroup, match="mine") as raised:
        await within_ours(group)

    assert raised.value.exceptions == group.exceptions


async def test_many_cancellations_are_one():
    async def waits():
        async with own_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep_forever()

    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(trio.Cancelled):
            await waits()
