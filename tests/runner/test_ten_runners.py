"""Many runners on one store: each run has one owner at a time, and no fire is lost or doubled (P5)."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import pairwise

import pytest
import trio
from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runner.house import Child, House, audit, in_house, lasting, succeed, virtually
from trioflow import clock
from trioflow.core.runs import RetryPolicy
from trioflow.core.schedules import IntervalSchedule
from trioflow.core.states import Running
from trioflow.core.verdicts import Abort, Accept
from trioflow.wire import endpoints

RUNS = 12


@define(eq=False)
class Network:
    """A client whose claims are late, and are asked twice: because the answer was lost, or once too often."""

    inner: object
    delays: list[float]
    repeats: str

    async def call(self, endpoint, request):
        if endpoint is not endpoints.CLAIM_FLOW_RUN:
            return await self.inner.call(endpoint, request)
        await trio.sleep(self._late())
        answer = await self.inner.call(endpoint, request)
        match self.repeats:
            case "lost answer":
                await trio.sleep(self._late())
                return await self._asked_again(request, answer)
            case "once too often" if isinstance(answer.verdict, Accept):
                rogue = evolve(request, transition_id=clock.new_id())
                assert isinstance((await self.inner.call(endpoint, rogue)).verdict, Abort)
        return answer

    async def _asked_again(self, request, answer):
        again = await self.inner.call(endpoints.CLAIM_FLOW_RUN, request)
        if isinstance(answer.verdict, Accept):
            assert again.verdict == answer.verdict
        return again

    async def changes(self, after, which):
        return await self.inner.changes(after, which)

    async def now(self):
        return await self.inner.now()

    def _late(self) -> float:
        return self.delays[int(trio.current_time() * 1000) % len(self.delays)]


@define(eq=False)
class Ledger:
    """Who ran what: a program notes its run and epoch while it lives."""

    epochs: defaultdict[object, list[int]] = field(factory=lambda: defaultdict(list))
    living: set[object] = field(factory=set)

    def around(self, program):
        async def noted(child: Child) -> int:
            assert child.run_id not in self.living, "two processes of one run live"
            self.living.add(child.run_id)
            self.epochs[child.run_id].append(child.epoch)
            try:
                return await program(child)
            finally:
                self.living.discard(child.run_id)

        return noted


async def several(house: House, count: int, networks, deployments, **fields) -> list:
    runners = []
    for number in range(count):
        network = networks(house.client) if networks else house.client
        runners.append(await house.serving(*deployments, client=network, name=f"r{number}", **fields))
    return runners


@pytest.mark.promise("P5")
@given(
    delays=st.lists(st.sampled_from([0.0, 0.001, 0.5, 3.0, 12.0]), min_size=1, max_size=5),
    repeats=st.sampled_from(["never", "lost answer", "once too often"]),
    limit=st.integers(1, 3),
    crashes=st.sets(st.integers(0, RUNS - 1)),
)
@settings(max_examples=15)
def test_each_run_has_one_owner_and_one_process_at_a_time_however_claims_come(
    delays, repeats, limit, crashes
):
    ledger = Ledger()
    numbers: dict = {}

    async def program(child: Child) -> int:
        first_try = len(ledger.epochs[child.run_id]) == 1
        if first_try and numbers[child.run_id] in crashes:
            await child.say(Running())
            return -9
        return await succeed(child)

    async def test() -> None:
        async with in_house(ledger.around(program)) as house:
            deployment = audit(retry=RetryPolicy(retries=1, on_crash=True, delays=(1.0,)))
            await several(
                house, 10, lambda client: Network(client, delays, repeats), [deployment], limit=limit
            )
            for number in range(RUNS):
                numbers[(await house.run_of(deployment)).id] = number
            await house.wait_count("Completed", RUNS)

            assert await house.states() == {"Completed": RUNS}
            assert await house.leases() == 0

    virtually(test, seconds=3000)
    assert set(ledger.epochs) == set(numbers)
    for run_id, number in numbers.items():
        epochs = ledger.epochs[run_id]
        assert len(epochs) == 1 + (number in crashes)
        assert all(before < after for before, after in pairwise(epochs))


@pytest.mark.promise("P5", "P15")
async def test_ten_runners_share_what_is_due_and_each_fire_has_one_run(autojump_clock):
    ledger = Ledger()
    async with in_house(ledger.around(lasting(30))) as house:
        every_minute = audit(schedules=[IntervalSchedule(timedelta(minutes=1))])
        await several(house, 10, None, [every_minute], limit=1, prefetch_seconds=0)
        await trio.sleep(3600 - 1)

        assert [round(at) for at in house.stage.started_at] == [60 * minute for minute in range(1, 60)]
        assert len(ledger.epochs) == 59


async def hundreds(count: int) -> None:
    ledger = Ledger()
    async with in_house(ledger.around(succeed)) as house:
        deployment = audit()
        await several(house, 10, lambda client: Network(client, [0.0, 0.001], "once too often"), [deployment])
        for _ in range(count):
            await house.run_of(deployment)
        await house.wait_count("Completed", count)
    assert len(ledger.epochs) == count
    assert all(len(epochs) == 1 for epochs in ledger.epochs.values())


@pytest.mark.promise("P5")
def test_ten_runners_take_hundreds_of_runs_without_taking_one_twice():
    virtually(lambda: hundreds(300), seconds=3000)


@pytest.mark.promise("P5")
@pytest.mark.nightly
def test_ten_runners_take_ten_thousand_runs_without_taking_one_twice():
    virtually(lambda: hundreds(10_000), seconds=1e6)
