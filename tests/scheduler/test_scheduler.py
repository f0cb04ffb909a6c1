"""Runs stand in the store before they are due, whatever the clock does; those that nobody claims are late, once."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.scheduler.conftest import START, Home, World
from trioflow import clock
from trioflow.core.deployments import Deployment
from trioflow.core.schedules import CronSchedule, IntervalSchedule
from trioflow.core.schedules.window import LATEST, SKIP, CatchUp
from trioflow.errors import DiskFailed, StoreClosed
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.orchestrator.planning import AHEAD
from trioflow.scheduler import run_scheduler
from trioflow.store.sqlite import open_memory
from trioflow.wire import endpoints, requests

HOURLY = CronSchedule("0 * * * *")
MIDNIGHT = START - timedelta(minutes=30)


def at(hour: float) -> datetime:
    return MIDNIGHT + timedelta(hours=hour)


async def sleep(**amount: float) -> None:
    await trio.sleep(timedelta(**amount).total_seconds())


# --- planning ahead


async def test_every_run_is_planned_before_it_is_due(home: Home, autojump_clock: MockClock) -> None:
    """For a day, looked at a moment before each fire."""
    deployment = await home.deploy(HOURLY, IntervalSchedule(20 * 60))
    await sleep(minutes=29, seconds=59)
    for hour in range(1, 25):
        assert at(hour) in await home.due()
        await sleep(seconds=1)
        ran = await home.run_what_is_ready(deployment)
        assert at(hour) in ran
        await sleep(minutes=59, seconds=59)
    created = {run.times.expected_start: run.created for run in await home.runs()}
    assert all(made < due for due, made in created.items())


async def test_as_many_are_planned_ahead_as_it_takes_and_no_more(
    home: Home, autojump_clock: MockClock
) -> None:
    deployment = await home.deploy(HOURLY)
    ahead = []
    for _ in range(25):
        await sleep(hours=1)
        await home.run_what_is_ready(deployment)
        ahead.append(len(await home.due()))
    assert (min(ahead), max(ahead)) == (AHEAD / 2 + 1, AHEAD)


async def test_a_schedule_that_fires_each_second_is_kept_up_with(
    home: Home, autojump_clock: MockClock
) -> None:
    deployment = await home.deploy(IntervalSchedule(1))
    ran: list[datetime] = []
    for _ in range(100):
        await sleep(seconds=1)
        ran += await home.run_what_is_ready(deployment)
    assert ran == [START + timedelta(seconds=second) for second in range(1, 101)]


async def test_what_comes_into_the_horizon_is_planned_in_time(
    unscheduled: Home, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    await nursery.start(partial(run_scheduler, unscheduled.orchestrator, look_seconds=86400))
    await unscheduled.deploy(CronSchedule("0 0 1 1 *"))
    assert await unscheduled.due() == []
    await sleep(days=265)
    assert await unscheduled.due() == [datetime(2027, 1, 1, tzinfo=START.tzinfo)]


# --- the clock


@pytest.mark.parametrize(
    ("policy", "ran"), [(SKIP, []), (LATEST, [3]), (CatchUp(2), [2, 3]), (CatchUp(9), [1, 2, 3])]
)
async def test_a_machine_that_was_suspended_makes_up_for_what_its_policy_says(
    home: Home, world: World, autojump_clock: MockClock, policy: CatchUp, ran: list[float]
) -> None:
    """The wall clock jumps three hours ahead while Trio's stands still; the scheduler looks within half a minute."""
    deployment = await home.deploy(HOURLY, catch_up=policy)
    await sleep(minutes=5)
    world.step(hours=3)
    await sleep(seconds=31)
    assert (await home.due())[: len(ran) + 1] == [at(hour) for hour in [*ran, 4]]
    assert await home.run_what_is_ready(deployment) == [at(hour) for hour in ran]


@pytest.mark.promise("P5")
async def test_a_clock_that_is_set_back_runs_nothing_twice_and_leaves_nothing_out(
    home: Home, world: World, autojump_clock: MockClock
) -> None:
    deployment = await home.deploy(HOURLY)
    ran: list[datetime] = []
    for hour in range(8):
        await sleep(hours=1)
        ran += await home.run_what_is_ready(deployment)
        if hour == 3:
            world.step(hours=-1)
    assert ran == [at(hour) for hour in range(1, 8)]


@pytest.mark.parametrize(("day", "fires"), [("2026-10-25", 25), ("2026-03-29", 23)])
async def test_on_the_nights_when_the_clocks_change_each_fire_is_run_once(
    home: Home, world: World, autojump_clock: MockClock, day: str, fires: int
) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    midnight = datetime.fromisoformat(day).replace(tzinfo=berlin).astimezone(START.tzinfo)
    world.step(seconds=(midnight - START).total_seconds() - 60 - trio.current_time())
    hourly = await home.deploy(CronSchedule("0 * * * *", "Europe/Berlin"), name="hourly")
    nightly = await home.deploy(CronSchedule("30 2 * * *", "Europe/Berlin"), name="nightly")
    ran: list[datetime] = []
    nights: list[datetime] = []
    for _ in range(4 * fires + 1):
        await sleep(minutes=15)
        ran += await home.run_what_is_ready(hourly)
        nights += await home.run_what_is_ready(nightly)
    assert [due for due in ran if due.astimezone(berlin).date().isoformat() == day] == [
        midnight + timedelta(hours=hour) for hour in range(fires)
    ]
    assert [due.astimezone(berlin).date().isoformat() for due in nights] == [day]


async def test_nothing_is_a_downtime_while_somebody_looks(
    home: Home, world: World, autojump_clock: MockClock
) -> None:
    """Runs that nobody starts for a day stay: there was no downtime, there was no runner."""
    await home.deploy(HOURLY, catch_up=SKIP)
    await sleep(days=1)
    assert (await home.due())[:24] == [at(hour) for hour in range(1, 25)]


async def test_a_home_that_nobody_schedules_has_had_a_downtime(
    unscheduled: Home, world: World, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    deployment = await unscheduled.deploy(HOURLY, catch_up=LATEST)
    await sleep(hours=5)
    await nursery.start(partial(run_scheduler, unscheduled.orchestrator))
    await wait_all_tasks_blocked()
    assert await unscheduled.run_what_is_ready(deployment) == [at(5)]
    assert (await unscheduled.due())[0] == at(6)


async def test_a_longer_look_bears_longer_silence(
    unscheduled: Home, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    await nursery.start(partial(run_scheduler, unscheduled.orchestrator, look_seconds=1800))
    deployment = await unscheduled.deploy(IntervalSchedule(600), catch_up=SKIP)
    ran: list[datetime] = []
    for _ in range(10):
        await sleep(minutes=29)
        ran += await unscheduled.run_what_is_ready(deployment)
    assert ran == [START + timedelta(minutes=10 * n) for n in range(1, 30)]


# --- late


async def _late_runs(home: Home) -> list[tuple[datetime, list[str]]]:
    return [
        (run.times.expected_start, await home.names(run))
        for run in await home.runs()
        if run.state.name == "Late"
    ]


@pytest.mark.behaviour("OR-08")
async def test_a_run_that_nobody_claims_is_marked_late_after_15_seconds_and_once(
    home: Home, world: World, autojump_clock: MockClock
) -> None:
    await home.deploy(HOURLY)
    await sleep(minutes=30, seconds=14)
    assert await _late_runs(home) == []
    await sleep(seconds=2)
    assert await _late_runs(home) == [(at(1), ["Scheduled", "Late"])]
    (run, *_) = await home.runs()
    assert run.times.next_scheduled_start == at(1)
    await sleep(minutes=20)
    assert await _late_runs(home) == [(at(1), ["Scheduled", "Late"])]


async def test_so_is_one_that_somebody_asked_for_when_nothing_else_is_to_be_done(
    home: Home, world: World, autojump_clock: MockClock
) -> None:
    """The scheduler sleeps, and hears of it."""
    deployment: Deployment = await home.deploy()
    await sleep(seconds=7)
    id_ = clock.new_id()
    request = requests.CreateDeploymentRun(
        id=id_, deployment_id=deployment.id, transition_id=clock.new_id(), name="asked-for"
    )
    await home.orchestrator.handle(endpoints.CREATE_DEPLOYMENT_RUN, request)
    await sleep(seconds=14.9)
    assert await _late_runs(home) == []
    await sleep(seconds=0.2)
    assert [names for _, names in await _late_runs(home)] == [["Scheduled", "Late"]]


async def test_a_late_run_is_run_all_the_same(home: Home, autojump_clock: MockClock) -> None:
    deployment = await home.deploy(HOURLY)
    await sleep(hours=1)
    assert await home.run_what_is_ready(deployment) == [at(1)]
    assert await home.names((await home.runs())[0]) == [
        "Scheduled",
        "Late",
        "Pending",
        "Running",
        "Completed",
    ]


async def test_more_late_runs_than_fit_into_one_transaction_are_marked_at_once(
    unscheduled: Home, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    for number in range(13):
        await unscheduled.deploy(IntervalSchedule(60), catch_up=CatchUp(1000), name=f"d{number}")
    await sleep(minutes=AHEAD + 1)
    await nursery.start(partial(run_scheduler, unscheduled.orchestrator))
    await wait_all_tasks_blocked()
    assert len(await _late_runs(unscheduled)) == 13 * AHEAD


# --- what goes wrong


async def test_a_scheduler_goes_on_when_the_store_cannot_for_a_while(
    home: Home, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deployment = await home.deploy(HOURLY)

    async def fail(*_: object) -> None:
        await trio.lowlevel.checkpoint()
        raise DiskFailed

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(type(home.orchestrator.store), "read", fail)
        await sleep(minutes=45)
    assert any("Planning runs" in record.getMessage() for record in caplog.records)
    await sleep(seconds=50)
    assert await home.run_what_is_ready(deployment) == [at(1)]
    assert len(await home.due()) >= AHEAD - 1


async def test_it_ends_with_its_store(world: World, autojump_clock: MockClock) -> None:
    orchestrator = Orchestrator(open_memory())
    await orchestrator.store.aclose()
    with pytest.RaisesGroup(StoreClosed, flatten_subgroups=True):
        await run_scheduler(orchestrator)


async def test_a_schedule_that_cannot_be_planned_holds_up_no_other(
    home: Home, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    await home.deploy(CronSchedule("5 * * * *", "Europe/Berlin"), name="broken")
    well = await home.deploy(HOURLY, name="well")
    await home.orchestrator.store.transact(
        lambda tx: tx.execute(
            "UPDATE schedules SET schedule = replace(schedule, 'Europe/Berlin', 'Atlantis')"
        )
    )
    ran: list[datetime] = []
    with caplog.at_level(logging.ERROR):
        for _ in range(30):
            await sleep(hours=1)
            ran += await home.run_what_is_ready(well)
    assert ran == [at(hour) for hour in range(1, 31)]
    told = [record for record in caplog.records if "audit/broken" in record.getMessage()]
    assert 20 <= len(told) <= 30


async def test_two_schedulers_of_one_home_plan_each_fire_once(
    home: Home, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    other = Orchestrator(home.orchestrator.store)
    nursery.start_soon(other.changes.pump)
    await nursery.start(partial(run_scheduler, other))
    deployment = await home.deploy(HOURLY)
    ran: list[datetime] = []
    for _ in range(30):
        await sleep(hours=1)
        ran += await home.run_what_is_ready(deployment)
    assert ran == [at(hour) for hour in range(1, 31)]
