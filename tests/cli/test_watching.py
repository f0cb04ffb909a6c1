"""A run that another process executes is watched: its words as they come, and its end."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
import trio

from tests.cli.conftest import creation
from trioflow import clock
from trioflow.cli.concluding import conclude
from trioflow.cli.screens import PlainScreen, SilentScreen
from trioflow.cli.watching import follow_elsewhere
from trioflow.client.connect import serve_store
from trioflow.core.states import Completed, Failed, Pending, Running
from trioflow.settings import Settings, use_settings
from trioflow.store.sqlite import open_memory
from trioflow.wire import endpoints, requests

RUN, TASK = UUID(int=0xABC), UUID(int=0xDEF)


@pytest.fixture
async def client(nursery, tmp_path):
    with use_settings(Settings(home=tmp_path)):
        yield await nursery.start(serve_store, open_memory())


def says(message, task=None):
    return requests.LogRecord(
        flow_run_id=RUN,
        task_run_id=task,
        logger="trioflow",
        level=20,
        message=message,
        at=datetime(2026, 3, 1, tzinfo=UTC),
    )


async def go_on(client, *ends):
    """Another process: it begins a task, speaks, and ends the run."""
    await trio.sleep(2)
    await propose(client, Running())
    begin = requests.BeginTaskRun(
        id=TASK,
        task_key="pack",
        dynamic_key="0",
        name="pack-0",
        state=Running(),
        transition_id=clock.new_id(),
        flow_run_id=RUN,
        root_id=RUN,
    )
    await client.call(endpoints.BEGIN_TASK_RUN, begin)
    await client.call(endpoints.APPEND_LOGS, requests.AppendLogs(records=(says("one"), says("two", TASK))))
    await trio.sleep(10)
    for end in ends:
        await propose(client, end)
        await trio.sleep(0.1)
        await client.call(endpoints.APPEND_LOGS, requests.AppendLogs(records=(says("three"),)))


async def propose(client, state):
    request = requests.ProposeFlowRunState(run_id=RUN, state=state, transition_id=clock.new_id())
    await client.call(endpoints.PROPOSE_FLOW_RUN_STATE, request)


async def watched(client, end, screen, *, quiet=False):
    answer = await client.call(endpoints.CREATE_FLOW_RUN, creation(RUN.int, "brave-otter", Pending()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(go_on, client, end)
        return await follow_elsewhere(client, answer.run, "greet", screen, quiet=quiet)


async def test_what_the_run_says_is_told_once_in_order_and_with_its_last_words(
    client, autojump_clock, capsys
):
    outcome = await watched(client, Completed(), PlainScreen())

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Flow run 'brave-otter' (00000abc) of flow 'greet'"
    assert [line.rpartition(" | ")[2] for line in lines[1:]] == [
        "one",
        "pack-0 - two",
        "Running for 5.00 s · 0 of 1 task · 1 running",
        "three",
    ]
    assert (outcome.state.name, outcome.seconds) == ("Completed", 12)
    assert conclude(outcome, quiet=True) == 0


async def test_a_run_that_fails_is_told_and_counted_as_that(client, autojump_clock, capsys):
    outcome = await watched(client, Failed(message="It broke."), SilentScreen(), quiet=True)

    assert capsys.readouterr().err == ""
    assert conclude(outcome, quiet=True) == 1
    assert "It broke." in capsys.readouterr().err
