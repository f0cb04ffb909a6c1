"""Leaving: a runner that was stopped drains first; one that is cancelled ends its runs at once. States are written."""

from __future__ import annotations

import math

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runner.house import GRACE, Child, House, audit, deaf, in_house, lasting, virtually
from tests.runner.test_cancelling import Wire
from trioflow.core.deployments import OnShutdown
from trioflow.core.runs import RetryPolicy
from trioflow.core.schedules import IntervalSchedule
from trioflow.core.states import Running
from trioflow.errors import StoreError, TrioflowBug
from trioflow.wire import endpoints
from trioflow.wire.filters import DeploymentFilter
from trioflow.wire.requests import FindDeployments

POLICIES = {
    OnShutdown.CANCEL: ("Cancelled", "Its runner was stopped."),
    OnShutdown.CRASH: ("Crashed", "Its runner was stopped."),
    OnShutdown.RESCHEDULE: ("Scheduled", "Its runner was stopped."),
}


async def running(house: House, deployment=None, **fields):
    """A runner in a nursery of its own, and a run that is RUNNING in it."""
    runner = await house.serving(deployment or audit(), **fields)
    run = await house.run_of(deployment or audit())
    await house.wait_state(run, "Running")
    return runner, run


@pytest.mark.promise("P9")
@pytest.mark.behaviour("LC-02")
async def test_a_stopped_runner_lets_its_runs_go_on_and_returns_when_they_are_over(autojump_clock):
    async with in_house(lasting(20)) as house:
        async with trio.open_nursery() as nursery:
            runner, run = await running(House(house.client, house.stage, nursery))
            runner.stop()

        assert trio.current_time() == 20
        assert await house.history(run) == ["Scheduled", "Pending", "Running", "Completed"]


@pytest.mark.promise("P9")
@pytest.mark.parametrize("policy", OnShutdown)
@pytest.mark.parametrize("program", [lasting(1000), deaf])
async def test_what_is_not_over_in_time_is_ended_as_its_deployment_says(autojump_clock, program, policy):
    async with in_house(program, drain_seconds=30) as house:
        async with trio.open_nursery() as nursery:
            here = House(house.client, house.stage, nursery)
            runner, run = await running(here, audit(on_shutdown=policy))
            runner.stop()

        took = trio.current_time() - 30
        assert took == (GRACE if program is deaf else 0)
        ended = await house.read(run)
        assert (ended.state.name, ended.state.message) == POLICIES[policy]
        assert (await house.leases(), house.stage.alive) == (0, {})


@pytest.mark.promise("P9", "P18")
@pytest.mark.parametrize("policy", OnShutdown)
@pytest.mark.parametrize("stopped_before", [None, 5.0])
async def test_a_cancelled_runner_ends_its_runs_at_once_also_while_it_drains(
    autojump_clock, stopped_before, policy
):
    async with in_house(deaf, drain_seconds=30) as house:
        async with trio.open_nursery() as nursery:
            here = House(house.client, house.stage, nursery)
            runner, run = await running(here, audit(on_shutdown=policy))
            await trio.sleep(10)
            if stopped_before is not None:
                runner.stop()
                await trio.sleep(stopped_before)
            cancelled = trio.current_time()
            nursery.cancel_scope.cancel()

        assert trio.current_time() - cancelled <= GRACE + 1
        ended = await house.read(run)
        assert (ended.state.name, ended.state.message) == POLICIES[policy]
        assert (await house.leases(), house.stage.alive) == (0, {})


async def test_a_run_that_was_rescheduled_is_started_by_the_next_runner(autojump_clock):
    async with in_house(lasting(50)) as house:
        deployment = audit(on_shutdown=OnShutdown.RESCHEDULE)
        async with trio.open_nursery() as nursery:
            _, run = await running(House(house.client, house.stage, nursery), deployment)
            nursery.cancel_scope.cancel()
        await house.serving(deployment)
        ended = await house.wait_state(run, "Completed")

        assert ended.attempt == 2
        assert len(house.stage.started) == 2


@pytest.mark.promise("P2")
async def test_while_a_runner_drains_its_runs_can_still_be_cancelled(autojump_clock):
    async with in_house(deaf, drain_seconds=1000) as house:
        async with trio.open_nursery() as nursery:
            runner, run = await running(House(house.client, house.stage, nursery))
            runner.stop()
            await trio.sleep(10)
            await house.cancel(run)

        assert trio.current_time() <= 10 + 2 + GRACE
        assert (await house.read(run)).state.name == "Cancelled"


async def test_a_run_that_is_being_cancelled_when_the_runner_ends_is_cancelled(autojump_clock):
    async with in_house(deaf) as house:
        deployment = audit(on_shutdown=OnShutdown.RESCHEDULE)
        async with trio.open_nursery() as nursery:
            _, run = await running(House(house.client, house.stage, nursery), deployment)
            await house.cancel(run)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()

        assert trio.current_time() <= 1 + GRACE
        assert (await house.read(run)).state.name == "Cancelled"


async def test_an_error_within_the_block_of_a_runner_ends_its_runs_and_comes_out_as_itself(autojump_clock):
    async with in_house(lasting(1000)) as house:
        run = await house.run_of_nothing()

        async def fail_within() -> None:
            async with house.runner() as runner:
                house.nursery.start_soon(runner.execute_flow_run, run.id)
                await house.wait_state(run, "Running")
                raise ZeroDivisionError("mine")

        with pytest.raises(ZeroDivisionError, match="mine"):
            await fail_within()

        assert (await house.read(run)).state.name == "Cancelled"


@pytest.mark.behaviour("LC-02")
async def test_schedules_are_paused_also_when_the_runner_is_cancelled(autojump_clock):
    async with in_house() as house:
        deployment = audit(schedules=[IntervalSchedule(3600)])
        async with trio.open_nursery() as nursery:
            here = House(house.client, house.stage, nursery)
            await here.serving(deployment, pause_on_shutdown=True)
            nursery.cancel_scope.cancel()

        (known,) = (await house.ask(*find_all())).deployments
        assert [schedule.paused_by for schedule in known.schedules] == ["runner"]


def find_all():
    return endpoints.FIND_DEPLOYMENTS, FindDeployments(filter=DeploymentFilter())


# --- when things are broken


@pytest.mark.promise("P9")
async def test_a_runner_whose_store_is_in_trouble_ends_nevertheless(autojump_clock):
    async with in_house(deaf) as house:
        wire = Wire(house.client)
        async with trio.open_nursery() as nursery:
            here = House(house.client, house.stage, nursery)
            await running(here, client=wire, pause_on_shutdown=True)
            wire.trouble = StoreError("disk full")
            nursery.cancel_scope.cancel()

        assert trio.current_time() <= GRACE + 10 + GRACE + 1
        assert house.stage.alive == {}


@pytest.mark.promise("P9")
async def test_a_runner_that_was_stopped_ends_although_nobody_can_write_what_became_of_its_runs(
    autojump_clock,
):
    async with in_house(deaf, drain_seconds=30) as house:
        wire = Wire(house.client)
        async with trio.open_nursery() as nursery:
            here = House(house.client, house.stage, nursery)
            runner, _ = await running(here, client=wire)
            wire.trouble = StoreError("disk full")
            runner.stop()

        assert trio.current_time() <= 30 + GRACE + 10 + GRACE + 1
        assert house.stage.alive == {}


@pytest.mark.behaviour("SL-02")
@pytest.mark.parametrize("which", range(5))
async def test_a_loop_that_is_beyond_help_ends_the_runner_within_ten_seconds_and_its_runs_with_it(
    autojump_clock, which
):
    async with in_house(lasting(1000)) as house:
        runner = house.runner()
        await runner.add_deployment(audit())
        run = await house.run_of(audit())

        async def break_later() -> None:
            await house.wait_state(run, "Running")

            async def broken() -> None:
                await trio.lowlevel.checkpoint()
                raise TrioflowBug("beyond help")

            runner._opened.loops[which]._turn = broken
            for loop in runner._opened.loops:
                loop.bell.ring()
            await house.run_of_nothing()  # something to hear of

        house.nursery.start_soon(break_later)
        with pytest.raises(TrioflowBug, match="beyond help"):
            await runner.start()

        assert trio.current_time() <= 10
        assert (await house.read(run)).state.name == "Cancelled"


@pytest.mark.promise("P9", "P18", "P3")
@given(
    at=st.floats(0, 40),
    then=st.floats(0, 40),
    policy=st.sampled_from(OnShutdown),
    stops=st.booleans(),
    retries=st.integers(0, 1),
)
@settings(max_examples=40)
def test_whenever_a_runner_ends_every_run_that_it_had_is_over_or_scheduled(at, then, policy, stops, retries):
    """Runs of every kind, stopped at any time and cancelled at any later one."""

    async def mixed(child: Child) -> int:
        kind = child.run_id.int % 4
        if kind == 0:
            return await deaf(child)
        if kind == 1:
            await child.say(Running())
            await trio.sleep(3)
            return 1
        return await lasting(kind * 7)(child)

    async def test() -> None:
        async with in_house(mixed, drain_seconds=15) as house:
            deployment = audit(
                on_shutdown=policy, retry=RetryPolicy(retries=retries, on_crash=True, delays=(5.0,))
            )
            runner = house.runner(limit=4)
            await runner.add_deployment(deployment)
            for second in range(0, 20, 2):
                await house.run_of(deployment, at=second)
            ended = math.inf
            async with trio.open_nursery() as nursery:
                await nursery.start(runner.start)
                await trio.sleep(at)
                if stops:
                    runner.stop()
                await trio.sleep(then)
                ended = trio.current_time()
                nursery.cancel_scope.cancel()
            assert trio.current_time() - ended <= GRACE + 1
            assert (await house.leases(), house.stage.alive, runner._terms.limiter.in_use) == (0, {}, 0)
            assert not set(await house.states()) & {"Pending", "Running", "Cancelling"}

    virtually(test, seconds=600)
