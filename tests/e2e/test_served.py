"""``trioflow serve``, as a user meets it: what it says, how it ends, and what it makes of what cannot be."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT
from tests.e2e.conftest import SECONDS, Home, wait_for_line

FLOWS = """
import sys
import time

import trio

from trioflow import flow, task


@task
async def add(a: int, b: int) -> int:
    return a + b


@flow(log_prints=True)
async def sums(n: int = 3) -> int:
    print(f"adding {n}")
    return sum([await add(i, 1) for i in range(n)])


@flow
def fails() -> None:
    raise ValueError("on purpose")


@flow
async def lingers(seconds: float = 1.0) -> str:
    print("lingering", flush=True)
    await trio.sleep(seconds)
    return "done"


often = sums.to_deployment("often", interval=1)
never = fails.to_deployment("never")
long = lingers.to_deployment("long", interval=4, parameters={"seconds": 1.5})
endless = lingers.to_deployment("endless", interval=1, overlap="skip", parameters={"seconds": 900})
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.write("flows.py", FLOWS)
    return home


def end(process: subprocess.Popen[str]) -> str:
    """What it said until its end."""
    output, _ = process.communicate(timeout=SECONDS)
    return output


def states(home: Home) -> list[str]:
    """Of the runs that began: others may have been skipped."""
    return [run["state"]["name"] for run in home.json("flow-run", "ls") if run["times"]["started"]]


@pytest.mark.behaviour("RL-02")
def test_each_deployment_is_run_once_and_the_exit_code_says_whether_all_completed(home: Home) -> None:
    done = home.run("serve", "flows.py:often", "--run-once")
    assert (done.returncode, states(home)) == (0, ["Completed"]), done.stderr
    assert "adding 3" in done.stderr
    done = home.run("serve", "flows.py:often", "flows.py:never", "--run-once")
    assert done.returncode == 1
    assert "ValueError: on purpose" in done.stderr
    assert sorted(states(home)) == ["Completed", "Completed", "Failed"]


@pytest.mark.behaviour("RN-02", "RN-03", "QK-12")
@pytest.mark.promise("P9")
def test_it_says_what_it_serves_runs_what_is_due_and_lets_runs_finish_at_the_first_signal(home: Home) -> None:
    process = home.start("serve", "flows.py:long", "--name", "here")
    wait_for_line(process, "Your deployments are being served and polling for scheduled runs!")
    wait_for_line(process, "lingers/long")
    wait_for_line(process, "lingering")
    process.send_signal(signal.SIGINT)
    said = end(process)
    assert process.returncode == 0, said
    assert "Stopping: runs have up to 30 s to finish" in said
    assert set(states(home)) == {"Completed"}
    (deployment,) = home.json("deployment", "ls")
    assert [each["paused_by"] for each in deployment["schedules"]] == ["runner"]


SCRIPT = """
from flows import sums
from trioflow import serve

if __name__ == "__main__":
    serve(sums.to_deployment("often", interval=1), print_starting_message={announced})
"""


@pytest.mark.behaviour("RN-01", "RN-04")
@pytest.mark.parametrize("announced", [True, False])
def test_a_script_serves_until_it_is_interrupted_and_is_silent_about_it_if_it_is_told_to(
    home: Home, *, announced: bool
) -> None:
    script = home.write("script.py", SCRIPT.format(announced=announced))
    process = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=home.path,
        env=home.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "Finished in state" in line:
            break
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert ("Your deployments are being served" in printed) is announced
    assert "Traceback" not in printed


@pytest.mark.promise("P2", "P9")
def test_the_second_signal_ends_runs_at_once_and_their_states_are_written(home: Home) -> None:
    process = home.start("serve", "flows.py:endless")
    wait_for_line(process, "lingering")
    process.send_signal(signal.SIGTERM)
    wait_for_line(process, "Stopping")
    process.send_signal(signal.SIGTERM)
    said = end(process)
    assert "Ending every run now" in said
    assert states(home) == ["Cancelled"]


@pytest.mark.promise("P9")
def test_a_signal_that_is_sent_to_the_process_and_to_its_group_is_one(home: Home) -> None:
    process = home.start("serve", "flows.py:long")
    wait_for_line(process, "lingering")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    said = end(process)
    assert "Stopping" in said
    assert "Ending every run now" not in said
    assert set(states(home)) == {"Completed"}


def test_the_screen_on_a_terminal_is_drawn_and_taken_away(home: Home) -> None:
    command = [sys.executable, "-m", "trioflow", "serve", "flows.py:often", "--run-once"]
    script = f"import pty, sys; sys.exit(pty.spawn({command!r}) >> 8)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=home.path,
        env=home.environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "sums/often" in done.stdout
    assert "3 of 3 tasks" in done.stdout
    assert "Process" not in done.stdout


@pytest.mark.parametrize("stream", [1, 2])
def test_a_program_whose_output_is_closed_serves_all_the_same(home: Home, stream: int) -> None:
    command = f"{sys.executable} -m trioflow serve flows.py:often --run-once {stream}>&-"
    done = subprocess.run(
        ["sh", "-c", command], cwd=home.path, env=home.environment, timeout=SECONDS, check=False
    )
    assert (done.returncode, states(home)) == (0, ["Completed"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.py"], "there is no file"),
        (["flows.py:nothing"], "there is no flow or deployment 'nothing'"),
        (["broken.py"], "broken.py, line 2: '(' was never closed"),
        (["leaves.py"], "called sys.exit(3)"),
        (["empty.py"], "there is no flow in"),
        (["flows.py", "--limit", "0"], "a runner's limit must be at least 1, not 0"),
        (["flows.py", "--interval", "0"], "an interval is longer than 0 seconds, not 0"),
        (["flows.py", "--cron", "61 * * * *"], "61"),
        (["flows.py", "--cron", "0 9 * * *", "--timezone", "Mars/Base"], "Mars/Base"),
        (["flows.py", "--rrule", "FREQ=SOMETIMES"], "FREQ=SOMETIMES"),
        (["flows.py", "--interval", "5", "--cron", "0 9 * * *"], "interval and cron were given"),
        (["flows.py", "--name", "a/b"], "Runner name cannot contain '/' or '%'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_served_is_one_clear_line_and_exit_code_2(
    home: Home, arguments: list[str], said: str
) -> None:
    home.write("broken.py", "import trioflow\nprint((\n")
    home.write("leaves.py", "import sys\nsys.exit(3)\n")
    home.write("empty.py", "x = 1\n")
    done = home.run("serve", *arguments)
    assert done.returncode == 2, done.stderr
    *_, line = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert "Traceback" not in done.stderr


@pytest.mark.promise("P18")
def test_the_embedding_example_serves_beside_its_own_service_and_ends_both(home: Home) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    examples = str(ROOT / "examples")
    code = f"import sys, trio; sys.path.insert(0, {examples!r}); import embed; trio.run(embed.main, {port})"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=home.path,
        env=home.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_for_line(process, "the service counts 5 words")
    process.send_signal(signal.SIGINT)
    assert "ending both" in end(process)
    assert process.returncode == 0
    assert marked(home) == []


def marked(home: Home) -> list[str]:
    """The processes that carry the mark of a run of this home."""
    mark = f"TRIOFLOW__HOME={home.path / 'home'}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0") and path.parent.name != str(os.getpid()):
                found.append(path.parent.name)
        except OSError:
            continue
    return found


REFUSES = """
from trioflow import Cancelled
from trioflow.core.decisions import rule
from trioflow.core.states import StateType
from trioflow.core.tables import FLOW_RUNS
from trioflow.core.verdicts import Reject

@rule()
def run_nothing(proposal):
    return Reject(Cancelled(message="Not today."), "Not today.", written=True)

TABLE = FLOW_RUNS.with_rule(run_nothing, from_=StateType.PENDING, to=StateType.RUNNING)
"""


def test_a_file_of_rules_judges_what_is_served(home: Home) -> None:
    home.write("rules.py", REFUSES)
    done = home.run("serve", "flows.py:often", "--rules", "rules.py", "--run-once")
    assert done.returncode == 1, done.stderr
    assert [run["state"]["message"] for run in home.json("flow-run", "ls")] == ["Not today."]
