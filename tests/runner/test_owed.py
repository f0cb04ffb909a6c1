"""Owed hooks: called by the runner when a run's own process did not, each at least once, and rarely more often."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from attrs import define, field

from tests.runner.house import Child, House, audit, deaf, in_house, lasting
from tests.runner.test_cancelling import Wire
from trioflow.core.states import Completed, Running, StateType
from trioflow.errors import StoreError
from trioflow.runner.owed import AT_ONCE
from trioflow.wire import endpoints
from trioflow.wire.requests import SettleHooks

HOOKED = audit(hooked=frozenset({StateType.CRASHED, StateType.CANCELLED, StateType.COMPLETED}))


@define(eq=False)
class Hooks:
    """A program that runs flows as ``flow`` does, and calls hooks in so many seconds; notes which, and when."""

    flow: object
    seconds: float = 1.0
    settles: bool = True
    called: list[tuple[object, float]] = field(factory=list)
    at_once: int = 0
    most: int = 0

    async def __call__(self, child: Child) -> int:
        if child.hooks_of is None:
            return await self.flow(child)
        self.called.append((child.run_id, trio.current_time()))
        await self.call(child, child.hooks_of)
        return 0

    async def call(self, child: Child, version: int) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await trio.sleep(self.seconds)
            if self.settles:
                settle = SettleHooks(run_id=child.run_id, version=version)
                await child.client.call(endpoints.SETTLE_HOOKS, settle)
        finally:
            self.at_once -= 1


async def die(child: Child) -> int:
    await child.say(Running())
    return -9


@pytest.mark.promise("P10")
async def test_the_hooks_of_a_run_whose_process_died_are_called_once_in_a_process_of_their_own(
    autojump_clock,
):
    hooks = Hooks(die)
    async with in_house(hooks) as house:
        await house.serving(HOOKED)
        run = await house.run_of(HOOKED)
        await house.wait_state(run, "Crashed")
        await trio.sleep(100)

        assert hooks.called == [(run.id, 0)]
        assert len(house.stage.started) == 2


@pytest.mark.promise("P10")
async def test_hooks_that_the_run_calls_itself_are_left_to_it_however_long_they_take(autojump_clock):
    async def call_them_itself(child: Child) -> int:
        await child.prepare()
        await child.say(Running())
        answer = await child.say(Completed())
        await hooks.call(child, answer.run.version)
        return 0

    hooks = Hooks(call_them_itself, seconds=45)
    async with in_house(hooks) as house:
        await house.serving(HOOKED)
        await house.run_of(HOOKED)
        await trio.sleep(200)

        assert hooks.called == []
        assert len(house.stage.started) == 1


@pytest.mark.promise("P10")
async def test_hooks_that_are_never_settled_are_given_up_after_three_tries(autojump_clock):
    hooks = Hooks(die, settles=False)
    async with in_house(hooks) as house:
        await house.serving(HOOKED)
        await house.run_of(HOOKED)
        await trio.sleep(200)

        assert len(hooks.called) == 3
        assert all(later - earlier >= 1 for (_, earlier), (_, later) in pairwise(hooks.called))


@pytest.mark.promise("P10")
async def test_a_few_hook_processes_stand_beside_the_runs_and_hold_no_slots(autojump_clock):
    hooks = Hooks(die, seconds=5)
    async with in_house(hooks) as house:
        runner = await house.serving(HOOKED, limit=1)
        for _ in range(10):
            await house.run_of(HOOKED)
        await house.wait_count("Crashed", 10)
        assert trio.current_time() == 0
        await trio.sleep(1)
        assert (runner._terms.limiter.in_use, len(house.stage.alive)) == (0, AT_ONCE)
        await trio.sleep(20)

        assert len({run_id for run_id, _ in hooks.called}) == len(hooks.called) == 10
        assert hooks.most == AT_ONCE


@pytest.mark.promise("P9", "P10")
async def test_a_runner_that_was_stopped_calls_the_hooks_of_the_runs_that_it_ended_before_it_goes(
    autojump_clock,
):
    hooks = Hooks(lasting(1000))
    async with in_house(hooks, drain_seconds=7) as house:
        async with trio.open_nursery() as nursery:
            here = House(house.client, house.stage, nursery)
            runner = await here.serving(HOOKED)
            run = await house.run_of(HOOKED)
            await house.wait_state(run, "Running")
            runner.stop()

        assert hooks.called == [(run.id, 7)]
        assert trio.current_time() == 8


@pytest.mark.promise("P10")
async def test_a_runner_that_is_cancelled_leaves_its_hooks_to_the_next_one(autojump_clock):
    hooks = Hooks(deaf)
    async with in_house(hooks) as house:
        async with trio.open_nursery() as nursery:
            here = House(house.client, house.stage, nursery)
            await here.serving(HOOKED)
            run = await house.run_of(HOOKED)
            await house.wait_state(run, "Running")
            nursery.cancel_scope.cancel()
        assert hooks.called == []
        await trio.sleep(100)
        await house.serving(HOOKED)
        await trio.sleep(1)

        assert [called for called, _ in hooks.called] == [run.id]


@pytest.mark.promise("P10")
async def test_hooks_that_cannot_be_called_stop_no_loop(autojump_clock):
    hooks = Hooks(die)
    async with in_house(hooks) as house:
        runner = await house.serving(HOOKED)
        run = await house.run_of(HOOKED)
        await house.stage.wait_alive(1)
        house.stage.fails_to_start = 1
        await house.wait_state(run, "Crashed")
        await trio.sleep(30)

        assert len(hooks.called) == 1
        assert all(health.is_well for health in runner.health.values())


@pytest.mark.promise("P9", "P10")
async def test_a_runner_that_is_stopped_ends_in_peace_although_nobody_can_say_which_hooks_it_owes(
    autojump_clock, caplog
):
    async with in_house(Hooks(die)) as house:
        wire = Wire(house.client)
        async with trio.open_nursery() as nursery:
            here = House(house.client, house.stage, nursery)
            runner = await here.serving(HOOKED, client=wire)
            wire.trouble = StoreError("disk full")
            runner.stop()

        assert "Hooks that runner 'my-runner' may owe are left to the next one: disk full" in caplog.messages


@pytest.mark.promise("P10")
@pytest.mark.parametrize("deployed", [True, False])
async def test_the_hooks_of_a_single_run_are_called_although_its_deployment_is_not_served(
    autojump_clock, deployed
):
    hooks = Hooks(die)
    async with in_house(hooks) as house:
        run = await (house.run_of(HOOKED) if deployed else house.run_of_nothing(hooked=HOOKED.hooked))
        state = await house.runner().execute_flow_run(run.id)

        assert (state.name, [run_id for run_id, _ in hooks.called]) == ("Crashed", [run.id])
