"""The Runner as users construct it: its name, its numbers, its life."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
import trio
import trio.testing

from tests.runner.house import audit, deaf, in_house, lasting
from trioflow import flow
from trioflow.core.schedules import IntervalSchedule
from trioflow.errors import InvalidSetting, RunAborted, RunnerError, RunnerIsFull
from trioflow.runner.runner import Runner
from trioflow.settings import Settings, use_settings
from trioflow.wire.endpoints import READ_DEPLOYMENT
from trioflow.wire.requests import ReadDeployment

HOURLY = IntervalSchedule(timedelta(hours=1))


@flow
async def greet() -> str:
    return "hello"


# --- what it is called


@pytest.mark.behaviour("RN-06")
@pytest.mark.parametrize("name", ["a/b", "50%", "/", "flows/none.py"])
def test_a_name_with_a_slash_or_a_percent_sign_is_refused(name):
    with pytest.raises(ValueError, match=r"^Runner name cannot contain '/' or '%'$"):
        Runner(name)


@pytest.mark.behaviour("RN-07", "QK-10")
def test_only_a_path_to_an_existing_file_is_reduced_to_its_stem(tmp_path):
    path = tmp_path / "my.flows.py"
    path.write_text("")

    assert Runner(str(path)).name == "my.flows"
    assert Runner("my.runner").name == "my.runner"
    assert Runner("x" * 5000).name == "x" * 5000


@pytest.mark.behaviour("RN-07")
def test_a_runner_without_a_name_gets_one_of_its_own():
    first, second = Runner().name, Runner().name

    assert first.startswith("runner-")
    assert first != second


@pytest.mark.behaviour("RN-09")
def test_a_runner_shows_its_name():
    assert repr(Runner("X")) == "Runner(name='X')"


# --- its numbers


@pytest.mark.behaviour("RN-05")
def test_a_runner_has_defaults_for_everything():
    terms = Runner()._terms

    assert terms.query_seconds == 10
    assert terms.lead_seconds == 1
    assert terms.limiter.limit == 5 * os.cpu_count()


@pytest.mark.behaviour("RN-05", "RN-08")
def test_what_a_runner_is_not_told_the_settings_say(tmp_path):
    with use_settings(Settings(home=tmp_path, runner_process_limit=3, runner_query_seconds=7)):
        told, untold = Runner(limit=2, query_seconds=1)._terms, Runner()._terms

    assert (told.limiter.limit, told.query_seconds) == (2, 1)
    assert (untold.limiter.limit, untold.query_seconds) == (3, 7)


@pytest.mark.behaviour("RN-08", "QK-09")
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"limit": 0}, "a runner's limit must be at least 1, not 0"),
        ({"limit": -1}, "a runner's limit must be at least 1, not -1"),
        ({"query_seconds": 0}, "a runner's query_seconds must be above 0, not 0"),
        ({"query_seconds": float("nan")}, "a runner's query_seconds must be above 0, not nan"),
        ({"prefetch_seconds": -1}, "a runner's prefetch_seconds must be 0 or more, not -1"),
    ],
)
def test_a_number_that_lets_nothing_run_is_refused(fields, message):
    with pytest.raises(InvalidSetting) as caught:
        Runner(**fields)

    assert str(caught.value) == message
    assert isinstance(caught.value, ValueError)


# --- what it serves


@pytest.mark.behaviour("DP-01", "RN-02")
async def test_deployments_are_registered_in_the_order_given_and_served_by_their_ids(autojump_clock):
    async with in_house() as house:
        runner = house.runner()
        ids = [await runner.add_deployment(audit(name)) for name in ("b", "a", "c")]

        assert list(runner._terms.served.deployments) == ids
        assert [await house.apply(audit(name)) for name in ("b", "a", "c")] == ids


@pytest.mark.behaviour("DP-01", "DP-02")
async def test_a_flow_is_added_as_its_deployment(autojump_clock):
    async with in_house() as house:
        runner = house.runner()
        id_ = await runner.add_flow(greet, "daily", tags=["x"])
        known = await house.ask(READ_DEPLOYMENT, ReadDeployment(deployment_id=id_))

        assert known.full_name == "greet/daily"
        assert known.tags == {"x"}


async def test_a_deployment_that_is_added_to_a_running_runner_is_served_at_once(autojump_clock):
    async with in_house() as house:
        runner = await house.serving()
        late = audit("late")
        run = await house.run_of(late)
        await trio.sleep(1)
        assert await house.history(run) == ["Scheduled"]
        await runner.add_deployment(late)
        await trio.sleep(0.1)

        assert await house.history(run) == ["Scheduled", "Pending", "Running", "Completed"]


# --- its life


@pytest.mark.behaviour("RL-03")
def test_stopping_a_runner_that_never_started_is_an_error():
    with pytest.raises(RuntimeError) as caught:
        Runner().stop()

    message = "Runner has not yet started. Please start the runner by calling .start()"
    assert str(caught.value) == message


@pytest.mark.behaviour("RL-03")
async def test_stopping_ends_the_loops_and_not_the_runs(autojump_clock):
    async with in_house(lasting(20)) as house:
        runner = await house.serving()
        run = await house.run_of(audit())
        await house.wait_state(run, "Running")
        runner.stop()
        runner.stop()
        later = await house.run_of(audit())
        await house.wait_state(run, "Completed")

        assert await house.history(later) == ["Scheduled"]


@pytest.mark.behaviour("LC-01")
async def test_a_runner_is_started_within_its_block_and_not_outside(autojump_clock):
    async with in_house() as house:
        runner = house.runner()
        assert not runner.started
        async with runner as entered:
            assert entered is runner
            assert runner.started
            assert all(health.is_well for health in runner.health.values())
        assert not runner.started
        assert runner.health == {}


async def test_a_runner_can_be_opened_first_and_started_within(autojump_clock):
    async with in_house() as house, house.runner() as runner:
        await runner.add_deployment(audit())
        run = await house.run_of(audit())
        house.nursery.start_soon(runner.start)
        await house.wait_state(run, "Completed")
        runner.stop()


async def test_a_runner_that_runs_cannot_be_started_or_opened_again(autojump_clock):
    async with in_house() as house:
        runner = await house.serving()
        with pytest.raises(RunnerError, match="running already"):
            await runner.start()
        with pytest.raises(RunnerError, match="open already"):
            await runner.__aenter__()


async def test_a_runner_that_was_stopped_can_be_started_again(autojump_clock):
    async with in_house() as house:
        runner = house.runner()
        await runner.add_deployment(audit())
        for _ in range(2):
            async with trio.open_nursery() as nursery:
                await nursery.start(runner.start)
                await house.wait_state(await house.run_of(audit()), "Completed")
                runner.stop()

        assert await house.states() == {"Completed": 2}


@pytest.mark.behaviour("RL-02")
async def test_a_runner_that_runs_once_returns_when_what_was_due_is_over(autojump_clock):
    async with in_house(lasting(100)) as house:
        runner = house.runner(limit=2)
        await runner.add_deployment(audit())
        runs = [await house.run_of(audit()) for _ in range(3)]
        await runner.start(run_once=True)

        assert trio.current_time() == 100
        assert [await house.history(run) for run in runs] == [
            ["Scheduled", "Pending", "Running", "Completed"],
            ["Scheduled", "Pending", "Running", "Completed"],
            ["Scheduled"],
        ]


# --- single runs


@pytest.mark.behaviour("RL-14", "QK-06")
async def test_a_single_run_is_claimed_run_and_its_final_state_returned(autojump_clock):
    async with in_house(lasting(3)) as house:
        runner = house.runner()
        run = await house.run_of_nothing()
        state = await runner.execute_flow_run(run.id)

        assert state.is_completed
        assert await house.history(run) == ["Scheduled", "Pending", "Running", "Completed"]
        assert (await house.leases(), runner._terms.limiter.in_use) == (0, 0)


@pytest.mark.behaviour("RL-14")
async def test_a_single_run_needs_a_slot_and_the_error_says_so(autojump_clock):
    async with in_house(lasting(3)) as house:
        runner = await house.serving(limit=1)
        await house.run_of(audit())
        await house.stage.wait_alive(1)
        run = await house.run_of_nothing()
        with pytest.raises(RunnerIsFull, match="1 runs in hand, as many as its limit allows"):
            await runner.execute_flow_run(run.id)

        assert await house.history(run) == ["Scheduled"]


@pytest.mark.behaviour("RL-14", "RL-10")
async def test_a_single_run_that_somebody_else_has_is_not_run(autojump_clock):
    async with in_house(lasting(3)) as house:
        await house.serving()
        run = await house.run_of(audit())
        await house.wait_state(run, "Running")
        with pytest.raises(RunAborted, match=r"was not claimed.*Run is owned by process"):
            await house.runner().execute_flow_run(run.id)


@pytest.mark.behaviour("RL-14")
async def test_a_single_run_is_watched_for_cancellation(autojump_clock):
    async with in_house(lasting(1000)) as house:
        run = await house.run_of_nothing()

        async def cancel_it() -> None:
            await house.wait_state(run, "Running")
            await house.cancel(run)

        house.nursery.start_soon(cancel_it)
        state = await house.runner().execute_flow_run(run.id)

        assert state.name == "Cancelled"


async def test_a_single_run_ends_when_its_caller_is_cancelled(autojump_clock):
    async with in_house(deaf) as house:
        runner = await house.serving()
        run = await house.run_of_nothing()
        with trio.move_on_after(10) as scope:
            await runner.execute_flow_run(run.id)

        assert scope.cancelled_caught
        assert trio.current_time() == 10 + house.stage.grace
        assert (await house.read(run)).state.name == "Cancelled"
        assert runner._terms.limiter.in_use == 0
