"""The client of a child: it may speak of its own runs only, and whoever listens learns how far it is."""

from __future__ import annotations

import math

import pytest
import trio
from attrs import evolve

from trioflow import clock
from trioflow.core.runs import NO_RETRIES, RetryPolicy
from trioflow.core.states import (
    Cancelled,
    Completed,
    Crashed,
    Failed,
    Pending,
    Running,
    Scheduled,
    StateType,
    TimedOut,
)
from trioflow.core.verdicts import Abort, Accept
from trioflow.errors import ForeignRun
from trioflow.processes import this_process
from trioflow.runner.child import HOOK_LATE_SECONDS, LEAVE_SECONDS, OVER_TIME_SECONDS, ChildClient
from trioflow.wire import endpoints, requests
from trioflow.wire.filters import FlowRunFilter

EPOCH = 1
"""The root's, which is claimed once here."""


@pytest.fixture
async def child(books, place):
    return ChildClient(books.client, await books.claimed(), place.witness, place.settings)


@pytest.fixture
async def other(books):
    """A run that is none of the child's."""
    return await books.claimed(name="calm-heron")


def task_of(run, call=0, **fields):
    given = {
        "id": clock.new_id(),
        "flow_run_id": run.id,
        "root_id": run.id,
        "task_key": "check",
        "dynamic_key": str(call),
        "name": f"check-{call}",
        "state": Running(),
        "transition_id": clock.new_id(),
        "epoch": run.epoch,
    }
    return endpoints.BEGIN_TASK_RUN, requests.BeginTaskRun(**{**given, **fields})


def subflow_of(run, **fields):
    id_ = clock.new_id()
    given = {
        "id": id_,
        "flow_name": "inner",
        "name": "keen-newt",
        "state": Pending(),
        "transition_id": id_,
        "root_id": run.id,
        "epoch": run.epoch,
    }
    return endpoints.CREATE_FLOW_RUN, requests.CreateFlowRun(**{**given, **fields})


def flow_state(run, state):
    return endpoints.PROPOSE_FLOW_RUN_STATE, requests.ProposeFlowRunState(
        run_id=run.id, state=state, transition_id=clock.new_id(), epoch=EPOCH
    )


def task_state(run, state):
    return endpoints.PROPOSE_TASK_RUN_STATE, requests.ProposeTaskRunState(
        run_id=run.id, state=state, transition_id=clock.new_id(), epoch=EPOCH
    )


def log_of(run, message="hello", task=None):
    record = requests.LogRecord(
        flow_run_id=run and run.id,
        task_run_id=task and task.id,
        logger="trioflow.flow_runs",
        level=20,
        message=message,
        at=clock.now(),
    )
    return endpoints.APPEND_LOGS, requests.AppendLogs(records=(record,))


def rename(run, name):
    return endpoints.RENAME_RUN, requests.RenameRun(run_id=run.id, name=name)


def prepare(run, **fields):
    given = {"retry": NO_RETRIES, "flow_version": None, "hooked": frozenset(), "timeout": None, **fields}
    return endpoints.PREPARE_FLOW_RUN, requests.PrepareFlowRun(run_id=run.id, epoch=run.epoch, **given)


def claim(run):
    return endpoints.CLAIM_FLOW_RUN, requests.ClaimFlowRun(
        run_id=run.id, owner=this_process(), transition_id=clock.new_id()
    )


def close(run):
    return endpoints.CLOSE_FLOW_RUN, requests.CloseFlowRun(
        run_id=run.id, epoch=run.epoch, state=Completed(), transition_id=clock.new_id()
    )


def end_lease(run):
    return endpoints.END_LEASE, requests.EndLease(run_id=run.id, epoch=run.epoch)


def settle(run):
    return endpoints.SETTLE_HOOKS, requests.SettleHooks(run_id=run.id, version=4)


# --- what it may ask


async def test_a_child_speaks_of_its_root_its_subflows_and_their_tasks(child, books):
    run = child.run
    subflow = (await child.call(*subflow_of(run))).run
    for flow_run in (run, subflow):
        assert isinstance((await child.call(*flow_state(flow_run, Running()))).verdict, Accept)
        await child.call(*rename(flow_run, "wise-lynx"))
        await child.call(*log_of(flow_run))
        task = (await child.call(*task_of(run, flow_run_id=flow_run.id))).run
        await child.call(*rename(task, "check-now"))
        await child.call(*task_state(task, Completed()))
        assert (await books.run(flow_run.id)).name == "wise-lynx"
        assert await books.said(flow_run.id) == ["hello"]


async def test_a_child_speaks_of_what_an_earlier_process_of_its_run_has_begun(child, books, place):
    run = child.run
    await child.call(*flow_state(run, Running()))
    subflow = (await child.call(*subflow_of(run))).run
    task = (await child.call(*task_of(run))).run

    later = ChildClient(books.client, run, place.witness, place.settings)
    await later.call(*log_of(subflow, "again"))
    assert isinstance((await later.call(*flow_state(subflow, Running()))).verdict, Accept)
    assert isinstance((await later.call(*task_state(task, Completed()))).verdict, Accept)


def cancelled(run):
    return flow_state(run, Cancelled())


def renamed(run):
    return rename(run, "mine")


def lone_task(run):
    return task_of(run, flow_run_id=None, root_id=None, owner=this_process())


def root_of_its_own(run):
    return subflow_of(run, root_id=None, owner=this_process())


@pytest.mark.parametrize(
    "request_of",
    [
        task_of,
        subflow_of,
        prepare,
        settle,
        log_of,
        claim,
        close,
        end_lease,
        cancelled,
        renamed,
        lone_task,
        root_of_its_own,
    ],
)
async def test_a_child_does_not_speak_of_another_run(child, other, books, request_of):
    before = (await books.run(other.id), await books.said(other.id))
    with pytest.raises(ForeignRun):
        await child.call(*request_of(other))
    assert (await books.run(other.id), await books.said(other.id)) == before


async def test_a_child_does_not_speak_of_another_runs_tasks(child, other, books):
    await books.ask(*flow_state(other, Running()))
    task = (await books.ask(*task_of(other))).run
    with pytest.raises(ForeignRun, match=f"flow run {child.run.id} speaks of another run"):
        await child.call(*task_state(task, Completed()))
    with pytest.raises(ForeignRun):
        await child.call(*rename(task, "mine"))


@pytest.mark.parametrize("request_of", [claim, close, end_lease])
async def test_who_owns_its_run_is_not_a_childs_to_say(child, request_of):
    with pytest.raises(ForeignRun, match="is the runner's to ask"):
        await child.call(*request_of(child.run))


async def test_a_child_reads_what_it_likes(child, other):
    found = await child.call(
        endpoints.FIND_FLOW_RUNS, requests.FindFlowRuns(filter=FlowRunFilter(name="calm-heron"))
    )
    assert [run.id for run in found.runs] == [other.id]
    assert await child.call(endpoints.READ_FLOW_RUN, requests.ReadFlowRun(run_id=other.id)) == other


# --- what counts when the runner ends it


@pytest.mark.parametrize(
    ("ending", "proposed", "counts"),
    [
        (None, Crashed(), True),
        (None, Cancelled(), True),
        (Scheduled(clock.now()), Crashed(), False),
        (Scheduled(clock.now()), Cancelled(), False),
        (Scheduled(clock.now()), Completed(), True),
        (Scheduled(clock.now()), Failed(), True),
        (Crashed(), Crashed(), False),
        (Crashed(), Completed(), True),
        (Cancelled(), Cancelled(), True),
        (Cancelled(), Crashed(), False),
        (TimedOut(), TimedOut(), True),
    ],
    ids=lambda value: str(value) if value is not None else "nobody",
)
async def test_a_child_that_is_ended_may_say_that_it_ended_by_itself_only(
    child, books, ending, proposed, counts
):
    await child.call(*flow_state(child.run, Running()))
    child.ending = ending
    verdict = (await child.call(*flow_state(child.run, proposed))).verdict

    assert isinstance(verdict, Accept if counts else Abort)
    assert (await books.run(child.run.id)).state.name == (proposed.name if counts else "Running")


# --- what is learnt


async def test_its_tasks_are_counted_anew_in_each_attempt(child, place):
    run = child.run
    await child.call(*prepare(run, retry=RetryPolicy(retries=1)))
    await child.call(*flow_state(run, Running()))
    first, second = [(await child.call(*task_of(run, call))).run for call in range(2)]
    await child.call(*task_state(second, Failed()))
    await child.call(*task_state(first, Completed()))
    await child.call(*task_state(first, Completed()))
    await child.call(*flow_state(run, Failed()))
    await child.call(*flow_state(run, Running()))
    await child.call(*task_of(run, 0))
    await child.call(*task_of(run, 1))

    told = [(0, 1), (0, 2), (1, 2), (2, 2), (0, 1), (0, 2)]
    assert place.witness.told == [("tasks", *counts) for counts in told]


async def test_who_speaks_is_told_by_name_after_the_end_too(child, place):
    run = child.run
    await child.call(*flow_state(run, Running()))
    subflow = (await child.call(*subflow_of(run))).run
    task = (await child.call(*task_of(run))).run
    await child.call(*rename(run, "wise-lynx"))
    await child.call(*task_state(task, Completed()))
    for spoken in (log_of(run), log_of(subflow), log_of(run, task=task)):
        await child.call(*spoken)

    assert [said.speaker for said in place.witness.said] == [
        "Flow run 'wise-lynx'",
        "Flow run 'keen-newt'",
        "Task run 'check-0'",
    ]


async def test_only_the_newest_names_are_kept(child, place, monkeypatch):
    monkeypatch.setattr("trioflow.runner.speakers.MOST_NAMES", 10)
    run = child.run
    await child.call(*flow_state(run, Running()))
    tasks = [(await child.call(*task_of(run, call))).run for call in range(11)]
    for task in (tasks[0], tasks[1], tasks[-1]):
        await child.call(*log_of(run, task=task))

    speakers = [said.speaker for said in place.witness.said]
    assert speakers == [f"Task run '{tasks[0].id}'", "Task run 'check-1'", "Task run 'check-10'"]


async def test_an_attempt_has_its_time_from_when_it_runs_and_a_little_more(child, autojump_clock):
    await child.call(*prepare(child.run, timeout=5.0, retry=RetryPolicy(retries=1)))
    assert child.over_time.deadline == math.inf
    for end in (Failed(), Completed()):
        await trio.sleep(3)
        await child.call(*flow_state(child.run, Running()))
        assert child.over_time.deadline == trio.current_time() + 5.0 + OVER_TIME_SECONDS
        await child.call(*flow_state(child.run, end))
        assert child.over_time.deadline == math.inf


async def test_a_process_whose_run_is_over_has_its_time_to_leave_after_each_word(child, autojump_clock):
    await child.call(*prepare(child.run))
    await child.call(*flow_state(child.run, Running()))
    assert child.leaving.deadline == math.inf
    await child.call(*flow_state(child.run, Completed()))
    assert child.leaving.deadline == trio.current_time() + LEAVE_SECONDS
    await trio.sleep(1)
    await child.call(*log_of(child.run))
    assert child.leaving.deadline == trio.current_time() + LEAVE_SECONDS


@pytest.mark.promise("P10")
async def test_hooks_have_their_time_until_they_are_settled(child, autojump_clock):
    child._settings = evolve(child._settings, hook_seconds=60)
    await child.call(*prepare(child.run, hooked=frozenset({StateType.FAILED})))
    await child.call(*flow_state(child.run, Running()))
    await child.call(*flow_state(child.run, Failed()))
    assert child.leaving.deadline == trio.current_time() + 60 + HOOK_LATE_SECONDS
    await child.call(*settle(child.run))
    assert child.leaving.deadline == trio.current_time() + LEAVE_SECONDS
    await child.call(*log_of(child.run))
    assert child.leaving.deadline == trio.current_time() + LEAVE_SECONDS
