"""One process: how it is started, what it is given, how it is asked to end, and what its exit says."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from pathlib import Path
from uuid import UUID

import pytest
import trio

from tests.infrastructure.conftest import SECONDS, python
from tests.infrastructure.trees import alive
from trioflow.errors import ProcessNotStarted, TrioflowBug
from trioflow.infrastructure.environment import flow_run_environment, read_owner
from trioflow.infrastructure.infrastructure import Command, ExitReport, explain
from trioflow.infrastructure.process import ProcessInfrastructure
from trioflow.processes import EPOCH, FLOW_RUN_ID, HOME, LINK_FD, RUNNER, this_process

DEAF = "trap '' TERM; echo ready; while :; do sleep 999; done"
HEEDFUL = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done"


async def dropped(lines):
    pass


# --- what it is given


@pytest.mark.behaviour("PR-03")
def test_the_environment_is_the_runners_then_the_settings_then_what_names_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", {"A": "runner", "B": "runner", EPOCH: "runner"})

    environment = flow_run_environment(UUID(int=171), 3, tmp_path, {"B": "settings", FLOW_RUN_ID: "settings"})

    assert environment == {
        "A": "runner",
        "B": "settings",
        FLOW_RUN_ID: "000000000000000000000000000000ab",
        EPOCH: "3",
        HOME: str(tmp_path),
        RUNNER: environment[RUNNER],
    }
    assert read_owner(environment[RUNNER]) == this_process()


@pytest.mark.parametrize("text", ["", "1", "1:2", "1:2:", "x:2:host", "1:x:host", "::"])
def test_what_names_no_process_is_no_owner(text):
    assert read_owner(text) is None


async def test_a_clean_environment_is_all_that_the_process_has(start, tmp_path):
    # In the C locale every Python, be it the shim or the run's own, sets LC_CTYPE for its children (PEP 538).
    environment = flow_run_environment(UUID(int=1), 1, tmp_path, base={"LC_ALL": "C.UTF-8"})
    started = await start("/usr/bin/env", environment=environment)
    await started.wait()

    said = dict(line.split("=", 1) for line in started.said())
    assert said == {**environment, LINK_FD: said[LINK_FD]}


LIST = """
import os
for name in sorted(os.listdir("/proc/self/fd")):
    if os.path.islink(f"/proc/self/fd/{name}"):
        print(name, os.readlink(f"/proc/self/fd/{name}").partition(":")[0])
print(os.environ["TRIOFLOW__LINK_FD"])
"""


async def test_the_process_has_no_input_and_no_descriptors_but_its_output_and_the_link(start, piped_input):
    started = await start(*python(LIST))
    await started.wait()

    *descriptors, link_fd = started.said()
    assert dict(line.split() for line in descriptors) == {
        "0": "/dev/null",
        "1": "pipe",
        "2": "pipe",
        link_fd: "socket",
    }


@pytest.fixture
def piped_input():
    """This process's own input is a pipe meanwhile."""
    before = os.dup(0)
    readable, writable = os.pipe()
    os.dup2(readable, 0)
    yield
    os.dup2(before, 0)
    for fd in (before, readable, writable):
        os.close(fd)


@pytest.mark.behaviour("PR-04")
async def test_the_process_is_in_a_session_and_a_group_of_its_own(start):
    started = await start(*python("import os; print(os.getpid(), os.getpgrp(), os.getsid(0), os.getppid())"))
    await started.wait()

    pid, group, session, shim = map(int, started.said()[0].split())
    assert (pid, group, session) == (started.process.pid, pid, shim)
    assert session != os.getsid(0)


async def test_no_signal_is_blocked_or_ignored_in_the_process(start):
    started = await start("sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status")
    await started.wait()

    of_the_c_library = 1 << 31 | 1 << 32  # glibc's own; its posix_spawn has them ignored
    assert [int(line.split()[1], 16) & ~of_the_c_library for line in started.said()] == [0, 0]


async def test_the_process_starts_where_it_is_told_to(start, tmp_path):
    started = await start("pwd", directory=tmp_path)
    await started.wait()

    assert started.said() == [str(tmp_path)]


ECHO = """
import os, socket
with socket.socket(fileno=int(os.environ["TRIOFLOW__LINK_FD"])) as link:
    link.sendall(link.recv(99).upper())
"""


async def test_the_link_leads_to_the_process_and_ends_with_it(start):
    started = await start(*python(ECHO))

    async with started.process.take_link() as link:
        await link.send_all(b"ping")
        with trio.fail_after(SECONDS):
            assert await link.receive_some() == b"PING"
            assert await link.receive_some() == b""
    assert await started.wait() == ExitReport(status=0)


async def test_nobody_but_the_process_holds_its_end_of_the_link(start):
    started = await start(
        *python("import os, signal; os.close(int(os.environ['TRIOFLOW__LINK_FD'])); signal.pause()")
    )

    async with started.process.take_link() as link:
        with trio.fail_after(SECONDS):
            assert await link.receive_some() == b""

    started.process.request_stop(0)
    assert await started.wait() == ExitReport(status=-signal.SIGTERM)


async def test_a_link_is_taken_once(start):
    started = await start("true")
    await started.process.take_link().aclose()

    with pytest.raises(TrioflowBug):
        started.process.take_link()


# --- how it ends


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 255", 255),
        ("kill -9 $$", -signal.SIGKILL),
        ("kill -15 $$", -signal.SIGTERM),
        ("kill -11 $$", -signal.SIGSEGV),
        ("kill -10 $$", -signal.SIGUSR1),
    ],
)
async def test_the_report_has_the_status_of_the_process_and_so_has_its_shim(start, script, status):
    started = await start("sh", "-c", script)

    assert await started.wait() == ExitReport(status=status)
    assert started.process._shim.returncode == status


@pytest.mark.behaviour("PR-06")
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, []),
        (3, []),
        (-9, ["SIGKILL", "cancellation", "memory"]),
        (-15, ["SIGTERM", "cancellation"]),
        (247, ["memory"]),
        (-11, ["signal 11 (SIGSEGV)"]),
        (-40, ["signal 40"]),
    ],
)
def test_a_status_is_explained_where_its_number_does_not_say_it(status, words):
    explanation = explain(status)

    assert bool(explanation) == bool(words)
    assert [word for word in words if word not in explanation] == []
    assert ExitReport(status=status).explanation == explanation


async def test_processes_that_the_run_leaves_behind_are_counted(start):
    started = await start("sh", "-c", "sleep 999 & setsid sleep 999 & exit 7")

    assert await started.wait() == ExitReport(status=7, leftovers=2)


async def test_a_stop_lets_the_process_end_by_itself(start):
    started = await start("sh", "-c", HEEDFUL, grace=SECONDS)
    await started.wait_said("ready")
    started.process.request_stop(0)

    assert await started.wait() == ExitReport(status=5)
    assert started.said() == ["ready", "bye"]


@pytest.mark.behaviour("PR-12")
async def test_a_process_that_does_not_heed_a_stop_is_killed_after_the_grace(start):
    started = await start("sh", "-c", DEAF)
    await started.wait_said("ready")
    asked = trio.current_time()
    started.process.request_stop(0)

    assert await started.wait() == ExitReport(status=-signal.SIGKILL, killed=True)
    assert trio.current_time() - asked >= 0.2


@pytest.mark.parametrize(("first", "second"), [((60, 60), (0, 0)), ((0.1, 0), (60, 60))])
async def test_the_nearest_of_several_stops_counts(start, first, second):
    started = await start("sh", "-c", DEAF)
    await started.wait_said("ready")
    started.process.request_stop(*first)
    started.process.request_stop(*second)

    assert (await started.wait()).status == -signal.SIGKILL


async def test_a_later_stop_does_not_put_off_the_first_signal(start):
    started = await start("sh", "-c", HEEDFUL)
    await started.wait_said("ready")
    started.process.request_stop(0.1, 60)
    started.process.request_stop(60, 60)

    assert await started.wait() == ExitReport(status=5)


async def test_the_first_signal_comes_as_late_as_it_was_asked_for(start):
    started = await start("sh", "-c", "exec sleep 999")
    asked = trio.current_time()
    started.process.request_stop(0.2)

    assert await started.wait() == ExitReport(status=-signal.SIGTERM)
    assert trio.current_time() - asked >= 0.2


async def test_a_stop_that_comes_too_late_does_nothing(start):
    started = await start("true")
    report = await started.wait()

    started.process.request_stop(0)

    assert await started.wait() == report == ExitReport(status=0)


async def test_a_process_that_was_stopped_by_a_signal_hears_that_it_shall_end(start):
    started = await start("sh", "-c", HEEDFUL, grace=SECONDS)
    await started.wait_said("ready")
    os.kill(started.process.pid, signal.SIGSTOP)
    started.process.request_stop(0)

    assert await started.wait() == ExitReport(status=5)


async def test_a_shim_that_is_stopped_by_a_signal_is_given_up_and_its_tree_is_ended(start):
    started = await start("sh", "-c", DEAF, grace=0)
    await started.wait_said("ready")
    os.kill(started.process._shim.pid, signal.SIGSTOP)
    started.process.request_stop(0)

    report = await started.wait()

    assert (report.status, report.killed) == (-signal.SIGKILL, True)
    assert alive(started.mark) == {}


async def test_a_signal_to_the_shim_ends_the_tree_as_a_stop_does(start):
    started = await start("sh", "-c", HEEDFUL, grace=SECONDS)
    await started.wait_said("ready")
    os.kill(started.process._shim.pid, signal.SIGTERM)

    assert await started.wait() == ExitReport(status=5)


@pytest.mark.behaviour("PR-15")
@pytest.mark.promise("P18")
async def test_an_owner_that_is_cancelled_leaves_no_process_descriptor_or_task(environment):
    async def run_and_cancel():
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                command = Command(argv=("sh", "-c", DEAF), environment=environment)
                await nursery.start(ProcessInfrastructure(grace_seconds=0.1).run, command, dropped)
                scope.cancel()

    await run_and_cancel()  # what trio keeps is there after the first time
    before = counted()
    with trio.fail_after(SECONDS):
        await run_and_cancel()

    assert counted() == before
    assert alive(f"{FLOW_RUN_ID}={environment[FLOW_RUN_ID]}") == {}


def counted():
    descriptors = sorted(
        str(fd.readlink()).partition(":")[0] for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()
    )
    return descriptors, trio.lowlevel.current_statistics().tasks_living, threading.active_count()


# --- what cannot be started


@pytest.mark.parametrize(
    ("argv", "directory", "why"),
    [
        (("no-such-program",), None, "No such file or directory: 'no-such-program'"),
        (("/etc/passwd",), None, "Permission denied: '/etc/passwd'"),
        (("true",), Path("/no/such/directory"), "/no/such/directory"),
        (("echo", "a\0b"), None, "embedded null byte"),
    ],
)
async def test_what_cannot_be_started_says_why_and_leaves_nothing(environment, argv, directory, why):
    command = Command(argv=argv, environment=environment, directory=directory)
    infrastructure = ProcessInfrastructure()

    with trio.fail_after(SECONDS), pytest.raises(ProcessNotStarted, match=re.escape(why)):
        await infrastructure.run(command, dropped)
    before = counted()
    with trio.fail_after(SECONDS), pytest.raises(ProcessNotStarted):
        await infrastructure.run(command, dropped)

    assert counted() == before


async def test_an_interpreter_that_cannot_run_the_shim_is_a_process_that_was_not_started(
    environment, monkeypatch
):
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with trio.fail_after(SECONDS), pytest.raises(ProcessNotStarted, match="its shim was ended"):
        await ProcessInfrastructure().run(Command(argv=("true",), environment=environment), dropped)
