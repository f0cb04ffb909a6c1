"""Deployments are applied, edited, paused, resumed and deleted, and what they had planned goes with that."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.orchestrator.conftest import MIDNIGHT, Desk, World, evolve
from trioflow.core.deployments import Deployment, DeploymentSchedule, OnShutdown, PausedBy
from trioflow.core.runs import FlowRun, RetryPolicy
from trioflow.core.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from trioflow.core.schedules.identity import fire_key, schedule_identity
from trioflow.core.schedules.window import CatchUp, Overlap
from trioflow.core.states import StateType
from trioflow.errors import DeploymentApplyError, DeploymentNotFound, ParameterError
from trioflow.orchestrator.planning import AHEAD
from trioflow.wire import endpoints, requests
from trioflow.wire.filters import DeploymentFilter
from trioflow.wire.replies import Deployments

HOURLY = CronSchedule("0 * * * *")
DAILY = CronSchedule("0 12 * * *")
TAKES_A_PORT = {"properties": {"port": {"type": "integer"}}, "required": ["port"]}


def hours(runs: list[FlowRun]) -> list[float]:
    """When runs are due, in hours after midnight."""
    return [(run.times.expected_start - MIDNIGHT) / timedelta(hours=1) for run in runs]


# --- what is applied is there


async def test_a_deployment_is_read_as_it_was_applied(desk: Desk, world: World) -> None:
    schedules = (
        DeploymentSchedule(schedule=CronSchedule("0 9 * * MON", "Europe/Berlin", day_or=False)),
        DeploymentSchedule(
            schedule=IntervalSchedule(90.5, datetime.fromisoformat("2026-01-01T00:00+01:00")),
            catch_up=CatchUp(7),
            overlap=Overlap.SKIP,
            paused_by=PausedBy.OPERATOR,
        ),
        DeploymentSchedule(schedule=RRuleSchedule("FREQ=DAILY;COUNT=3", "Asia/Tokyo")),
    )
    applied = await desk.deploy(
        *schedules,
        parameters={"port": 8000},
        parameter_schema=TAKES_A_PORT,
        enforce_parameter_schema=False,
        tags=frozenset({"a", "b"}),
        description="Audits.",
        version="1.2",
        triggers=({"expect": ["x"]},),
        retry=RetryPolicy(retries=2, delays=(1.0, 5.0), on_crash=True),
        hooked=frozenset({StateType.CRASHED}),
        on_shutdown=OnShutdown.RESCHEDULE,
    )

    assert applied == Deployment(
        id=applied.id,
        flow_id=applied.flow_id,
        flow_name="audit",
        name="main",
        entrypoint="flows.py:audit",
        parameters={"port": 8000},
        parameter_schema=TAKES_A_PORT,
        enforce_parameter_schema=False,
        tags=frozenset({"a", "b"}),
        description="Audits.",
        version="1.2",
        schedules=schedules,
        triggers=({"expect": ["x"]},),
        retry=RetryPolicy(retries=2, delays=(1.0, 5.0), on_crash=True),
        hooked=frozenset({StateType.CRASHED}),
        on_shutdown=OnShutdown.RESCHEDULE,
        created=world.at,
        updated=world.at,
    )
    read = requests.ReadDeployment(deployment_id=applied.id)
    assert await desk.ask(endpoints.READ_DEPLOYMENT, read) == applied


async def test_deployments_are_found_by_flow_and_name_with_their_next_runs(desk: Desk, world: World) -> None:
    late = await desk.deploy(DAILY, name="late")
    early = await desk.deploy(HOURLY, name="early")
    other = await desk.deploy(flow_name="tidy", name="early")

    async def find(**which: object) -> Deployments:
        request = requests.FindDeployments(filter=DeploymentFilter(**which))
        return await desk.ask(endpoints.FIND_DEPLOYMENTS, request)

    noon, one = MIDNIGHT + timedelta(hours=12), MIDNIGHT + timedelta(hours=1)
    assert await find() == Deployments((early, late, other), (one, noon, None))
    assert await find(flow_name="audit") == Deployments((early, late), (one, noon))
    assert await find(name="early") == Deployments((early, other), (one, None))
    assert await find(limit=1, offset=1) == Deployments((late,), (noon,))


async def test_one_that_is_there_keeps_its_id_and_its_beginning(desk: Desk, world: World) -> None:
    first = await desk.deploy(HOURLY, tags=frozenset({"old"}))
    world.forward(minutes=5)
    second = await desk.deploy(DAILY, description="Noon")

    assert second == evolve(
        first,
        tags=frozenset(),
        description="Noon",
        schedules=(DeploymentSchedule(schedule=DAILY),),
        updated=world.at,
    )
    assert await desk.rows("SELECT count(*) FROM deployments") == [(1,)]


@pytest.mark.parametrize("name", ["", "a/b", "50%"])
async def test_a_name_that_would_be_read_as_two_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(DeploymentApplyError, match="without '/' and '%'"):
        await desk.deploy(name=name)
    assert await desk.rows("SELECT * FROM deployments") == []


async def test_more_schedules_than_anybody_needs_are_refused(desk: Desk) -> None:
    every = [IntervalSchedule(seconds) for seconds in range(3600, 3701)]
    with pytest.raises(DeploymentApplyError, match="101 schedules, and 100 are the most"):
        await desk.deploy(*every)
    assert len((await desk.deploy(*every[:100])).schedules) == 100


async def test_parameters_that_cannot_fit_are_refused_at_once(desk: Desk) -> None:
    with pytest.raises(ParameterError, match="port"):
        await desk.deploy(parameter_schema=TAKES_A_PORT, parameters={"port": []})
    assert await desk.deploy(parameter_schema=TAKES_A_PORT), "one that is missing may come with the run"


async def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    gone = await desk.deploy()
    await desk.delete(gone)

    for ask in (desk.pause, desk.resume, desk.delete, desk.run_deployment):
        with pytest.raises(DeploymentNotFound, match=str(gone.id)):
            await ask(gone)
    with pytest.raises(DeploymentNotFound, match=str(gone.id)):
        await desk.ask(endpoints.READ_DEPLOYMENT, requests.ReadDeployment(deployment_id=gone.id))


# --- what is planned


async def test_the_next_runs_are_planned_with_the_deployment(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(
        HOURLY,
        parameters={"port": 8000},
        tags=frozenset({"a"}),
        version="1.2",
        retry=RetryPolicy(retries=1),
        hooked=frozenset({StateType.FAILED}),
    )
    runs = await desk.runs(deployment)

    assert hours(runs) == list(range(1, AHEAD + 1))
    first = runs[0]
    identity = schedule_identity("audit", "main", HOURLY)
    assert first == FlowRun(
        id=first.id,
        flow_id=deployment.flow_id,
        name=first.name,
        root_id=first.id,
        state=first.state,
        version=1,
        retry=RetryPolicy(retries=1),
        times=evolve(first.times, expected_start=MIDNIGHT + timedelta(hours=1)),
        parameters={"port": 8000},
        tags=frozenset({"a"}),
        deployment_id=deployment.id,
        entrypoint="flows.py:audit",
        flow_version="1.2",
        fire_key=fire_key(identity, MIDNIGHT + timedelta(hours=1)),
        hooked=frozenset({StateType.FAILED}),
        created=world.at,
    )
    assert first.times.next_scheduled_start == first.times.expected_start
    assert await desk.names(first.id) == ["Scheduled"]


async def test_two_equal_schedules_of_a_deployment_are_one(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(HOURLY, CronSchedule("@hourly"), DAILY)

    assert [kept.schedule for kept in deployment.schedules] == [HOURLY, DAILY]
    assert len(await desk.runs(deployment)) == 2 * AHEAD


async def test_equal_schedules_of_two_deployments_are_two(desk: Desk, world: World) -> None:
    first, second = await desk.deploy(HOURLY, name="a"), await desk.deploy(HOURLY, name="b")

    assert len(await desk.runs(first)) == len(await desk.runs(second)) == AHEAD


async def test_applied_again_as_it_was_it_keeps_its_runs(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(HOURLY)
    before = await desk.runs(deployment)
    await desk.deploy(HOURLY)

    assert await desk.runs(deployment) == before


async def test_an_edit_reaches_the_runs_that_are_planned_and_no_others(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(HOURLY, parameters={"port": 1})
    begun, *planned = await desk.runs(deployment)
    begun = (await desk.claim(begun.id)).run
    await desk.deploy(HOURLY, parameters={"port": 2}, version="2", entrypoint="flows.py:other")

    changed = {"parameters": {"port": 2}, "flow_version": "2", "entrypoint": "flows.py:other"}
    assert await desk.runs(deployment) == [begun, *(evolve(run, **changed) for run in planned)]


async def test_the_planned_runs_of_a_schedule_that_goes_go_with_it(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(HOURLY, DAILY)
    begun = (await desk.claim((await desk.runs(deployment))[0].id)).run
    await desk.deploy(DAILY)

    runs = await desk.runs(deployment)
    assert runs[0] == begun
    assert hours(runs[1:]) == [12 + 24 * day for day in range(AHEAD)]
    assert await desk.rows("SELECT count(*) FROM states WHERE run_id NOT IN (SELECT id FROM flow_runs)") == [
        (0,)
    ]


async def test_a_schedule_that_comes_and_goes_leaves_alone_what_it_has_begun(
    desk: Desk, world: World
) -> None:
    """P5: a fire has one run, also across edit, deletion and re-creation."""
    deployment = await desk.deploy(HOURLY)
    begun = (await desk.claim((await desk.runs(deployment))[0].id)).run
    await desk.deploy(DAILY)
    await desk.deploy(HOURLY)
    await desk.delete(deployment)
    again = await desk.deploy(HOURLY)

    assert again.id != deployment.id
    assert await desk.runs(deployment) == [begun]
    assert hours(await desk.runs(again)) == list(range(2, AHEAD + 1))


async def test_with_a_deployment_goes_what_it_has_planned_and_what_nobody_will_start(
    desk: Desk, world: World
) -> None:
    deployment = await desk.deploy(HOURLY)
    begun = (await desk.claim((await desk.runs(deployment))[0].id)).run
    asked = (await desk.run_deployment(deployment)).run
    await desk.delete(deployment)

    assert {run.id: run.state.name for run in await desk.runs(deployment)} == {
        begun.id: "Pending",
        asked.id: "Cancelled",
    }
    assert await desk.rows("SELECT * FROM schedules") == []


# --- pausing


async def test_a_paused_schedule_has_nothing_planned_and_makes_up_for_nothing(
    desk: Desk, world: World
) -> None:
    deployment = await desk.deploy(DeploymentSchedule(schedule=HOURLY, catch_up=CatchUp(10)))
    paused = await desk.pause(deployment)
    assert [kept.paused_by for kept in paused.schedules] == [PausedBy.OPERATOR]
    assert await desk.runs(deployment) == []

    world.forward(hours=5)
    assert (await desk.deploy(HOURLY)).schedules[0].paused_by is PausedBy.OPERATOR
    assert await desk.runs(deployment) == []

    assert (await desk.resume(deployment)).schedules == (DeploymentSchedule(schedule=HOURLY),)
    assert hours(await desk.runs(deployment)) == list(range(6, AHEAD + 6))


async def test_a_pause_that_is_made_up_for_leaves_out_what_a_downtime_of_that_length_would(
    desk: Desk, world: World
) -> None:
    deployment = await desk.deploy(DeploymentSchedule(schedule=HOURLY, catch_up=CatchUp(2)))
    await desk.pause(deployment, PausedBy.RUNNER)
    world.forward(hours=5)
    await desk.resume(deployment, PausedBy.RUNNER, makes_up=True)

    assert hours(await desk.runs(deployment)) == list(range(4, AHEAD + 6))


async def test_what_has_begun_goes_on_while_its_schedule_is_paused(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(HOURLY)
    begun = (await desk.claim((await desk.runs(deployment))[0].id)).run
    asked = (await desk.run_deployment(deployment)).run
    await desk.pause(deployment)

    assert await desk.runs(deployment) == [asked, begun]


@pytest.mark.behaviour("QK-12")
async def test_the_runner_resumes_what_it_has_paused_and_leaves_the_operators_alone(
    desk: Desk, world: World
) -> None:
    by_hand = DeploymentSchedule(schedule=DAILY, paused_by=PausedBy.OPERATOR)
    deployment = await desk.deploy(HOURLY, by_hand)
    paused = await desk.pause(deployment, PausedBy.RUNNER)
    assert [kept.paused_by for kept in paused.schedules] == [PausedBy.RUNNER, PausedBy.OPERATOR]

    resumed = await desk.resume(deployment, PausedBy.RUNNER)
    assert [kept.paused_by for kept in resumed.schedules] == [None, PausedBy.OPERATOR]
    assert hours(await desk.runs(deployment)) == list(range(1, AHEAD + 1))


async def test_the_operators_word_weighs_more(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(HOURLY)
    await desk.pause(deployment, PausedBy.RUNNER)
    await desk.pause(deployment)
    assert (await desk.resume(deployment, PausedBy.RUNNER)).schedules[0].paused_by is PausedBy.OPERATOR
    assert await desk.runs(deployment) == []

    await desk.pause(deployment, PausedBy.RUNNER)
    assert (await desk.resume(deployment)).schedules[0].paused_by is None


async def test_resuming_what_fires_already_settles_nothing(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(DeploymentSchedule(schedule=HOURLY, catch_up=CatchUp(10)))
    before = await desk.rows("SELECT looked FROM schedules")
    world.forward(minutes=1)
    await desk.resume(deployment)

    assert await desk.rows("SELECT looked FROM schedules") == before
