"""A run that somebody asks a deployment for has its parameters; and what the loaded flow says is written to it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.orchestrator.conftest import DEAD, ELSEWHERE, Desk, World, evolve
from tests.orchestrator.test_deployments import HOURLY, TAKES_A_PORT
from trioflow import clock
from trioflow.core.runs import FlowRun, RetryPolicy
from trioflow.core.states import Pending, Running, StateType
from trioflow.core.verdicts import Accept
from trioflow.errors import ParameterError, RunAborted
from trioflow.wire import endpoints, requests

# --- a run that is asked for


async def test_a_run_that_is_asked_for_has_its_own_parameters_over_the_deployments(
    desk: Desk, world: World
) -> None:
    deployment = await desk.deploy(
        parameters={"port": 1, "host": "a"}, tags=frozenset({"a"}), retry=RetryPolicy(retries=1), version="2"
    )
    later = world.at + timedelta(hours=2)
    id_, transition = clock.new_id(), clock.new_id()
    ask = {"id": id_, "transition_id": transition, "parameters": {"port": 2}, "tags": frozenset({"b"})}
    answer = await desk.run_deployment(deployment, scheduled_time=later, **ask)
    again = await desk.run_deployment(deployment, scheduled_time=later, **ask)

    assert isinstance(answer.verdict, Accept)
    assert answer.run == again.run == (await desk.flow_run(id_))
    assert answer.run == FlowRun(
        id=id_,
        flow_id=deployment.flow_id,
        name="asked-for",
        root_id=id_,
        state=answer.run.state,
        version=1,
        retry=RetryPolicy(retries=1),
        times=evolve(answer.run.times, expected_start=later, next_scheduled_start=later),
        parameters={"port": 2, "host": "a"},
        tags=frozenset({"a", "b"}),
        deployment_id=deployment.id,
        entrypoint="flows.py:audit",
        flow_version="2",
        created=world.at,
    )


async def test_a_run_whose_parameters_do_not_fit_is_refused_where_the_deployment_says_so(desk: Desk) -> None:
    deployment = await desk.deploy(parameter_schema=TAKES_A_PORT)
    with pytest.raises(ParameterError, match="port is missing"):
        await desk.run_deployment(deployment)
    assert await desk.runs(deployment) == []

    await desk.deploy(parameter_schema=TAKES_A_PORT, enforce_parameter_schema=False)
    assert isinstance((await desk.run_deployment(deployment)).verdict, Accept)


# --- what the loaded flow says


async def test_what_the_loaded_flow_says_is_written_to_its_run(desk: Desk, world: World) -> None:
    deployment = await desk.deploy()
    run = (await desk.claim((await desk.run_deployment(deployment)).run.id)).run
    told = {
        "retry": RetryPolicy(retries=3),
        "flow_version": "3",
        "hooked": frozenset({StateType.CRASHED}),
        "timeout": 1.5,
    }
    prepare = requests.PrepareFlowRun(run_id=run.id, epoch=run.epoch, **told)
    assert await desk.ask(endpoints.PREPARE_FLOW_RUN, prepare) == evolve(run, **told)
    assert await desk.flow_run(run.id) == evolve(run, **told)


@pytest.mark.promise("P13")
async def test_an_owner_of_the_past_prepares_nothing(desk: Desk) -> None:
    run = (await desk.create(DEAD, state=Pending(), deployment_id=clock.new_id())).run
    claimed = (await desk.claim(run.id, ELSEWHERE)).run
    prepare = requests.PrepareFlowRun(
        run_id=run.id, epoch=run.epoch, retry=RetryPolicy(), flow_version=None, hooked=frozenset(), timeout=1
    )
    with pytest.raises(RunAborted, match="epoch 1 of the run, which is in epoch 3"):
        await desk.ask(endpoints.PREPARE_FLOW_RUN, prepare)
    assert await desk.flow_run(run.id) == claimed


async def test_a_created_run_says_its_hooks_and_its_timeout(desk: Desk) -> None:
    given = {"hooked": frozenset({StateType.FAILED}), "timeout": 2.5}
    run = (await desk.create(state=Running(), **given)).run

    assert (run.hooked, run.timeout) == (frozenset({StateType.FAILED}), 2.5)
    assert await desk.flow_run(run.id) == run


async def test_runs_that_are_scheduled_for_later_can_be_left_out(desk: Desk, world: World) -> None:
    deployment = await desk.deploy(HOURLY)
    now = (await desk.run_deployment(deployment)).run
    begun = (await desk.claim((await desk.runs(deployment))[1].id)).run

    due = world.at + timedelta(seconds=1)
    assert await desk.runs(deployment, due_before=due) == [now, begun]
