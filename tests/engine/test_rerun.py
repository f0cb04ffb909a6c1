"""Reruns: a run is taken up where it ended; what it recorded is returned, only the rest runs."""

from __future__ import annotations

import signal
import subprocess
import sys
from uuid import UUID

import pytest
import trio

from trioflow import clock, current_flow_run, flow, rerun, run, task
from trioflow.client.connect import current_client
from trioflow.core.runs import NO_RETRIES, RetryPolicy
from trioflow.core.states import Scheduled, StateType
from trioflow.engine.entrypoints import load_flow
from trioflow.errors import (
    FlowDefinitionError,
    ParameterError,
    RunAborted,
    RunIsOwned,
    RunNotFound,
    UnreadableResult,
)
from trioflow.settings import Settings, use_settings
from trioflow.wire.endpoints import CREATE_FLOW_RUN, FIND_FLOW_RUNS
from trioflow.wire.filters import FlowRunFilter
from trioflow.wire.requests import CreateFlowRun, FindFlowRuns

CALLS = []
"""What was computed, in order."""


@pytest.fixture(autouse=True)
def _nothing_called():
    CALLS.clear()


@task
async def costly(x):
    CALLS.append(f"costly {x}")
    return x * 10


@task
async def fragile():
    CALLS.append("fragile")
    if CALLS.count("fragile") == 1:
        raise ValueError("first")
    return "fine"


@flow
async def pipeline(xs: list[int]):
    futures = costly.map(xs)
    return [await fragile(), *[await future for future in futures]]


async def failed(books, call):
    """The run that this call made, and that failed."""
    with pytest.raises(ValueError, match="first"):
        await call
    return await books.flow_run()


@pytest.mark.promise("P12")
@pytest.mark.behaviour("TO-06")
async def test_only_what_is_not_recorded_runs_again(books):
    before = await failed(books, pipeline(["1", 2]))

    assert await rerun(pipeline, before.id) == ["fine", 10, 20]

    assert sorted(CALLS) == ["costly 1", "costly 2", "fragile", "fragile"]
    after = await books.flow_run()
    assert (after.id, after.attempt, after.state.type) == (before.id, 2, StateType.COMPLETED)
    assert after.epoch > before.epoch


async def test_a_completed_run_may_run_again_and_computes_nothing(books):
    CALLS.append("fragile")
    await pipeline([1])
    CALLS.clear()

    state = await rerun(pipeline, str((await books.flow_run()).id), return_state=True)

    assert (state.name, CALLS) == ("Completed", [])


async def test_what_is_not_run_again_calls_no_hooks(books):
    hooked = []

    async def hook(task, task_run, state):
        hooked.append(task_run.name)

    @flow(name="hooked")
    async def hooks():
        await costly.with_options(on_completion=[hook])(1)
        await fragile()

    before = await failed(books, hooks())
    await rerun(hooks, before.id)

    assert hooked == ["costly-0"]


async def test_a_task_whose_result_was_not_kept_is_computed_again(books):
    @flow(name="unkept")
    async def unkept():
        await costly.with_options(persist_result=False)(1)
        await fragile()

    before = await failed(books, unkept())

    await rerun(unkept, before.id)

    assert CALLS == ["costly 1", "fragile", "costly 1", "fragile"]


@pytest.mark.promise("P12")
async def test_a_recorded_result_that_cannot_be_read_is_a_typed_error_and_nothing_is_computed(books, home):
    @task
    async def large():
        CALLS.append("large")
        return "x" * 100_000

    @flow(name="sizable")
    async def sizable():
        await large()
        await fragile()

    before = await failed(books, sizable())
    for file in (home / "results").iterdir():
        file.unlink()
    CALLS.clear()

    with pytest.raises(UnreadableResult, match="the recorded result of task run 'large-0' cannot be read"):
        await rerun(sizable, before.id)

    assert CALLS == []
    assert (await books.task_runs())["large-0"].state.type is StateType.COMPLETED
    assert [text for text in await books.said() if "Crash" in text] == []


async def test_a_parameter_that_was_not_recorded_fails_the_rerun_with_its_name(books):
    @flow(name="takes")
    async def takes(thing):
        await fragile()

    before = await failed(books, takes(object()))

    with pytest.raises(ParameterError, match="thing is missing"):
        await rerun(takes, before.id)

    assert (await books.flow_run()).state.message.startswith(
        "Validation of flow parameters failed with error: "
    )


async def test_parameters_come_back_as_they_were(books):
    given = {"when": clock.now(), "parts": (1, {2}), "id": UUID(int=7)}

    @flow(name="remembers")
    async def remembers(given):
        CALLS.append(given)
        await fragile()

    before = await failed(books, remembers(given))
    await rerun(remembers, before.id)

    assert [call for call in CALLS if call != "fragile"] == [given, given]


@pytest.mark.behaviour("RT-08")
@pytest.mark.parametrize(
    ("of_the_run", "of_the_flow", "attempts"),
    [(NO_RETRIES, 2, 3), (RetryPolicy(retries=1), 2, 2), (RetryPolicy(retries=2), 0, 3), (NO_RETRIES, 0, 1)],
)
async def test_a_run_is_retried_by_its_own_policy_and_without_one_by_its_flows(
    books, client, of_the_run, of_the_flow, attempts
):
    @flow(name="insists", retries=of_the_flow)
    async def insists():
        CALLS.append("insists")
        raise ValueError("always")

    scheduled = CreateFlowRun(
        id=clock.new_id(),
        flow_name="insists",
        name="by-hand",
        state=Scheduled(clock.now()),
        transition_id=clock.new_id(),
        retry=of_the_run,
    )
    await client.call(CREATE_FLOW_RUN, scheduled)

    state = await rerun(insists, scheduled.id, return_state=True)

    assert (state.type, CALLS) == (StateType.FAILED, ["insists"] * attempts)
    assert (await books.flow_run()).retry.retries == attempts - 1


@pytest.mark.behaviour("RT-08")
async def test_a_rerun_keeps_the_retries_that_the_run_was_made_with(books):
    def insists(retries):
        @flow(name="insists", retries=retries)
        async def insists():
            CALLS.append(retries)
            raise ValueError("always")

        return insists

    await insists(1)(return_state=True)
    await rerun(insists(5), (await books.flow_run()).id, return_state=True)

    assert CALLS == [1, 1, 5, 5]


async def test_a_run_that_is_being_executed_is_owned(books):
    @flow
    async def reruns_itself():
        with pytest.raises(RunIsOwned, match="Run is owned by process"):
            await rerun(reruns_itself, current_flow_run().id)

    await reruns_itself()


async def test_a_run_of_another_flow_is_refused(books):
    before = await failed(books, pipeline([]))

    with pytest.raises(FlowDefinitionError, match="is a run of flow 'pipeline', not of 'inner'"):
        await rerun(inner, before.id)


@flow
async def inner():
    await fragile()


@flow
async def outer():
    await inner()


async def test_a_subflow_is_rerun_by_the_run_that_called_it(books):
    before = await failed(books, outer())
    _, child = await books.flow_runs()

    with pytest.raises(RunAborted, match="is a subflow: rerun the run that called it"):
        await rerun(inner, child.id)

    await rerun(outer, before.id)
    assert {run.state.type for run in await books.flow_runs()} == {StateType.COMPLETED}


async def test_a_run_that_does_not_exist_is_told(client):
    with pytest.raises(RunNotFound, match=f"there is no flow run {UUID(int=5)}"):
        await rerun(pipeline, UUID(int=5))


async def test_run_calls_flows_and_tasks_alike(client):
    CALLS.append("fragile")

    assert await run(pipeline, [1]) == ["fine", 10]
    assert await run(costly, x=2) == 20


# --- after a kill


SCRIPT = """
import os, signal, sys
from pathlib import Path
import trio
from trioflow import flow, task

LOG = Path(os.environ["TRIOFLOW_HOME"], "log")

def note(text):
    with LOG.open("a") as log:
        log.write(text + "\\n")

@task
async def step(n):
    note(f"step {n}")
    return n

@task
async def dies():
    note("dies")
    if LOG.read_text().count("dies") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"

@flow
async def killed(count: int = 3):
    done = [await step(n) for n in range(count)]
    return [*done, await dies()]

if __name__ == "__main__":
    trio.run(killed)
"""


@pytest.mark.promise("P1", "P12")
def test_a_run_whose_process_was_killed_is_taken_up_in_another_one(tmp_path, monkeypatch):
    script = tmp_path / "killed_script.py"
    script.write_text(SCRIPT)
    home = tmp_path / "home"
    monkeypatch.setenv("TRIOFLOW_HOME", str(home))
    first = subprocess.run([sys.executable, script], check=False, stderr=subprocess.DEVNULL)
    assert first.returncode == -signal.SIGKILL

    async def takes_up():
        client = await current_client()
        (found,) = (await client.call(FIND_FLOW_RUNS, FindFlowRuns(filter=FlowRunFilter()))).runs
        crashed = str(found.state), found.state.details.cause
        return crashed, await rerun(load_flow(f"{script}:killed"), found.id)

    with use_settings(Settings(home=home)):
        crashed, result = trio.run(takes_up)

    assert crashed == ("Crashed('The process that ran it is gone.')", "lease_expired")
    assert result == [0, 1, 2, "alive"]
    assert (home / "log").read_text().split("\n") == ["step 0", "step 1", "step 2", "dies", "dies", ""]
