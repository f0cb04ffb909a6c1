"""What ends the process of a run from outside: requests, signals, a runner that is gone. Real processes."""

from __future__ import annotations

import signal

import pytest

from trioflow.core.states import Cancelling

PATIENT = """
import trio
from trioflow import flow, get_run_logger

@flow
async def main():
    try:
        print("under way")
        await trio.sleep_forever()
    finally:
        get_run_logger().info("cleaned up")
"""
STUBBORN = """
import threading
import trio
from trioflow import flow

@flow
def main():
    print("under way")
    try:
        while True:
            trio.from_thread.check_cancelled()
    except trio.Cancelled:
        print("heard")
        threading.Event().wait()
"""
BUSY = """
import signal
from trioflow import flow

@flow
async def main():
    end = signal.getsignal(signal.SIGTERM)
    heard = []
    signal.signal(signal.SIGTERM, lambda *given: (end(*given), heard.append(True)))
    print("under way")
    while not heard:
        pass
    print("heard")
    while True:
        pass
"""
TERMINATED = "Crashed('Execution was aborted by a termination signal.')"
INTERRUPTED = "Crashed('Execution was aborted by an interrupt signal.')"
CANCELLED = "Cancelled('Cancelled; its clean-up has finished.')"


@pytest.mark.behaviour("SP-01")
@pytest.mark.parametrize(
    ("number", "status", "state"),
    [(signal.SIGTERM, 143, TERMINATED), (signal.SIGINT, 130, INTERRUPTED)],
)
async def test_a_signal_lets_it_clean_up_and_report(runner, number, status, state):
    child = await runner.start(PATIENT)
    await child.says("under way")

    child.kill(number)

    assert (await child.over()).status == status
    assert await child.state() == state
    assert "cleaned up" in await runner.books.said()


@pytest.mark.parametrize("code", [STUBBORN, BUSY], ids=["thread", "loop"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_second_signal_ends_it_at_once(runner, code, number, status):
    child = await runner.start(code)
    await child.says("under way")

    child.kill(signal.SIGTERM)
    await child.says("heard")
    child.kill(number)

    assert (await child.over()).status == status
    assert await child.state() == "Running()"


async def test_a_request_over_the_link_cancels_it(runner):
    child = await runner.start(PATIENT)
    await child.says("under way")

    child.link.cancel("Asked for.")

    assert (await child.over()).status == 0
    assert await child.state() == CANCELLED
    assert "cleaned up" in await runner.books.said()


async def test_a_request_in_the_store_cancels_it(runner):
    child = await runner.start(PATIENT)
    await child.says("under way")

    await runner.books.propose(child.run, Cancelling())

    assert (await child.over()).status == 0
    assert await child.state() == CANCELLED


async def test_a_runner_that_is_gone_ends_it(runner):
    child = await runner.start(PATIENT.replace("get_run_logger().info", "print"))
    await child.says("under way")

    child.linked.cancel()

    assert (await child.over()).status == 1
    assert child.printed() == ["under way", "cleaned up"]
    assert await child.state() == "Running()"
