"""Supervision: a claimed run in a real process, from its start to the state that it leaves."""

from __future__ import annotations

import logging
import os
import signal
from datetime import timedelta

import pytest
import trio
from attrs import define, evolve, field, frozen
from trio.testing import memory_stream_pair

from tests.infrastructure.trees import alive
from tests.runner.conftest import Notes, Told
from trioflow.core.states import StateType
from trioflow.errors import ProcessNotStarted, StoreError
from trioflow.infrastructure.infrastructure import RunningProcess
from trioflow.infrastructure.process import ProcessInfrastructure
from trioflow.runner import child, supervise

COMPLETES = """
@task
async def double(x):
    return 2 * x

@flow
async def f():
    print("hello")
    return sum([await double(1), await double(2)])
"""


@pytest.mark.behaviour("PR-01", "PR-02", "PR-05", "LG-05")
async def test_a_run_is_seen_through_and_told_of(start, books, caplog):
    with caplog.at_level(logging.INFO, "trioflow.flow_runs.runner"):
        watched = await start(COMPLETES)
        state = await watched.wait()

    run = await books.run(watched.run.id)
    assert (state, run.state.type) == (run.state, StateType.COMPLETED)
    said = ["Opening process...", f"Process {watched.at.pid} exited cleanly."]
    assert await books.said(run.id, "runner") == said
    assert await books.said(run.id, "stdout") == ["hello"]
    told = watched.notes.told
    assert (told[0], told[-1]) == (("started", watched.at.pid), ("ended", "Completed"))
    assert [each[1:] for each in told if each[0] == "tasks"] == [(0, 1), (1, 1), (1, 2), (2, 2)]
    ours = [record for record in caplog.records if record.name == "trioflow.flow_runs.runner"]
    assert [record.getMessage() for record in ours] == said
    assert {(record.runner_name, record.flow_run_name) for record in ours} == {("my-runner", "brave-otter")}


KILLED = (
    "; It was killed (SIGKILL): by a cancellation that it did not heed within the grace period, or by the system, "
    "because memory ran out."
)


@pytest.mark.behaviour("PR-06", "PR-07", "PR-11")
@pytest.mark.parametrize(
    ("way", "status", "help_text"),
    [("os._exit(3)", 3, ""), ("os.kill(os.getpid(), 9)", -9, KILLED), ("os._exit(247)", 247, None)],
)
async def test_a_run_whose_process_breaks_is_reported_as_crashed(start, books, way, status, help_text):
    watched = await start(f"@flow\nasync def f():\n    print('hello')\n    {way}\n")
    state = await watched.wait()

    message = f"Flow run process exited with non-zero status code {status}."
    assert (state.type, state.message) == (StateType.CRASHED, message)
    if help_text is None:
        help_text = "; It was killed because memory ran out."
    assert await books.said(watched.run.id, "runner") == [
        "Opening process...",
        f"Process {watched.at.pid} exited with status code: {status}{help_text}",
        f"Reported flow run '{watched.run.id}' as crashed: {message}",
    ]
    assert await books.said(watched.run.id, "stdout") == ["hello"]
    assert await books.history(watched.run.id) == ["Scheduled", "Pending", "Running", "Crashed"]


@pytest.mark.behaviour("PR-05")
async def test_a_run_that_its_process_left_running_is_crashed_by_a_clean_exit_too(start, books):
    """Differs from PR-05, on purpose: nothing may stay RUNNING while its lease is renewed for ever."""
    watched = await start("@flow\nasync def f():\n    os._exit(0)\n")
    state = await watched.wait()

    assert str(state) == "Crashed('Flow run process exited cleanly, but its run was still Running.')"


@pytest.mark.behaviour("PR-08")
async def test_a_process_that_cannot_be_started_crashes_its_run_and_releases_who_waits(start, books):
    watched = await start(program=["/no/such/interpreter"])
    error = await watched.wait()

    assert isinstance(error, ProcessNotStarted)
    assert "/no/such/interpreter" in str(error)
    assert str((await books.run(watched.run.id)).state) == "Crashed('Flow run process could not be started')"
    _, failed, reported = await books.said(watched.run.id, "runner")
    assert failed.startswith(f"Failed to start process for flow run '{watched.run.id}'. ProcessNotStarted: ")
    assert reported.startswith(f"Reported flow run '{watched.run.id}' as crashed: ")
    assert watched.notes.told == [("ended", "Crashed")]


@define
class Fails:
    """Starts a process, and then forgets how to watch it."""

    inner: ProcessInfrastructure

    async def run(self, command, sink, *, task_status):
        await self.inner.run(command, sink, task_status=task_status)
        raise LookupError("the infrastructure broke")


@pytest.mark.behaviour("PR-09")
@pytest.mark.parametrize(("code", "name"), [("return 1", "Completed"), ("os._exit(0)", "Crashed")])
async def test_a_failure_to_watch_a_process_is_told_and_changes_no_state_that_the_run_has_reached(
    start, books, place, code, name
):
    """A run that is left unfinished crashed all the same: nobody else would ever end it."""
    broken = Fails(place.infrastructure)
    watched = await start(f"@flow\nasync def f():\n    {code}\n", over={"infrastructure": broken})
    state = await watched.wait()

    assert state.name == name
    (_, told, *_) = await books.said(watched.run.id, "runner")
    assert told == (
        f"An error occurred while monitoring flow run '{watched.run.id}'. The flow run will not be marked as "
        "failed, but an issue may have occurred. LookupError: the infrastructure broke"
    )


class FailingNotes(Notes):
    def _note(self, *told):
        super()._note(*told)
        raise LookupError("the witness broke")


async def test_a_witness_that_fails_harms_no_run(start, books):
    watched = await start(COMPLETES, over={"witness": FailingNotes()})

    assert (await watched.wait()).type is StateType.COMPLETED
    assert watched.notes.told == [("started", watched.at.pid)]


@define(eq=False)
class Moody:
    """A client whose store refuses these requests so many times."""

    inner: object
    name: str
    refusals: int

    async def call(self, endpoint, request):
        if endpoint.name == self.name and self.refusals:
            self.refusals -= 1
            raise StoreError("the disk is full")
        return await self.inner.call(endpoint, request)

    async def changes(self, after, which):
        return await self.inner.changes(after, which)

    async def now(self):
        return await self.inner.now()


@pytest.mark.promise("P8")
@pytest.mark.behaviour("PR-11")
async def test_an_end_that_the_store_refuses_is_told_once_and_written_when_it_takes_it(start, books, client):
    moody = Moody(client, "close_flow_run", 3)
    watched = await start("@flow\nasync def f():\n    os._exit(3)\n", over={"client": moody})

    assert (await watched.wait()).type is StateType.CRASHED
    said = await books.said(watched.run.id, "runner")
    again = f"What became of flow run '{watched.run.id}' cannot be stored; trying again. StoreError: the disk is full"
    assert said.count(again) == 1


@pytest.mark.behaviour("CN-05")
async def test_a_cancellation_that_cannot_be_written_is_told_and_written_when_it_can(start, books, client):
    moody = Moody(client, "close_flow_run", 2)
    watched = await start(program=["sleep", "60"], over={"client": moody})
    await books.cancel(watched.run)
    watched.at.request_cancel("no need")

    assert (await watched.wait()).type is StateType.CANCELLED
    told = (
        f"Encountered exception while killing process of flow run '{watched.run.id}'. Flow run may not be cancelled."
        " StoreError: the disk is full"
    )
    assert (await books.said(watched.run.id, "runner")).count(told) == 1


async def test_a_store_that_takes_no_logs_harms_no_run(start, books, client, monkeypatch):
    monkeypatch.setattr("trioflow.runner.output.PATIENCE_SECONDS", 0.0)
    moody = Moody(client, "append_logs", 1_000_000)
    watched = await start(COMPLETES, over={"client": moody})

    assert (await watched.wait()).type is StateType.COMPLETED


FAILS = """
@flow(retries=1, retry_delay_seconds=60)
async def f():
    print("ready")
    raise ValueError
"""


async def test_a_run_whose_process_dies_while_it_waits_for_another_try_is_free_to_be_claimed(start, books):
    watched = await start(FAILS)
    await books.wait_state(watched.run.id, "AwaitingRetry")
    os.kill(watched.at.pid, signal.SIGKILL)

    assert (await watched.wait()).name == "AwaitingRetry"
    assert await books.history(watched.run.id) == ["Scheduled", "Pending", "Running", "AwaitingRetry"]
    assert (await books.claim(watched.run.id)).run.state.type is StateType.PENDING


# --- time


ASYNC = "@flow(timeout_seconds=1)\nasync def f():\n    await trio.sleep(60)\n"
BLOCKED = "@flow(timeout_seconds=1)\nasync def f():\n    time.sleep(60)\n"
SYNC = "@flow(timeout_seconds=1)\ndef f():\n    time.sleep(60)\n"
DEAF = "import signal\n@flow(timeout_seconds=1)\ndef f():\n    os.system('sleep 60 &')\n    time.sleep(60)\n"


@pytest.mark.promise("P11", "P7", "P6")
@pytest.mark.behaviour("QK-18")
@pytest.mark.parametrize("code", [ASYNC, BLOCKED, SYNC, DEAF], ids=["async", "blocked", "sync", "tree"])
async def test_a_served_flow_that_takes_too_long_is_timed_out_in_time(start, books, code):
    watched = await start(code)
    state = await watched.wait()

    assert str(state) == "TimedOut('Flow run exceeded timeout of 1 seconds')"
    told = "status code: -9; It was ended: Flow run exceeded timeout of 1 seconds"
    how = "cleanly." if code is ASYNC else f"with {told}"
    assert f"Process {watched.at.pid} exited {how}" in await books.said(watched.run.id, "runner")
    times = (await books.run(watched.run.id)).times
    assert timedelta(seconds=1) <= times.ended - times.started < timedelta(seconds=1.5)
    assert alive(watched.mark) == {}


async def test_a_run_that_timed_out_and_may_be_tried_again_is_free_to_be_claimed(start, books):
    code = BLOCKED.replace("timeout_seconds=1", "timeout_seconds=0.2, retries=1")
    watched = await start(code)
    state = await watched.wait()

    assert state.name == "AwaitingRetry"
    assert (await books.claim(watched.run.id)).run.state.type is StateType.PENDING


async def test_a_process_that_stays_when_its_run_is_over_is_ended(start, books, monkeypatch):
    monkeypatch.setattr(child, "LEAVE_SECONDS", 0.3)
    monkeypatch.setattr(supervise, "LEAVE_SECONDS", 0.3)
    watched = await start(
        "import threading\n@flow\nasync def f():\n    threading.Thread(target=time.sleep, args=(60,)).start()\n"
    )

    assert (await watched.wait()).type is StateType.COMPLETED
    assert (
        f"Process {watched.at.pid} has nothing more to do, but stays; it is being ended."
        in await books.said(watched.run.id, "runner")
    )


async def test_a_file_that_takes_too_long_to_load_fails_its_run_even_if_its_process_cannot_say_so(
    start, books, place, monkeypatch
):
    monkeypatch.setattr(supervise, "LEAVE_SECONDS", 0.0)
    settings = evolve(place.settings, start_seconds=0.2)
    watched = await start(program=["sleep", "60"], over={"settings": settings})

    assert str(await watched.wait()) == "Failed('Flow could not be loaded within 0.2 seconds.')"


async def test_a_run_that_is_being_cancelled_has_its_grace_though_its_time_is_over(start, books, place):
    code = (
        "@flow(timeout_seconds=1)\nasync def f():\n    print('ready')\n    try:\n        await trio.sleep(60)\n"
        "    finally:\n        with trio.CancelScope(shield=True):\n            await trio.sleep(1.6)\n"
        "            print('cleaned up')\n"
    )
    watched = await start(code)
    await watched.notes.wait_written("ready")
    await books.cancel(watched.run)
    watched.at.request_cancel("no need")

    assert (await watched.wait()).type is StateType.CANCELLED
    assert await books.said(watched.run.id, "stdout") == ["ready", "cleaned up"]


@frozen
class Held:
    """A process whose end of the link somebody else holds too."""

    inner: RunningProcess
    held: list[object]

    def take_link(self):
        ours, theirs = memory_stream_pair()
        self.held.append(theirs)
        return ours

    def __getattr__(self, name):
        return getattr(self.inner, name)


@define
class Leaks:
    """An infrastructure whose links outlive their processes."""

    inner: ProcessInfrastructure
    held: list[object] = field(factory=list)

    async def run(self, command, sink, *, task_status):
        told = Told(lambda process: task_status.started(Held(process, self.held)))
        return await self.inner.run(command, sink, task_status=told)


async def test_a_link_that_outlives_its_process_is_not_waited_for(start, place, monkeypatch):
    monkeypatch.setattr(supervise, "_LINK_SECONDS", 0.1)
    watched = await start(over={"infrastructure": Leaks(place.infrastructure)})
    watched.at.request_cancel("no need")

    assert (await watched.wait()).type is StateType.CANCELLED


# --- the runner goes on


@pytest.mark.promise("P17")
@pytest.mark.behaviour("SP-03", "SP-05")
@pytest.mark.parametrize(
    ("code", "parameters", "message"),
    [
        ("this is no Python", {}, "line 2: invalid syntax"),
        ("", {}, "no"),
        ("import sys; sys.exit(3)", {}, "called sys.exit(3)"),
        ("@flow\ndef f(x: int):\n    pass", {"x": "not a number"}, "x"),
        ("@flow\ndef f(x: int):\n    pass", {}, "x"),
    ],
    ids=["syntax", "no such flow", "exit", "unfit", "missing"],
)
async def test_a_flow_that_cannot_be_loaded_or_called_fails_its_run(start, books, code, parameters, message):
    watched = await start(code, parameters=parameters)
    with trio.fail_after(5):
        state = await watched.wait()

    assert state.type is StateType.FAILED
    assert message in state.message


@pytest.mark.promise("P6", "P7")
async def test_what_a_completed_run_leaves_behind_is_ended_before_its_supervision_is(start, books):
    watched = await start("@flow\nasync def f():\n    os.system('setsid sleep 60 &')\n")

    assert (await watched.wait()).type is StateType.COMPLETED
    assert alive(watched.mark) == {}
    assert f"Process {watched.at.pid} left another one behind; nothing of them lives." in await books.said(
        watched.run.id, "runner"
    )


BUSY_BESIDE = """
import subprocess

@flow
def f():
    subprocess.Popen(["sleep", "999"])
    print("ready", flush=True)
    time.sleep(999)
"""


@pytest.mark.promise("P6")
async def test_what_a_flow_has_started_does_not_outlive_its_shim(start):
    watched = await start(BUSY_BESIDE)
    await watched.notes.wait_written("ready")
    (shim,) = (pid for pid, command in alive(watched.mark).items() if "shim.py" in command)
    os.kill(shim, signal.SIGKILL)
    state = await watched.wait()

    assert (state.type, alive(watched.mark)) == (StateType.CRASHED, {})
