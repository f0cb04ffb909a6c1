"""Ends: a run that is asked to end does, with its whole tree, whatever its process does, and only then is it over."""

from __future__ import annotations

import os
import signal

import pytest
import trio

from tests.infrastructure.trees import TREES, Tether, alive
from tests.runner.conftest import GRACE, SECONDS
from trioflow import clock, runner
from trioflow.core.states import Crashed, Running, Scheduled, StateType
from trioflow.processes import FLOW_RUN_ID
from trioflow.runner.supervise import supervise
from trioflow.wire.filters import ChangeFilter

WITHIN = GRACE + 2
"""Seconds: the promise."""


async def cancelled(watched, books):
    """Cancel it as an operator and its runner do; the state that it is in when its supervision is over."""
    await books.cancel(watched.run)
    watched.at.request_cancel("no need")
    return await watched.wait()


# --- whoever heeds


HEEDS = """
@flow
async def f():
    print("ready")
    try:
        await trio.sleep_forever()
    finally:
        print("cleaned up")
"""
HEEDS_LATE = """
@flow
async def f():
    print("ready")
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.2)
            print("cleaned up")
"""


@pytest.fixture
def late_signal(monkeypatch):
    """Who hears a request has more time until the signal than any test: a slow machine is not deaf."""
    monkeypatch.setattr(runner.supervise, "SIGTERM_AFTER", 2 * SECONDS)


@pytest.mark.promise("P2")
@pytest.mark.behaviour("CN-06")
@pytest.mark.parametrize("code", [HEEDS, HEEDS_LATE], ids=["at once", "late"])
async def test_a_run_that_heeds_cleans_up_and_is_cancelled_before_any_signal(start, books, code, monkeypatch):
    monkeypatch.setattr(runner.supervise, "SIGTERM_AFTER", SECONDS)  # a slow machine is not deaf
    watched = await start(code)
    await watched.notes.wait_written("ready")
    with trio.fail_after(SECONDS):
        state = await cancelled(watched, books)

    assert state.type is StateType.CANCELLED
    assert await books.said(watched.run.id, "stdout") == ["ready", "cleaned up"]
    assert await books.said(watched.run.id, "runner") == [
        "Opening process...",
        f"Process {watched.at.pid} exited cleanly.",
        f"Cancelled flow run '{watched.run.id}'!",
    ]
    assert await books.history(watched.run.id) == [
        "Scheduled",
        "Pending",
        "Running",
        "Cancelling",
        "Cancelled",
    ]


async def test_a_run_may_be_asked_to_end_though_nobody_has_put_it_down_as_cancelling(
    start, books, late_signal
):
    watched = await start(HEEDS)
    await watched.notes.wait_written("ready")
    watched.at.request_cancel("the runner ends")
    with trio.fail_after(SECONDS):
        state = await watched.wait()

    assert state.type is StateType.CANCELLED
    assert await books.history(watched.run.id) == ["Scheduled", "Pending", "Running", "Cancelled"]


@pytest.mark.promise("P2")
@pytest.mark.behaviour("CN-04", "PR-13", "QK-05")
async def test_a_run_whose_process_is_gone_when_it_is_asked_to_end_is_cancelled_all_the_same(start, books):
    """No process is "not found": nobody signals a bare pid, and who owns the handle knows that it has ended."""
    watched = await start(HEEDS)
    await watched.notes.wait_written("ready")
    await books.cancel(watched.run)
    os.kill(watched.at.pid, signal.SIGKILL)
    watched.at.request_cancel("no need")
    with trio.fail_after(WITHIN):
        state = await watched.wait()
    watched.at.request_cancel("again, and too late")

    assert state.type is StateType.CANCELLED
    assert alive(watched.mark) == {}


# --- whoever does not


ASYNC = "@flow\nasync def f():\n    "
READY = "print('ready')"
BLOCKS = "time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
NEVER_HEED = {
    "blocked loop": f"{ASYNC}{READY}; {BLOCKS}",
    "sync": f"@flow\ndef f():\n    {READY}; {BLOCKS}",
    "deaf": f"{ASYNC}{DEAF}; {READY}; {BLOCKS}",
    "stopped": f"{ASYNC}{READY}; os.kill(os.getpid(), 19)",
    "closed stdout": f"{ASYNC}{READY}; os.close(1); os.close(2); {BLOCKS}",
    "floods stdout": f"{ASYNC}{DEAF}; {READY}\n    while True: print('flood' * 100)",
    "importing": f"{READY}; {BLOCKS}",
    "importing deafly": f"{DEAF}; {READY}; {BLOCKS}",
}


@pytest.mark.promise("P2", "P7")
@pytest.mark.behaviour("CN-06", "CN-07")
@pytest.mark.parametrize("kind", NEVER_HEED)
async def test_a_run_that_does_not_heed_is_cancelled_once_nothing_of_its_process_lives(start, books, kind):
    watched = await start(NEVER_HEED[kind])
    await watched.notes.wait_written("ready")
    seen = []

    async def see_its_end():
        now = await books.client.now()
        while (await books.run(watched.run.id)).state.type is not StateType.CANCELLED:
            now = (await books.client.changes(now, ChangeFilter())).last
        seen.append(alive(watched.mark))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(see_its_end)
        with trio.fail_after(WITHIN):
            state = await cancelled(watched, books)

    assert seen == [{}]
    assert (state.type, state.message) == (StateType.CANCELLED, "no need")
    assert (await books.said(watched.run.id, "runner"))[-1] == f"Cancelled flow run '{watched.run.id}'!"


@pytest.mark.promise("P2")
async def test_who_is_importing_hears_no_request_and_gets_the_signal_at_once(start, books, late_signal):
    watched = await start(NEVER_HEED["importing"])
    await watched.notes.wait_written("ready")
    with trio.fail_after(SECONDS):
        await cancelled(watched, books)


@pytest.mark.promise("P2")
async def test_who_has_closed_its_link_gets_the_signal_sooner(start, books, late_signal):
    code = f"{ASYNC}{READY}; os.closerange(3, 200); {BLOCKS}"
    watched = await start(code)
    await watched.notes.wait_written("ready")
    with trio.fail_after(SECONDS):
        await cancelled(watched, books)


# --- the runner's own policy


@pytest.mark.promise("P9")
async def test_a_run_that_its_runner_puts_back_is_scheduled_again_whatever_its_process_says(start, books):
    watched = await start(HEEDS)
    await watched.notes.wait_written("ready")
    watched.at.request_end(Scheduled(clock.now()))
    state = await watched.wait()

    assert state.type is StateType.SCHEDULED
    assert await books.said(watched.run.id, "stdout") == ["ready", "cleaned up"]
    assert await books.history(watched.run.id) == ["Scheduled", "Pending", "Running", "Scheduled"]
    assert (await books.claim(watched.run.id)).run.state.type is StateType.PENDING


@pytest.mark.promise("P9")
async def test_a_run_that_its_runner_ends_is_in_the_state_that_the_runner_says(start, books):
    watched = await start(HEEDS)
    await watched.notes.wait_written("ready")
    watched.at.request_end(Crashed(message="The runner was told to end."))
    watched.at.request_end(Scheduled(clock.now()))

    assert str(await watched.wait()) == "Crashed('The runner was told to end.')"
    assert await books.history(watched.run.id) == ["Scheduled", "Pending", "Running", "Crashed"]


@pytest.mark.promise("P18")
@pytest.mark.behaviour("PR-15")
@pytest.mark.parametrize("code", [HEEDS, NEVER_HEED["deaf"]], ids=["heeds", "deaf"])
async def test_a_supervision_that_is_cancelled_ends_the_tree_and_still_says_what_became_of_the_run(
    start, books, code
):
    watched = await start(code)
    await watched.notes.wait_written("ready")
    watched.scope.cancel()
    with trio.fail_after(GRACE + 1):
        await watched.over.wait()

    assert alive(watched.mark) == {}
    assert watched.outcome is None
    assert (await books.run(watched.run.id)).state.type is StateType.CRASHED


async def test_a_supervision_that_is_cancelled_before_its_process_runs_ends_it_too(books, place):
    run = await books.claimed()
    with trio.fail_after(GRACE + 1), trio.CancelScope() as scope:
        scope.cancel()
        await supervise(run, place)

    assert scope.cancelled_caught
    assert alive(f"{FLOW_RUN_ID}={run.id.hex}") == {}
    assert (await books.run(run.id)).state.type is StateType.CRASHED


# --- trees


async def cancel(watched, books):
    await cancelled(watched, books)


async def end(watched, books):
    watched.at.request_end(Crashed())
    await watched.wait()


async def cancel_the_supervision(watched, books):
    watched.scope.cancel()


async def kill_the_program(watched, books):
    os.kill(watched.at.pid, signal.SIGKILL)
    await watched.wait()


async def run_out_of_time(watched, books):
    await books.propose(watched.run, Running(), epoch=watched.run.epoch)
    watched.at.request_end(Crashed(), 0.0)
    await watched.wait()


@pytest.mark.promise("P6", "P2")
@pytest.mark.behaviour("PR-12")
@pytest.mark.parametrize(
    ("kind", "end"),
    [
        (kind, way)
        for kind in TREES
        for way in (cancel, end, cancel_the_supervision, kill_the_program, run_out_of_time)
        if (kind, way) != ("forks and exits 0", kill_the_program)
    ],
)
async def test_nobody_outlives_the_end_of_a_run(start, books, tmp_path, kind, end):
    tether = Tether(tmp_path / "tether")
    watched = await start(program=["sh", "-c", tether.script(kind)])
    await watched.notes.wait_written("ready")

    await end(watched, books)

    await tether.wait_nobody([watched.mark], WITHIN)
    with trio.fail_after(SECONDS):
        await watched.over.wait()
    assert (await books.run(watched.run.id)).state.is_final
