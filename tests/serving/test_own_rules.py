"""Rules of one's own: whoever serves judges by them, wherever the home is opened."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio

from trioflow import clock
from trioflow.cli.rules import tables_of
from trioflow.client.client import Client
from trioflow.client.connect import current_client, serve_store
from trioflow.core.decisions import Answer, Proposal, rule
from trioflow.core.states import Pending, StateType
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS
from trioflow.core.verdicts import Abort
from trioflow.deployments.deployment import FlowDeployment
from trioflow.errors import EntrypointError, InvalidSetting
from trioflow.runner.runner import Runner
from trioflow.serving import aserve, serve_home
from trioflow.settings import Settings, use_settings
from trioflow.store.sqlite import open_memory
from trioflow.wire import endpoints, requests

FRIDAY = "It is Friday."


@rule()
def start_nothing_on_fridays(_proposal: Proposal) -> Answer:
    return Abort(FRIDAY)


TABLE = FLOW_RUNS.with_rule(start_nothing_on_fridays, from_=None, to=StateType.PENDING)


@pytest.fixture
def settings(tmp_path: Path):
    with use_settings(Settings(home=tmp_path / "home")) as settings:
        yield settings


async def refuses(client: Client) -> bool:
    """Whether whoever judges behind this client knows of Fridays."""
    request = requests.CreateFlowRun(
        id=clock.new_id(), flow_name="f", name="f", state=Pending(), transition_id=clock.new_id()
    )
    return getattr((await client.call(endpoints.CREATE_FLOW_RUN, request)).verdict, "reason", None) == FRIDAY


async def test_a_store_a_home_and_a_service_judge_by_the_tables_that_they_are_given(settings):
    deployment = FlowDeployment(flow_name="f", name="f", entrypoint="f.py:f")
    async with trio.open_nursery() as nursery:
        store = await nursery.start(partial(serve_store, open_memory(), flow_table=TABLE))
        home = await nursery.start(partial(serve_home, settings, flow_table=TABLE))
        service = await nursery.start(partial(aserve, deployment, flow_table=TABLE))
        clients = [store, home, service.client, await current_client(flow_table=TABLE)]

        assert [await refuses(client) for client in clients] == [True] * len(clients)
        nursery.cancel_scope.cancel()


async def test_a_runner_that_opens_the_home_judges_by_its_tables_and_one_with_a_client_has_none(settings):
    async with Runner(flow_table=TABLE) as runner:
        assert await refuses(await runner._client())
    client = await current_client()

    assert not await refuses(client)
    with pytest.raises(InvalidSetting, match="judges nothing"):
        Runner(client=client, flow_table=TABLE)


RULES = """
from trioflow.core.decisions import rule
from trioflow.core.states import StateType
from trioflow.core.tables import FLOW_RUNS, TASK_RUNS

@rule()
def first(proposal): ...

@rule()
def second(proposal): ...

SMALL = FLOW_RUNS.with_rule(first, from_=StateType.PENDING, to=StateType.RUNNING)
"""


def test_the_largest_table_of_a_file_is_what_judges_those_runs_and_the_standard_one_the_others(tmp_path):
    file = tmp_path / "some_rules.py"
    file.write_text(
        f"{RULES}LARGE = SMALL.with_rule(second, from_=StateType.PENDING, to=StateType.RUNNING)\nSAME = LARGE\n"
    )
    tables = tables_of(file)

    assert {each.name for each in tables["flow_table"].added} == {"first", "second"}
    assert tables["task_table"] is TASK_RUNS


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1", "there is no table in"),
        (
            f"{RULES}OTHER = FLOW_RUNS.with_rule(second, from_=StateType.PENDING, to=StateType.RUNNING)",
            "makes several tables for the same runs, and only one can judge",
        ),
    ],
)
def test_a_file_without_a_table_or_with_two_for_the_same_runs_is_refused(tmp_path, code, said):
    file = tmp_path / f"bad_rules_{len(code)}.py"
    file.write_text(code)

    with pytest.raises(EntrypointError, match=said):
        tables_of(file)


def test_a_file_of_rules_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(EntrypointError, match="there is no file"):
        tables_of(tmp_path / "nowhere.py")
