"""Deployments in a home: made known, found by name, run by whoever serves them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
import trio
from attrs import evolve

from tests.engine.conftest import Books, VirtualWorld
from trioflow import clock, flow, run_deployment
from trioflow.client.connect import serve_store, use_client
from trioflow.core.deployments import PausedBy
from trioflow.core.states import Cancelled, StateType
from trioflow.deployments.apply import apply
from trioflow.deployments.finding import find_deployment, find_deployments
from trioflow.errors import (
    AmbiguousDeployment,
    DeploymentApplyError,
    DeploymentError,
    DeploymentNotFound,
    ParameterError,
)
from trioflow.settings import Settings, use_settings
from trioflow.store.sqlite import open_memory
from trioflow.wire.endpoints import PAUSE_SCHEDULES
from trioflow.wire.filters import DeploymentFilter
from trioflow.wire.requests import PauseSchedules


@flow
def pack(n: int, label: str = "") -> None: ...


@flow
def ship() -> None: ...


@pytest.fixture
async def client(nursery, tmp_path):
    with clock.use(VirtualWorld()), use_settings(Settings(home=tmp_path)):
        client = await nursery.start(serve_store, open_memory())
        use_client(client)
        yield client


# --- made known


async def test_what_is_applied_is_known_and_applied_again_it_is_the_same_one(client):
    first = await apply(client, pack.to_deployment("nightly", tags=["a"]))
    again = await apply(client, pack.to_deployment("nightly", parameters={"n": 2}))

    assert (again.id, again.full_name, again.parameters, again.tags) == (
        first.id,
        "pack/nightly",
        {"n": 2},
        frozenset(),
    )


@pytest.mark.behaviour("QK-11")
@pytest.mark.parametrize("when", [{"interval": 3600}, {"cron": "@hourly"}, {"rrule": "FREQ=HOURLY"}])
async def test_the_embedded_store_plans_the_runs_of_every_kind_of_schedule(client, autojump_clock, when):
    await apply(client, ship.to_deployment("hourly", **when))

    due = sorted(run.times.next_scheduled_start for run in await Books(client).flow_runs())

    assert due[:3] == [clock.now() + timedelta(hours=hours) for hours in (1, 2, 3)]


async def test_applied_again_a_schedule_stays_as_the_operator_left_it_and_a_new_one_begins_as_it_is_given(
    client,
):
    known = await apply(client, ship.to_deployment("often", interval=30))
    await client.call(PAUSE_SCHEDULES, PauseSchedules(deployment_id=known.id))

    again = await apply(client, ship.to_deployment("often", interval=[30, 60]))

    assert [each.paused_by for each in again.schedules] == [PausedBy.OPERATOR, None]


@pytest.mark.behaviour("DP-08")
async def test_what_the_home_refuses_says_why(client):
    deployment = pack.to_deployment("nightly", parameters={"n": "two"}, enforce_parameter_schema=False)

    with pytest.raises(DeploymentApplyError) as refusal:
        await apply(client, evolve(deployment, enforce_parameter_schema=True))

    assert str(refusal.value) == (
        "the deployment 'pack/nightly' was refused: the flow takes (n, label): n: 'two' is not a whole number"
    )


# --- found


async def test_a_deployment_is_found_by_id_by_full_name_and_alone_where_one_has_the_name(client):
    nightly = await apply(client, pack.to_deployment("nightly"))
    hourly = await apply(client, ship.to_deployment("hourly"))

    for asked in (nightly.id, str(nightly.id), "pack/nightly", "nightly"):
        assert await find_deployment(client, asked) == nightly
    assert await find_deployment(client, "hourly") == hourly


async def test_several_of_one_name_are_told_apart_by_their_flows(client):
    await apply(client, pack.to_deployment("nightly"))
    await apply(client, ship.to_deployment("nightly"))

    with pytest.raises(AmbiguousDeployment) as refusal:
        await find_deployment(client, "nightly")

    assert str(refusal.value) == (
        "several deployments are called 'nightly': say pack/nightly or ship/nightly"
    )


async def test_a_name_that_nobody_has_is_told_the_nearest(client):
    with pytest.raises(
        DeploymentNotFound, match="there is no deployment 'x': there is none; `trioflow serve"
    ):
        await find_deployment(client, "x")
    await apply(client, pack.to_deployment("nightly"))

    with pytest.raises(DeploymentNotFound, match="no deployment 'pack/nigthly': did you mean pack/nightly"):
        await find_deployment(client, "pack/nigthly")
    with pytest.raises(DeploymentNotFound):
        await find_deployment(client, UUID(int=7))


async def test_all_pages_of_deployments_are_read(client):
    for number in range(5):
        await apply(client, ship.to_deployment(f"n{number}"))

    found = await find_deployments(client, DeploymentFilter(limit=2))

    assert [each.name for each in found.deployments] == ["n0", "n1", "n2", "n3", "n4"]
    assert found.next_due == (None,) * 5


# --- run


async def test_a_run_is_created_with_its_parameters_over_those_of_the_deployment(client):
    await apply(client, pack.to_deployment("nightly", parameters={"n": 1, "label": "x"}, tags=["a"]))
    tomorrow = clock.now() + timedelta(days=1)

    run = await run_deployment(
        "nightly", {"n": 2}, timeout=0, flow_run_name="mine", tags=["b"], scheduled_time=tomorrow
    )

    assert (run.name, run.parameters, run.tags) == ("mine", {"n": 2, "label": "x"}, {"a", "b"})
    assert (run.state.type, run.times.next_scheduled_start) == (StateType.SCHEDULED, tomorrow)
    assert run == await Books(client).flow_run()


async def test_it_waits_for_the_end_of_the_run(client, autojump_clock):
    await apply(client, pack.to_deployment("nightly", parameters={"n": 1}))
    ended = []

    async def wait():
        ended.append(await run_deployment("nightly"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(5)
        assert ended == []
        await Books(client).propose(await Books(client).flow_run(), Cancelled())

    (run,) = ended
    assert run.state.type is StateType.CANCELLED


async def test_after_its_timeout_it_gives_the_run_as_it_is(client, autojump_clock):
    await apply(client, pack.to_deployment("nightly", parameters={"n": 1}))

    run = await run_deployment("nightly", timeout=3)

    assert run.state.type is StateType.SCHEDULED
    assert trio.current_time() == 3


async def test_parameters_that_do_not_fit_make_no_run(client):
    await apply(client, pack.to_deployment("nightly"))

    with pytest.raises(ParameterError, match="n is missing"):
        await run_deployment("nightly", timeout=0)
    with pytest.raises(ParameterError, match="n: 'x' is not a whole number"):
        await run_deployment("nightly", {"n": "x"}, timeout=0)
    with pytest.raises(DeploymentError, match="the parameter n is <object object"):
        await run_deployment("nightly", {"n": object()}, timeout=0)

    assert await Books(client).flow_runs() == []
