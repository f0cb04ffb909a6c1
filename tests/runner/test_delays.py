"""Delayed callbacks: in time, and never dropped when the runner ends."""

from __future__ import annotations

import pytest
import trio

from trioflow.runner.delays import Delays


@pytest.mark.behaviour("LC-04", "LC-06")
async def test_callbacks_sync_or_async_run_after_their_delay(autojump_clock, nursery):
    called = []

    async def note() -> None:
        await trio.lowlevel.checkpoint()
        called.append(("async", trio.current_time()))

    delays = Delays(nursery)
    delays.call_later(5, note)
    delays.call_later(3, lambda: called.append(("sync", trio.current_time())))
    await trio.sleep(10)

    assert called == [("sync", 3), ("async", 5)]
    assert delays._pending == set()


@pytest.mark.behaviour("LC-04", "LC-06")
async def test_at_the_end_what_is_delayed_runs_at_once_also_what_was_registered_just_now(
    autojump_clock, nursery
):
    called = []
    delays = Delays(nursery)
    delays.call_later(5, lambda: called.append(trio.current_time()))
    delays.hurry()
    await trio.sleep(1)

    assert called == [0]


@pytest.mark.behaviour("LC-05")
async def test_what_is_registered_after_the_end_began_is_not_delayed(autojump_clock, nursery):
    called = []
    delays = Delays(nursery)
    delays.hurry()
    delays.call_later(5, lambda: called.append(trio.current_time()))
    await trio.sleep(1)

    assert called == [0]


async def test_a_callback_that_fails_is_logged_and_harms_nobody(autojump_clock, nursery, caplog):
    called = []
    delays = Delays(nursery)
    delays.call_later(1, lambda: 1 / 0)
    delays.call_later(2, lambda: called.append(trio.current_time()))
    await trio.sleep(3)

    assert called == [2]
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]
