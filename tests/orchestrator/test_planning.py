"""What a schedule owes is planned when somebody looks at it, whatever the clock has done since the last time."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.orchestrator.conftest import MIDNIGHT, Desk, World
from tests.orchestrator.test_deployments import DAILY, HOURLY, hours
from trioflow.core.decisions import Proposal, rule
from trioflow.core.deployments import Deployment, DeploymentSchedule
from trioflow.core.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from trioflow.core.schedules.window import LATEST, SKIP, CatchUp
from trioflow.core.states import Completed, Running, Scheduled, StateType
from trioflow.core.tables import FLOW_RUNS
from trioflow.core.verdicts import Abort
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.orchestrator.planning import AHEAD, HORIZON, look_at, unlooked_at


async def look(desk: Desk, deployment: Deployment) -> None:
    """Look at all schedules of a deployment, as the scheduler does."""
    later = MIDNIGHT + timedelta(days=36500)
    await desk.orchestrator.transact(lambda tx, on: look_at(tx, on, unlooked_at(tx, [deployment.id], later)))


async def unfinished(desk: Desk, deployment: Deployment) -> list[float]:
    """The fires whose run is still to be run."""
    return hours([run for run in await desk.runs(deployment) if not run.state.is_final])


async def plan_at(desk: Desk) -> float:
    """When the one schedule is to be planned again, in hours after midnight."""
    ((text,),) = await desk.rows("SELECT plan_at FROM schedules")
    return (datetime.fromisoformat(text) - MIDNIGHT) / timedelta(hours=1)


# --- ahead


async def test_runs_are_planned_again_when_half_of_them_are_used_up(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(HOURLY)
    assert await plan_at(desk) == AHEAD / 2

    world.at = MIDNIGHT + timedelta(hours=AHEAD / 2)
    await look(desk, deployment)
    assert await plan_at(desk) == AHEAD
    assert (await unfinished(desk, deployment))[-1] == AHEAD * 1.5


@pytest.mark.parametrize(
    ("schedule", "count"),
    [
        (CronSchedule("0 0 1 1 *"), 0),
        (CronSchedule("0 0 * * MON"), 15),
        (RRuleSchedule("FREQ=DAILY;COUNT=3"), 0),
    ],
)
async def test_what_fires_seldom_is_looked_at_in_half_a_horizon(
    desk: Desk, world: World, schedule: CronSchedule, count: int
) -> None:
    deployment = await desk.deploy(schedule)
    assert len(await desk.runs(deployment)) == count
    assert await plan_at(desk) == (world.at + HORIZON / 2 - MIDNIGHT) / timedelta(hours=1)


async def test_a_look_that_finds_nothing_new_changes_nothing(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(HOURLY)
    before = await desk.runs(deployment)
    for _ in range(3):
        await look(desk, deployment)
    assert await desk.runs(deployment) == before


# --- after a downtime


@pytest.mark.parametrize(("policy", "owed"), [(SKIP, []), (LATEST, [5]), (CatchUp(3), [3, 4, 5])])
async def test_after_a_downtime_the_catch_up_policy_says_what_is_run(
    desk: Desk, world: World, policy: CatchUp, owed: list[int]
) -> None:
    """The runs had been planned before it: those that the policy leaves out go."""
    deployment = await desk.deploy(DeploymentSchedule(schedule=HOURLY, catch_up=policy))
    world.forward(hours=5)
    await look(desk, deployment)
    assert await unfinished(desk, deployment) == [*owed, *range(6, AHEAD + 6)]


async def test_it_says_so_also_of_fires_that_nobody_had_planned(desk: Desk, world: World) -> None:
    every = IntervalSchedule(60)
    deployment = await desk.deploy(DeploymentSchedule(schedule=every, catch_up=CatchUp(30)))
    world.forward(hours=2)
    await look(desk, deployment)
    planned = await unfinished(desk, deployment)
    assert len(planned) == 30 + AHEAD
    assert planned[0] == pytest.approx(2.5 - 29 / 60)


async def test_no_more_than_a_moment_without_a_look_is_no_downtime(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(DeploymentSchedule(schedule=IntervalSchedule(10), catch_up=SKIP))
    world.forward(seconds=60)
    await look(desk, deployment)
    assert len(await unfinished(desk, deployment)) == 6 + AHEAD

    world.forward(seconds=61)
    await look(desk, deployment)
    assert len(await unfinished(desk, deployment)) == 6 + AHEAD


async def test_what_had_begun_before_a_downtime_counts_for_its_fire(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(DeploymentSchedule(schedule=HOURLY, catch_up=CatchUp(10)))
    first, second, *_ = await desk.runs(deployment)
    begun = (await desk.claim(first.id)).run
    await desk.propose(second.id, Scheduled(MIDNIGHT + timedelta(days=9)))
    world.forward(hours=3)
    await look(desk, deployment)

    runs = await desk.runs(deployment)
    assert hours(runs) == list(range(1, AHEAD + 4))
    assert [run.id for run in runs[:2]] == [begun.id, second.id]


async def test_what_is_due_and_waits_is_no_downtimes_business(desk: Desk, world: World) -> None:
    """A fire that was settled keeps its run, however long nobody starts it."""
    deployment = await desk.deploy(DeploymentSchedule(schedule=HOURLY, catch_up=SKIP))
    world.at = MIDNIGHT + timedelta(minutes=59, seconds=40)
    await desk.resume(await desk.pause(deployment))
    world.forward(seconds=30)
    await look(desk, deployment)
    world.forward(hours=2)
    await look(desk, deployment)
    assert (await unfinished(desk, deployment))[0] == 1


async def test_nothing_is_handed_out_that_a_downtime_has_made_void(desk: Desk, world: World) -> None:
    """The machine was suspended: the runner may ask before the scheduler has looked."""
    skips = await desk.deploy(DeploymentSchedule(schedule=HOURLY, catch_up=SKIP), name="skips")
    makes_up = await desk.deploy(DeploymentSchedule(schedule=HOURLY, catch_up=LATEST), name="makes up")
    world.forward(hours=3)

    found = await desk.ready(skips, makes_up)
    assert [(run.deployment_id, hours([run])) for run in found.runs] == [(makes_up.id, [3])]
    assert found.next_due == MIDNIGHT + timedelta(hours=4)


# --- when the clock is set back


@pytest.mark.promise("P5")
async def test_a_clock_that_is_set_back_plans_no_fire_again(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(DeploymentSchedule(schedule=HOURLY, catch_up=CatchUp(10)))
    world.at = MIDNIGHT + timedelta(hours=3)
    await look(desk, deployment)
    done = (await desk.runs(deployment))[:3]
    for run in done:
        claimed = (await desk.claim(run.id)).run
        await desk.propose(run.id, Running(), epoch=claimed.epoch)
        await desk.propose(run.id, Completed(), epoch=claimed.epoch)
    before = await desk.runs(deployment)

    world.forward(hours=-1)
    await look(desk, deployment)
    assert await desk.runs(deployment) == before
    world.forward(hours=1, minutes=1)
    await look(desk, deployment)
    assert await desk.runs(deployment) == before


async def test_a_clock_that_was_far_ahead_is_mended_by_pausing_and_resuming(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(DeploymentSchedule(schedule=DAILY, catch_up=SKIP))
    world.forward(days=1000)
    await look(desk, deployment)
    world.forward(days=-1000)
    await look(desk, deployment)
    assert (await unfinished(desk, deployment))[0] > 24 * 1000

    await desk.pause(deployment)
    await desk.resume(deployment)
    assert hours(await desk.runs(deployment)) == [12 + 24 * day for day in range(AHEAD)]


# --- on the nights when the clocks change


@pytest.mark.parametrize(
    ("cron", "begin", "fires"),
    [
        ("0 * * * *", "2026-10-25", 25),
        ("0 * * * *", "2026-03-29", 23),
        ("30 2 * * *", "2026-10-25", 1),
        ("30 2 * * *", "2026-03-29", 1),
    ],
)
async def test_a_day_has_as_many_runs_as_its_clocks_show_fires(
    desk: Desk, world: World, cron: str, begin: str, fires: int
) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = datetime.fromisoformat(begin).replace(tzinfo=berlin)
    world.at = start.astimezone(MIDNIGHT.tzinfo) - timedelta(seconds=1)
    deployment = await desk.deploy(CronSchedule(cron, "Europe/Berlin"))
    desk.orchestrator.downtime = timedelta(hours=2)
    for _ in range(27):
        world.forward(hours=1)
        await look(desk, deployment)
    runs = await desk.runs(deployment)
    local = [run.times.expected_start.astimezone(berlin) for run in runs]
    assert len([at for at in local if at.date() == start.date()]) == fires


# --- what goes wrong


async def test_a_schedule_that_cannot_be_planned_holds_up_no_other(
    desk: Desk, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    broken = await desk.deploy(CronSchedule("5 * * * *", "Europe/Berlin"), HOURLY)
    await desk.orchestrator.store.transact(
        lambda tx: tx.execute(
            "UPDATE schedules SET schedule = replace(schedule, 'Europe/Berlin', 'Nowhere/Atlantis')"
        )
    )
    world.forward(hours=1)
    with caplog.at_level(logging.ERROR):
        await look(desk, broken)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "a schedule of audit/main cannot be planned"
    ]
    assert 1 + AHEAD in await unfinished(desk, broken)


async def test_a_custom_rule_may_refuse_a_planned_run(world: World, store) -> None:
    @rule()
    def never_at_two(proposal: Proposal) -> Abort | None:
        """Not at two."""
        at = proposal.state.details.scheduled_time
        return Abort("It is maintenance time.") if at and at.hour == 2 else None

    table = FLOW_RUNS.with_rule(never_at_two, from_=None, to=StateType.SCHEDULED)
    desk = Desk(Orchestrator(store, table))
    deployment = await desk.deploy(HOURLY)
    assert hours(await desk.runs(deployment)) == [1, *range(3, AHEAD + 1)]
