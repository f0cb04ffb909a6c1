"""A claim that takes a turn: answered again when its answer was lost, and given back when its runner dies."""

from __future__ import annotations

import pytest

from tests.orchestrator import test_ready
from tests.orchestrator.conftest import DEAD, Desk, World
from trioflow import clock
from trioflow.core.schedules.window import Overlap

desk, starts_at_midnight, deploy = test_ready.desk, test_ready.starts_at_midnight, test_ready.deploy


async def test_a_claim_whose_answer_was_lost_is_answered_again(desk: Desk, world: World) -> None:
    deployment = await deploy(desk, Overlap.SKIP)
    run, transition = (await desk.runs(deployment))[0], clock.new_id()
    first = await desk.claim(run.id, transition_id=transition)
    assert await desk.claim(run.id, transition_id=transition) == first


@pytest.mark.promise("P1")
async def test_a_claimed_run_whose_runner_died_is_ready_again(desk: Desk, world: World) -> None:
    deployment = await deploy(desk, Overlap.SKIP)
    world.forward(minutes=1)
    run = (await desk.ready(deployment)).runs[0]
    await desk.claim(run.id, DEAD)
    assert (await desk.ready(deployment)).runs == ()

    await desk.orchestrator.store.transact(desk.orchestrator._reap_the_dead)
    (again,) = (await desk.ready(deployment)).runs
    assert (again.id, again.state.name, again.epoch) == (run.id, "Scheduled", 2)
    assert again.times.next_scheduled_start == run.times.next_scheduled_start
    assert await desk.names(run.id) == ["Scheduled", "Pending", "Scheduled"]
