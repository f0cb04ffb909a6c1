"""Each fault goes wrong as its name says, and no other way; flows hold out what is to be held out."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from datetime import timedelta

import pytest
import trio
from attrs import define, frozen

from trioflow import clock, flow, task
from trioflow.client.connect import use_client
from trioflow.errors import LinkClosed, StoreError, StoreFull
from trioflow.store.sqlite import open_memory
from trioflow.testing import faults
from trioflow.wire.endpoints import FIND_CONCURRENCY_LIMITS, FIND_FLOW_RUNS, SET_CONCURRENCY_LIMIT
from trioflow.wire.filters import FlowRunFilter
from trioflow.wire.requests import FindConcurrencyLimits, FindFlowRuns, SetConcurrencyLimit


async def set_limit(client, limit: int) -> None:
    await client.call(SET_CONCURRENCY_LIMIT, SetConcurrencyLimit(tag="db", limit=limit))


async def limits(client) -> list[int]:
    found = await client.call(FIND_CONCURRENCY_LIMITS, FindConcurrencyLimits())
    return [each.limit for each in found.limits]


# --- the client


@define(eq=False)
class Arrivals:
    """A client that remembers what arrived, and when."""

    inner: object
    seen: list[tuple[int, float]]

    async def call(self, endpoint, request):
        if endpoint is SET_CONCURRENCY_LIMIT:
            self.seen.append((request.limit, trio.current_time()))
        return await self.inner.call(endpoint, request)


@frozen
class Suffered:
    """What comes of a call that suffers a fault: what arrives, and when; what is raised; how long it takes."""

    fault: faults.ClientFault
    arrivals: list[tuple[int, float]]
    error: type[Exception] | None
    seconds: float


@pytest.mark.parametrize(
    "suffered",
    [
        Suffered(faults.late(5), [(1, 5)], None, 5),
        Suffered(faults.repeated(3), [(1, 0)] * 3, None, 0),
        Suffered(faults.dropped(), [], LinkClosed, 30),
        Suffered(faults.unanswered(7), [(1, 0)], LinkClosed, 7),
        Suffered(faults.refused(429), [], StoreError, 0),
        Suffered(faults.garbled(), [(1, 0)], LinkClosed, 0),
        Suffered(faults.overtaken(), [(1, 30)], None, 30),
    ],
    ids=["late", "repeated", "dropped", "unanswered", "refused", "garbled", "overtaken"],
)
async def test_a_call_goes_wrong_as_planned(client, autojump_clock, suffered):
    arriving = Arrivals(client, [])
    faulty = faults.FaultyClient(arriving, faults.at_calls([1], suffered.fault))
    error = None
    try:
        await set_limit(faulty, 1)
    except (LinkClosed, StoreError) as caught:
        error = type(caught)

    assert Suffered(suffered.fault, arriving.seen, error, trio.current_time()) == suffered
    await set_limit(faulty, 2)
    assert await limits(client) == [2]


async def test_a_call_is_overtaken_by_the_next_one(client, autojump_clock):
    arriving = Arrivals(client, [])
    faulty = faults.FaultyClient(arriving, faults.at_each(2, faults.overtaken()))
    await set_limit(faulty, 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(set_limit, faulty, 2)
        await trio.testing.wait_all_tasks_blocked()
        await set_limit(faulty, 3)

    assert arriving.seen == [(1, 0), (3, 0), (2, 0)]
    assert faulty.calls == 3


async def test_a_flow_completes_though_its_calls_are_late_and_repeated(client, autojump_clock):
    def plan(number, endpoint):
        return (faults.late(0.5), faults.repeated(), faults.UNHARMED)[number % 3]

    use_client(faults.FaultyClient(client, plan))

    @task
    async def double(x: int) -> int:
        return 2 * x

    @flow
    async def doubles() -> list[int]:
        return [await double(x) for x in range(4)]

    assert await doubles() == [0, 2, 4, 6]
    (run,) = (await client.call(FIND_FLOW_RUNS, FindFlowRuns(filter=FlowRunFilter()))).runs
    assert (run.state.name, run.version) == ("Completed", 3)


# --- the store


async def count(store) -> int:
    ((number,),) = await store.read(lambda tx: tx.execute("SELECT number FROM feed"))
    return number


async def step(store) -> None:
    await store.transact(lambda tx: tx.take_numbers(1))


@contextmanager
def failing():
    with pytest.raises(StoreError, match="call 2 of the store was made to fail"):
        yield


@pytest.mark.parametrize(("side", "done"), [("before", 1), ("after", 2)])
async def test_a_call_of_a_store_fails_before_or_after_its_commit(side, done):
    inner = open_memory()
    store = faults.FaultyStore(inner, faults.fail_call(2, side))
    await step(store)
    with failing():
        await step(store)

    assert (await count(inner), store.calls) == (done, 2)
    await step(store)
    assert await count(store) == done + 1


async def test_a_full_store_can_still_be_read():
    store = faults.FaultyStore(open_memory(), faults.full_after(1))
    await step(store)
    with pytest.raises(StoreFull):
        await step(store)

    assert await count(store) == 1


async def test_a_slow_store_takes_its_time(autojump_clock):
    store = faults.FaultyStore(open_memory(), faults.slow(2))
    await step(store)
    await count(store)

    assert trio.current_time() == 4


# --- the clock


def test_a_jumping_clock_is_set_and_its_ids_stay_fresh():
    jumping = faults.JumpingClock()
    with clock.use(jumping):
        before = clock.now()
        jumping.jump(-3600)
        assert clock.now() - before < timedelta(seconds=-3590)
        jumping.jump(7200)
        assert clock.now() - before >= timedelta(seconds=3600)
        assert clock.new_id() != clock.new_id()
        assert 0 <= clock.draw() < 1


# --- programs


@contextmanager
def started(command):
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_program_ignores_sigterm():
    with started(faults.ignore_sigterm()) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.kill()
        assert process.wait(10) == -signal.SIGKILL


def test_a_program_forks_and_exits():
    with started(faults.fork_and_exit(1)) as process:
        word, child = process.stdout.readline().split()
        assert (word, process.wait(10)) == ("ready", 0)
        left = os.pidfd_open(int(child))
        signal.pidfd_send_signal(left, signal.SIGKILL)
        os.close(left)


def test_a_program_closes_its_output_and_goes_on():
    with started(faults.close_stdout()) as process:
        assert process.stdout.read() == "ready\n"
        assert process.poll() is None


def test_a_program_floods_its_output():
    with started(faults.flood_stdout(1_000_000)) as process:
        assert len(process.stdout.read()) == 1_000_000 // 8192 * 8192
        assert process.wait(10) == 0
