"""Turns: who is first where several go on or are due, and that nobody is forgotten who only waits for another try."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.orchestrator import test_ready
from tests.orchestrator.conftest import MIDNIGHT, Desk, World, evolve
from tests.orchestrator.test_ready import EACH_MINUTE, NEVER_TWO, begin, deploy, minutes, ready, states
from trioflow.core.deployments import Deployment, DeploymentSchedule
from trioflow.core.runs import FlowRun, RetryPolicy
from trioflow.core.schedules.window import CatchUp, Overlap
from trioflow.core.states import Failed
from trioflow.core.verdicts import Abort
from trioflow.orchestrator.desk import DOWNTIME
from trioflow.orchestrator.turns import going_on
from trioflow.store.rows import instant_text

desk, starts_at_midnight = test_ready.desk, test_ready.starts_at_midnight


async def two_go_on(desk: Desk, world: World, then: Overlap) -> tuple[Deployment, list[FlowRun]]:
    """Of three runs that are due, the first is RUNNING and the second PENDING, when its policy becomes stricter."""
    deployment = await deploy(desk, Overlap.ALLOW)
    world.forward(minutes=3)
    runs = list((await desk.ready(deployment)).runs)
    await begin(desk, deployment)
    await desk.claim(runs[1].id)
    return await deploy(desk, then), runs


@pytest.mark.parametrize("overlap", NEVER_TWO)
async def test_a_claim_out_of_turn_is_told_of_the_run_that_was_due_first(
    desk: Desk, world: World, overlap: Overlap
) -> None:
    _, (first, _, third) = await two_go_on(desk, world, overlap)
    refused = await desk.claim(third.id)

    reason = f"Another run of its schedule is going on ({first.name}), and they do not overlap."
    assert refused.verdict == Abort(reason, refused.run.state)
    assert await desk.names(third.id) == ["Scheduled"]


async def test_those_that_go_on_are_asked_to_end_in_the_order_in_which_they_were_due(
    desk: Desk, world: World
) -> None:
    deployment, (first, second, _) = await two_go_on(desk, world, Overlap.CANCEL_OTHER)

    assert await ready(desk, deployment) == []
    asked = await desk.rows("SELECT run_id FROM states WHERE type = 'CANCELLING' ORDER BY number")
    assert asked == [(first.id.bytes,), (second.id.bytes,)]


@pytest.mark.promise("P5")
@pytest.mark.parametrize("overlap", NEVER_TWO)
async def test_a_run_that_awaits_its_retry_in_no_process_has_its_turn_still(
    desk: Desk, world: World, overlap: Overlap
) -> None:
    kept = DeploymentSchedule(schedule=EACH_MINUTE, overlap=overlap, catch_up=CatchUp(10))
    deployment = await desk.deploy(kept, retry=RetryPolicy(retries=1))
    runs = await desk.runs(deployment)
    world.forward(minutes=1)
    await desk.close(await begin(desk, deployment), Failed())

    refused = await desk.claim(runs[1].id)

    reason = f"Another run of its schedule is going on ({runs[0].name}), and they do not overlap."
    assert refused.verdict == Abort(reason, runs[1].state)
    assert await desk.names(runs[0].id) == ["Scheduled", "Pending", "Running", "AwaitingRetry"]


@pytest.mark.promise("P5")
@pytest.mark.parametrize("overlap", NEVER_TWO)
async def test_so_it_has_in_its_own_process_when_its_deployment_was_deleted_and_made_again(
    desk: Desk, world: World, overlap: Overlap
) -> None:
    kept = DeploymentSchedule(schedule=EACH_MINUTE, overlap=overlap, catch_up=CatchUp(10))
    deployment = await desk.deploy(kept, retry=RetryPolicy(retries=1))
    world.forward(minutes=1)
    first = await begin(desk, deployment)
    await desk.propose(first.id, Failed(), epoch=first.epoch)
    await desk.delete(deployment)
    again = await desk.deploy(kept)
    runs = await desk.runs(again)

    refused = await desk.claim(runs[0].id)

    reason = f"Another run of its schedule is going on ({first.name}), and they do not overlap."
    assert refused.verdict == Abort(reason, runs[0].state)
    assert await desk.names(first.id) == ["Scheduled", "Pending", "Running", "AwaitingRetry"]


async def test_what_awaits_its_retry_in_a_process_goes_on_whoever_asks(desk: Desk) -> None:
    run = await desk.start(retry=RetryPolicy(retries=1))
    waiting = (await desk.propose(run.id, Failed(), epoch=run.epoch)).run
    store = desk.orchestrator.store
    await store.transact(lambda tx: tx.execute("UPDATE flow_runs SET fire_key = 'a@b'"))

    assert await store.read(lambda tx: going_on(tx, ())) == [evolve(waiting, fire_key="a@b")]


@pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.BUFFER_ONE])
async def test_beside_one_that_is_due_the_next_one_is_not_told_early(
    desk: Desk, world: World, overlap: Overlap
) -> None:
    deployment = await deploy(desk, overlap)
    world.forward(minutes=1)

    found = await desk.ready(deployment, within=60)

    assert (minutes(found.runs), found.next_due) == ([1], MIDNIGHT + timedelta(minutes=2))
    assert await states(desk, deployment) == {}


async def test_who_has_nothing_to_run_is_in_nobody_s_way(desk: Desk, world: World) -> None:
    deployments = [await desk.deploy(*[EACH_MINUTE] * (number % 2), name=str(number)) for number in range(4)]
    world.forward(minutes=1)
    assert await ready(desk, *deployments) == [1, 1]


async def test_a_schedule_that_was_looked_at_lately_is_not_planned_anew_where_a_run_is_dropped(
    desk: Desk, world: World
) -> None:
    deployment = await deploy(desk, Overlap.SKIP)
    world.forward(minutes=2)

    assert await ready(desk, deployment) == [1]
    assert await states(desk, deployment) == {2: "Cancelled"}
    looked = MIDNIGHT if desk.orchestrator.downtime > DOWNTIME else world.at
    assert await desk.rows("SELECT looked FROM schedules") == [(instant_text(looked),)]
