"""A signal that comes before anything is served: what had begun is taken back, and nothing is half done."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import SECONDS, Home, kill, wait_for_line

ENDLESS_IMPORT = """
import os, threading
print("loading in", os.getpid(), flush=True)
threading.Event().wait()
"""
RUNS_ON = """
import trio
from trioflow import flow

@flow
async def runs_on():
    print("running", flush=True)
    await trio.sleep_forever()

soon = runs_on.to_deployment("soon", interval=1, overlap="skip")
"""
SCRIPT = """
from trioflow import FlowDeployment, serve

serve(FlowDeployment(flow_name="f", name="f", entrypoint="f.py:f"))
"""


def pid_that_loads(process: subprocess.Popen[str]) -> int:
    """Of the process that looks into the file."""
    assert process.stdout is not None
    return next(int(line.split()[-1]) for line in process.stdout if "loading in" in line)


@pytest.mark.promise("P9")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_file_is_loaded_ends_both_processes_and_makes_no_home(
    home: Home, number: int, code: int
) -> None:
    home.write("endless.py", ENDLESS_IMPORT)
    process = home.start("serve", "endless.py")
    loading = pid_that_loads(process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=SECONDS)

    assert (process.returncode, output) == (code, "")
    assert not Path(f"/proc/{loading}").exists()
    assert not (home.path / "home").exists()


@pytest.mark.promise("P1")
def test_runs_of_a_dead_predecessor_are_left_to_the_next_one_by_one_that_is_ended_while_it_starts(
    home: Home,
) -> None:
    home.write("runs_on.py", RUNS_ON)
    home.write("endless.py", ENDLESS_IMPORT)
    predecessor = home.start("serve", "runs_on.py")
    wait_for_line(predecessor, "running")
    kill(predecessor)
    between = home.start("serve", "endless.py")
    pid_that_loads(between)
    between.terminate()
    between.communicate(timeout=SECONDS)

    runs = home.json("flow-run", "ls")
    assert [run["state"]["name"] for run in runs if run["times"]["started"]] == ["Crashed"]


def test_ctrl_c_that_is_ignored_in_the_background_of_a_script_does_not_end_it_and_sigterm_does(
    home: Home,
) -> None:
    script = home.write("script.py", SCRIPT)
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, str(script)],
        cwd=home.path,
        env=home.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for_line(process, "Your deployments are being served")
    assert signal.SIGINT in ignored_by(process.pid)
    process.terminate()
    output, _ = process.communicate(timeout=SECONDS)

    assert (process.returncode, output.count("Stopping")) == (0, 1)


def ignored_by(pid: int) -> set[int]:
    """The signals that a process ignores."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    mask = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn"))
    return {number for number in signal.valid_signals() if mask >> (number - 1) & 1}
