"""A runner is told what it may start: in order, none twice, and of runs that must not overlap whose turn it is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.orchestrator.conftest import ELSEWHERE, MIDNIGHT, Desk, World
from tests.orchestrator.test_deployments import HOURLY, hours
from trioflow import clock
from trioflow.core.deployments import Deployment, DeploymentSchedule
from trioflow.core.runs import FlowRun, RetryPolicy
from trioflow.core.schedules import CronSchedule, IntervalSchedule
from trioflow.core.schedules.window import CatchUp, Overlap
from trioflow.core.states import Completed, Failed, Paused, Running, State, Suspended
from trioflow.core.verdicts import Abort, Accept
from trioflow.errors import TrioflowBug
from trioflow.orchestrator.desk import DOWNTIME
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.orchestrator.ready import Survey, _when, reply_at_once
from trioflow.orchestrator.turns import schedule_of
from trioflow.processes import this_process
from trioflow.store.store import Store
from trioflow.wire import endpoints, requests
from trioflow.wire.replies import ReadyRuns

EACH_MINUTE = IntervalSchedule(60)
NEVER_TWO = [Overlap.SKIP, Overlap.BUFFER_ONE, Overlap.CANCEL_OTHER]


@pytest.fixture(autouse=True)
def starts_at_midnight(world: World) -> None:
    world.at = MIDNIGHT


@pytest.fixture(params=[DOWNTIME, timedelta(days=1)], ids=["looked-at-long-ago", "looked-at-just-now"])
async def desk(store: Store, request: pytest.FixtureRequest) -> Desk:
    """One that takes every minute for a downtime and plans anew, and one that answers from what is planned."""
    orchestrator = Orchestrator(store, downtime=request.param)
    await orchestrator.open()
    return Desk(orchestrator)


async def deploy(desk: Desk, overlap: Overlap, name: str = "main") -> Deployment:
    kept = DeploymentSchedule(schedule=EACH_MINUTE, overlap=overlap, catch_up=CatchUp(10))
    return await desk.deploy(kept, name=name)


def minutes(runs: tuple[FlowRun, ...] | list[FlowRun]) -> list[float]:
    return [each * 60 for each in hours(list(runs))]


async def ready(desk: Desk, *deployments: Deployment) -> list[float]:
    """When the runs that may be started now were due, in minutes after midnight."""
    return minutes((await desk.ready(*deployments)).runs)


async def begin(desk: Desk, deployment: Deployment) -> FlowRun:
    """Start the first run that is ready."""
    run = (await desk.ready(deployment)).runs[0]
    claimed = await desk.claim(run.id)
    assert isinstance(claimed.verdict, Accept)
    return (await desk.propose(run.id, Running(), epoch=claimed.run.epoch)).run


async def states(desk: Desk, deployment: Deployment) -> dict[float, str]:
    """What became of the runs that are not planned any more, by when they were due."""
    runs = await desk.runs(deployment)
    return {
        due: run.state.name
        for due, run in zip(minutes(runs), runs, strict=True)
        if run.state.name != "Scheduled"
    }


# --- what is ready


@pytest.mark.behaviour("RL-04")
async def test_what_is_due_within_the_time_is_ready_and_what_comes_next_is_told(
    desk: Desk, world: World
) -> None:
    deployment = await deploy(desk, Overlap.ALLOW)
    other = await desk.deploy(HOURLY, name="other")
    world.forward(seconds=55)
    assert await desk.ready(deployment) == ReadyRuns((), MIDNIGHT + timedelta(minutes=1))

    found = await desk.ready(deployment, within=10)
    assert minutes(found.runs) == [1]
    assert found.next_due == MIDNIGHT + timedelta(minutes=2)
    assert await desk.ready(other, within=10) == ReadyRuns((), MIDNIGHT + timedelta(hours=1))
    assert await desk.ready(within=10) == ReadyRuns((), None)


@pytest.mark.behaviour("RL-04", "RL-05")
async def test_runs_are_told_in_the_order_in_which_they_are_due(desk: Desk, world: World) -> None:
    first = await deploy(desk, Overlap.ALLOW, "first")
    second = await desk.deploy(
        DeploymentSchedule(schedule=IntervalSchedule(90), catch_up=CatchUp(10)), name="second"
    )
    asked = (await desk.run_deployment(second)).run
    world.forward(minutes=3)

    found = (await desk.ready(second, first)).runs
    assert minutes(found) == [0, 1, 1.5, 2, 3, 3]
    assert found[0].id == asked.id
    assert list(found[4:]) == sorted(found[4:], key=lambda run: run.id)
    assert (await desk.ready(second, first, limit=3)).runs == found[:3]


async def test_a_run_that_somebody_owns_is_not_ready(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(retry=RetryPolicy(retries=1))
    run = (await desk.claim((await desk.run_deployment(deployment)).run.id)).run
    await desk.propose(run.id, Running(), epoch=run.epoch)
    retried = (await desk.propose(run.id, Failed(), epoch=run.epoch)).run
    assert retried.state.name == "AwaitingRetry"
    assert await desk.ready(deployment) == ReadyRuns((), None), "its process sleeps, and goes on by itself"

    await desk.ask(endpoints.END_LEASE, requests.EndLease(run_id=run.id, epoch=run.epoch))
    assert (await desk.ready(deployment)).runs == (retried,)


async def test_a_run_whose_time_has_not_come_is_told_when_it_will(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(retry=RetryPolicy(retries=1, delays=(300.0,)))
    run = (await desk.claim((await desk.run_deployment(deployment)).run.id)).run
    await desk.propose(run.id, Running(), epoch=run.epoch)
    closed = await desk.close(run, Failed())
    assert closed.run.state.name == "AwaitingRetry"
    assert await desk.ready(deployment) == ReadyRuns((), MIDNIGHT + timedelta(minutes=5))


# --- taking turns


async def test_where_overlaps_are_allowed_every_run_starts(desk: Desk, world: World) -> None:
    deployment = await deploy(desk, Overlap.ALLOW)
    world.forward(minutes=1)
    await begin(desk, deployment)
    world.forward(minutes=2)
    assert await ready(desk, deployment) == [2, 3]


async def test_skip_drops_what_is_due_while_another_goes_on(desk: Desk, world: World) -> None:
    deployment = await deploy(desk, Overlap.SKIP)
    world.forward(minutes=1)
    run = await begin(desk, deployment)
    world.forward(minutes=2)
    assert await ready(desk, deployment) == []
    assert await states(desk, deployment) == {1: "Running", 2: "Cancelled", 3: "Cancelled"}
    dropped = (await desk.runs(deployment))[1].state
    assert (dropped.message, dropped.details.cause) == (
        "Skipped: an earlier run of its schedule was going on.",
        "skipped",
    )

    await desk.propose(run.id, Completed(), epoch=run.epoch)
    world.forward(minutes=1)
    assert await ready(desk, deployment) == [4]


async def test_skip_keeps_the_first_of_those_that_are_due_at_once(desk: Desk, world: World) -> None:
    deployment = await deploy(desk, Overlap.SKIP)
    world.forward(minutes=3)
    assert await ready(desk, deployment) == [1]
    assert await states(desk, deployment) == {2: "Cancelled", 3: "Cancelled"}


async def test_buffer_one_keeps_one_waiting(desk: Desk, world: World) -> None:
    deployment = await deploy(desk, Overlap.BUFFER_ONE)
    world.forward(minutes=1)
    run = await begin(desk, deployment)
    world.forward(minutes=3)
    assert await ready(desk, deployment) == []
    assert await states(desk, deployment) == {1: "Running", 3: "Cancelled", 4: "Cancelled"}

    await desk.propose(run.id, Completed(), epoch=run.epoch)
    assert await ready(desk, deployment) == [2]


async def test_cancel_other_asks_the_running_one_to_end_and_then_starts_the_newest(
    desk: Desk, world: World
) -> None:
    deployment = await deploy(desk, Overlap.CANCEL_OTHER)
    world.forward(minutes=1)
    run = await begin(desk, deployment)
    world.forward(minutes=2)
    for _ in range(2):
        assert await ready(desk, deployment) == []
        assert await states(desk, deployment) == {1: "Cancelling", 2: "Cancelled"}
    assert await desk.names(run.id) == ["Scheduled", "Pending", "Running", "Cancelling"]
    assert (await desk.flow_run(run.id)).state.message == "The next run of its schedule is due."

    await desk.close(run, Completed())
    assert await ready(desk, deployment) == [3]


@pytest.mark.parametrize("overlap", NEVER_TWO)
async def test_nobody_is_dropped_or_cancelled_for_a_run_that_is_not_due_yet(
    desk: Desk, world: World, overlap: Overlap
) -> None:
    deployment = await deploy(desk, overlap)
    world.forward(minutes=1)
    await begin(desk, deployment)
    world.forward(seconds=50)

    assert await desk.ready(deployment, within=100) == ReadyRuns((), MIDNIGHT + timedelta(minutes=2))
    assert await states(desk, deployment) == {1: "Running"}


@pytest.mark.parametrize("overlap", NEVER_TWO)
async def test_the_first_of_those_that_are_due_soon_is_told_early(
    desk: Desk, world: World, overlap: Overlap
) -> None:
    deployment = await deploy(desk, overlap)
    found = await desk.ready(deployment, within=120)
    assert minutes(found.runs) == [1]
    assert found.next_due == MIDNIGHT + timedelta(minutes=2)


@pytest.mark.parametrize("overlap", NEVER_TWO)
@pytest.mark.parametrize("pausing", [Paused(), Suspended()], ids=["paused", "suspended"])
async def test_a_run_that_is_paused_is_going_on(
    desk: Desk, world: World, overlap: Overlap, pausing: State
) -> None:
    deployment = await deploy(desk, overlap)
    world.forward(minutes=1)
    run = await begin(desk, deployment)
    await desk.propose(run.id, pausing, epoch=run.epoch)
    world.forward(minutes=1)
    assert 2 not in await ready(desk, deployment)


@pytest.mark.parametrize("overlap", NEVER_TWO)
async def test_a_run_that_awaits_its_retry_goes_on_and_is_not_in_its_own_way(
    desk: Desk, world: World, overlap: Overlap
) -> None:
    deployment = await deploy(desk, overlap)
    await desk.deploy(*deployment.schedules, retry=RetryPolicy(retries=1))
    world.forward(minutes=1)
    run = await begin(desk, deployment)
    await desk.close(run, Failed())
    assert await ready(desk, deployment) == [1]
    assert isinstance((await desk.claim(run.id)).verdict, Accept)


async def test_runs_that_somebody_asked_for_wait_for_nobody(desk: Desk, world: World) -> None:
    deployment = await deploy(desk, Overlap.SKIP)
    world.forward(minutes=1)
    await begin(desk, deployment)
    asked = (await desk.run_deployment(deployment)).run
    assert [run.id for run in (await desk.ready(deployment)).runs] == [asked.id]
    assert isinstance((await desk.claim(asked.id)).verdict, Accept)


async def test_each_schedule_of_a_deployment_takes_its_own_turns(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(
        DeploymentSchedule(schedule=EACH_MINUTE, overlap=Overlap.SKIP),
        DeploymentSchedule(schedule=CronSchedule("* * * * *"), overlap=Overlap.SKIP),
        DeploymentSchedule(schedule=CronSchedule("*/1 * * * *", "Europe/Berlin")),
    )
    world.forward(minutes=1)
    assert await ready(desk, deployment) == [1, 1, 1]


# --- answers at once


async def at_once(desk: Desk, *deployments: Deployment) -> ReadyRuns | None:
    """What a snapshot tells to who asks for what is ready now, where nothing has to be written first."""
    request = requests.FindReadyRuns(
        deployment_ids=frozenset(deployment.id for deployment in deployments), before=clock.now()
    )
    lately = timedelta(minutes=10)
    return await desk.orchestrator.store.read(lambda tx: reply_at_once(tx, request, clock.now(), lately))


async def test_an_answer_that_drops_nobody_is_given_from_a_snapshot(desk: Desk, world: World) -> None:
    deployment = await deploy(desk, Overlap.SKIP)
    assert await at_once(desk, deployment) == ReadyRuns((), MIDNIGHT + timedelta(minutes=1))
    world.forward(minutes=1)
    assert minutes((await at_once(desk, deployment)).runs) == [1]
    world.forward(minutes=2)
    assert await at_once(desk, deployment) is None, "two are to be dropped"
    world.forward(minutes=10)
    assert await at_once(desk, deployment) is None, "nobody has looked for too long"


async def test_who_was_asked_to_end_is_not_asked_again(desk: Desk, world: World) -> None:
    deployment = await deploy(desk, Overlap.CANCEL_OTHER)
    world.forward(minutes=1)
    await begin(desk, deployment)
    world.forward(minutes=1)
    assert await at_once(desk, deployment) is None
    assert await ready(desk, deployment) == []
    assert await at_once(desk, deployment) == ReadyRuns((), MIDNIGHT + timedelta(minutes=3))


async def test_there_is_nothing_to_write_where_nobody_is_dropped_or_cancelled() -> None:
    run = FlowRun(id=clock.new_id(), flow_id=clock.new_id(), name="x", root_id=clock.new_id())
    reply = ReadyRuns((), None)
    surveys = [
        Survey(reply=reply, drop=drop, cancel=cancel) for drop in ((), (run,)) for cancel in ((), (run,))
    ]
    assert [survey.is_quiet for survey in surveys] == [True, False, False, False]


async def test_one_place_does_not_keep_those_from_being_dropped_whose_turn_it_is_not(
    desk: Desk, world: World
) -> None:
    deployment = await deploy(desk, Overlap.SKIP)
    world.forward(minutes=3)
    assert minutes((await desk.ready(deployment, limit=1)).runs) == [1]
    assert await states(desk, deployment) == {2: "Cancelled", 3: "Cancelled"}


async def test_who_is_not_due_is_not_in_the_way_of_who_is(desk: Desk, world: World) -> None:
    deployments = [
        await desk.deploy(HOURLY if number % 2 else EACH_MINUTE, name=str(number)) for number in range(4)
    ]
    world.forward(minutes=1)
    assert await ready(desk, *deployments) == [1, 1]


async def test_a_run_that_waits_for_no_time_is_a_bug_of_ours() -> None:
    run = FlowRun(id=clock.new_id(), flow_id=clock.new_id(), name="x", root_id=clock.new_id())
    with pytest.raises(TrioflowBug, match=f"^run {run.id} waits, and nobody knows what for"):
        _when(run)


# --- claims of two runners


@pytest.mark.promise("P5")
@pytest.mark.parametrize("overlap", NEVER_TWO)
async def test_of_two_runners_that_were_told_at_once_one_claims(
    desk: Desk, world: World, overlap: Overlap
) -> None:
    deployment = await deploy(desk, overlap)
    runs = await desk.runs(deployment)
    first = await desk.claim(runs[0].id)
    second = await desk.claim(runs[1].id, ELSEWHERE)

    reason = f"Another run of its schedule is going on ({runs[0].name}), and they do not overlap."
    assert isinstance(first.verdict, Accept)
    assert second.verdict == Abort(reason, runs[1].state)
    assert await desk.flow_run(runs[1].id) == runs[1]

    await desk.close(first.run, Completed())
    assert isinstance((await desk.claim(runs[1].id, ELSEWHERE)).verdict, Accept)


@pytest.mark.promise("P5")
async def test_a_claim_is_not_in_the_way_of_another_schedule_nor_of_its_own_next_run(
    desk: Desk, world: World
) -> None:
    """Both schedules belong to one deployment; what ends is judged together with the claim that follows."""
    deployment = await desk.deploy(
        DeploymentSchedule(schedule=EACH_MINUTE, overlap=Overlap.SKIP),
        DeploymentSchedule(schedule=CronSchedule("* * * * *"), overlap=Overlap.SKIP),
    )
    runs = await desk.runs(deployment)
    mine = [run for run in runs if schedule_of(run) == schedule_of(runs[0])]
    others = [run for run in runs if schedule_of(run) != schedule_of(runs[0])]
    first = (await desk.claim(mine[0].id)).run
    assert isinstance((await desk.claim(others[0].id)).verdict, Accept)

    end = requests.ProposeFlowRunState(
        run_id=first.id, state=Completed(), transition_id=clock.new_id(), epoch=first.epoch
    )
    claim = requests.ClaimFlowRun(run_id=mine[1].id, owner=this_process(), transition_id=clock.new_id())
    answers = await desk.together(end, claim)
    assert [type(answer.verdict) for answer in answers] == [Accept, Accept]


@pytest.mark.promise("P5")
async def test_so_it_is_when_both_claims_are_judged_at_once(desk: Desk, world: World) -> None:
    deployment = await deploy(desk, Overlap.SKIP)
    first, second, *_ = await desk.runs(deployment)
    claims = [
        requests.ClaimFlowRun(run_id=run.id, owner=this_process(), transition_id=clock.new_id())
        for run in (first, second, first)
    ]
    answers = await desk.together(*claims)
    assert [type(answer.verdict) for answer in answers] == [Accept, Abort, Abort]
