"""Schedules: paused when the runner that served them ends, resumed when it comes back; an operator's word holds."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
import trio
import trio.testing

from tests.runner.house import START, audit, in_house, lasting
from tests.runner.test_cancelling import Wire
from trioflow.core.deployments import PausedBy
from trioflow.core.schedules import IntervalSchedule
from trioflow.errors import StoreError
from trioflow.wire.endpoints import FIND_FLOW_RUNS, PAUSE_SCHEDULES, READ_DEPLOYMENT
from trioflow.wire.filters import FlowRunFilter
from trioflow.wire.requests import FindFlowRuns, PauseSchedules, ReadDeployment

HOURLY = IntervalSchedule(timedelta(hours=1))


async def how_it_stands(house, deployment):
    """Who paused its schedules."""
    id_ = await house.apply(deployment)
    known = await house.ask(READ_DEPLOYMENT, ReadDeployment(deployment_id=id_))
    return [schedule.paused_by for schedule in known.schedules]


HOURLY_AUDIT = audit(schedules=[HOURLY])
EVERY_SECOND = audit(schedules=[IntervalSchedule(timedelta(seconds=1))])
SCHEDULED = [
    "Pausing schedules for all deployments...",
    "All deployment schedules have been paused!",
]


@pytest.mark.behaviour("LC-02", "LC-03", "QK-12")
async def test_the_schedules_that_it_served_are_paused_first_when_it_ends_and_resumed_when_it_starts(
    autojump_clock, caplog
):
    caplog.set_level(logging.INFO, logger="trioflow.runner")
    async with in_house(lasting(8)) as house:
        runner = house.runner(pause_on_shutdown=True)
        await runner.add_deployment(HOURLY_AUDIT)
        for _ in range(2):
            caplog.clear()
            await serve_until_a_run_is_over(house, runner)
            assert [r.getMessage() for r in caplog.records if "schedules" in r.getMessage()] == SCHEDULED


async def serve_until_a_run_is_over(house, runner):
    async with trio.open_nursery() as nursery:
        await nursery.start(runner.start)
        assert await how_it_stands(house, HOURLY_AUDIT) == [None]
        run = await house.run_of(HOURLY_AUDIT)
        await house.wait_state(run, "Running")
        runner.stop()
        await trio.testing.wait_all_tasks_blocked()
        assert await how_it_stands(house, HOURLY_AUDIT) == [PausedBy.RUNNER]
        assert not runner.started
        assert await house.history(run) == ["Scheduled", "Pending", "Running"]
    assert (await house.read(run)).state.name == "Completed"


@pytest.mark.behaviour("QK-12")
async def test_what_an_operator_paused_stays_paused(autojump_clock):
    async with in_house() as house:
        runner = await house.serving(HOURLY_AUDIT, pause_on_shutdown=True)
        id_ = await house.apply(HOURLY_AUDIT)
        await house.ask(PAUSE_SCHEDULES, PauseSchedules(deployment_id=id_))
        runner.stop()
        await trio.sleep(1)
        await house.serving(HOURLY_AUDIT, pause_on_shutdown=True)

        assert await how_it_stands(house, HOURLY_AUDIT) == [PausedBy.OPERATOR]


@pytest.mark.behaviour("QK-12")
@pytest.mark.parametrize(
    ("pause_on_shutdown", "run_once", "paused"),
    [(True, False, [PausedBy.RUNNER]), (False, False, [None]), (True, True, [None])],
)
async def test_a_runner_that_runs_once_or_is_told_so_leaves_schedules_alone(
    autojump_clock, pause_on_shutdown, run_once, paused
):
    async with in_house() as house:
        runner = house.runner(pause_on_shutdown=pause_on_shutdown)
        await runner.add_deployment(HOURLY_AUDIT)
        with trio.move_on_after(1):
            await runner.start(run_once=run_once)

        assert await how_it_stands(house, HOURLY_AUDIT) == paused


@pytest.mark.behaviour("QK-12")
@pytest.mark.parametrize("pauses", [True, False])
async def test_the_next_runner_resumes_what_one_has_paused_whatever_it_does_itself_when_it_ends(
    autojump_clock, pauses
):
    async with in_house() as house:
        async with house.runner(pause_on_shutdown=True) as runner:
            await runner.add_deployment(HOURLY_AUDIT)
        await house.serving(HOURLY_AUDIT, pause_on_shutdown=pauses)

        assert await how_it_stands(house, HOURLY_AUDIT) == [None]


@pytest.mark.behaviour("QK-12")
async def test_schedules_that_two_runners_serve_go_on_without_a_gap_when_one_of_them_ends(autojump_clock):
    async with in_house() as house:
        first, _ = [
            await house.serving(EVERY_SECOND, pause_on_shutdown=True, query_seconds=5.0) for _ in range(2)
        ]
        await trio.sleep(10)
        first.stop()
        await trio.sleep(20)

        assert await how_it_stands(house, EVERY_SECOND) == [None]
        found = await house.ask(FIND_FLOW_RUNS, FindFlowRuns(filter=FlowRunFilter(limit=100)))
        begun = [run.times.expected_start for run in found.runs if run.state.is_final]
        assert sorted(begun) == [START + timedelta(seconds=n) for n in range(1, len(begun) + 1)]
        assert len(begun) >= 30


@pytest.mark.behaviour("LC-03")
async def test_schedules_that_could_not_be_paused_are_not_said_to_be(autojump_clock, caplog):
    caplog.set_level(logging.INFO, logger="trioflow.runner")
    async with in_house() as house:
        wire = Wire(house.client)
        runner = await house.serving(HOURLY_AUDIT, pause_on_shutdown=True, client=wire)
        wire.trouble = StoreError("disk full")
        runner.stop()
        await trio.sleep(1)
        id_ = await house.apply(HOURLY_AUDIT)

    assert [record.getMessage() for record in caplog.records if "schedules" in record.getMessage()] == [
        SCHEDULED[0],
        f"The schedules of deployment '{id_}' could not be paused: disk full",
    ]


async def test_leaving_the_block_of_a_runner_pauses_what_it_served(autojump_clock):
    async with in_house() as house:
        async with house.runner(pause_on_shutdown=True) as runner:
            await runner.add_deployment(HOURLY_AUDIT)

        assert await how_it_stands(house, HOURLY_AUDIT) == [PausedBy.RUNNER]
