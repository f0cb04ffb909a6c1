"""Futures: one outcome for any number of waiters, and how far it has been looked at."""

from __future__ import annotations

import contextlib

import pytest
import trio

from trioflow import Completed, Failed, Future
from trioflow.engine.futures import Attention
from trioflow.engine.results import Raised, Returned
from trioflow.errors import UnfinishedRun


def failed():
    return Failed(message="no", data=Raised(ValueError("no")))


async def test_every_waiter_gets_the_outcome_also_those_that_come_late(autojump_clock):
    future = Future("add-0")
    got = []

    async def waits():
        got.append((await future, trio.current_time()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(waits)
        nursery.start_soon(waits)
        await trio.sleep(2)
        future.end(Completed(data=Returned(5)))
    await waits()

    assert got == [(5, 2)] * 3


async def test_wait_gives_the_state_and_never_raises():
    future = Future("add-0")
    assert (future.state.name, future.is_done) == ("Pending", False)
    future.end(failed())

    assert ((await future.wait()).name, future.is_done) == ("Failed", True)
    with pytest.raises(ValueError, match="no"):
        await future


def test_a_result_that_is_not_there_yet_is_unfinished():
    with pytest.raises(UnfinishedRun):
        Future("add-0").result_nowait()


def test_the_first_end_is_the_end():
    future = Future("add-0")
    future.end(failed())
    future.end(Completed())

    assert future.state.name == "Failed"


@pytest.mark.parametrize(
    ("look", "attention"),
    [
        (lambda future: future.outcome, Attention.NONE),
        (lambda future: future.ended(), Attention.NONE),
        (lambda future: future.state, Attention.LOOKED),
        (lambda future: future.wait(), Attention.LOOKED),
        (lambda future: future.allow_failure(), Attention.DEALT_WITH),
        (lambda future: future, Attention.DEALT_WITH),
    ],
    ids=["outcome", "ended", "state", "wait", "allow_failure", "await"],
)
async def test_attention_rises_with_what_is_done_with_the_outcome(look, attention):
    future = Future("add-0")
    future.end(failed())

    looked = look(future)
    if hasattr(looked, "__await__"):
        with contextlib.suppress(ValueError):
            await looked

    assert future.attention is attention
    future.state  # noqa: B018 - looking less closely afterwards
    assert future.attention is max(attention, Attention.LOOKED)
