"""`trioflow run` as a process of its own: signals, kills, cancels from elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack

import pytest

TRIOFLOW = [sys.executable, "-c", "import sys; from trioflow.cli.main import main; sys.exit(main())"]

WAITING = """
from pathlib import Path
import trio
from trioflow import flow, task

@task
async def step(n: int) -> int:
    print(f"step {n}", flush=True)
    return n

@flow
async def waiting() -> int:
    first = await step(1)
    try:
        if not Path(__file__).with_name("go").exists():
            print("ready", flush=True)
            await trio.sleep_forever()
    finally:
        print("cleaned up", flush=True)
    return first + await step(2)
"""


@pytest.fixture
def start(shell, write):
    """Starts ``trioflow run`` as a process; on its stdout are the flow's prints, in order."""
    with ExitStack() as stack:

        def start(code: str, *words: str) -> subprocess.Popen[str]:
            command = [*TRIOFLOW, "--home", str(shell.home), "run", write(code), *words]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def read_until(process: subprocess.Popen[str], line: str) -> None:
    """Waits for this line; its absence is the end of the stream, and fails."""
    for said in process.stdout:
        if said == f"{line}\n":
            return
    pytest.fail(f"{line!r} was never said: {process.stderr.read()}")


def test_ctrl_c_cancels_lets_clean_up_and_stores_the_state(shell, start):
    process = start(WAITING)
    read_until(process, "ready")

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out) == (130, "cleaned up\n")
    assert "Cancelling the run; Ctrl-C again ends it at once.\n" in err
    assert "Traceback" not in err
    assert shell.the_only_run()["state"]["type"] == "CANCELLED"


def test_a_second_ctrl_c_ends_code_that_never_comes_to_a_checkpoint(shell, start):
    code = """
    import signal
    from trioflow import flow

    @flow
    async def busy() -> None:
        handler = signal.getsignal(signal.SIGINT)
        print("ready", flush=True)
        while signal.getsignal(signal.SIGINT) is handler:
            pass
        print("the first was heard", flush=True)
        while True:
            pass
    """
    process = start(code)
    read_until(process, "ready")
    process.send_signal(signal.SIGINT)
    read_until(process, "the first was heard")

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in err
    assert shell.the_only_run()["state"]["type"] == "CRASHED"


HOLDING_ON = """
import threading
from trioflow import flow

def hangs(flow, flow_run, state):
    print("hanging", flush=True)
    threading.Event().wait()

@flow(on_cancellation=[hangs] if {hanging} else None)
def holds_on() -> None:
    print("ready", flush=True)
    threading.Event().wait()
"""


def test_a_second_ctrl_c_ends_a_thread_that_holds_on(shell, start):
    process = start(HOLDING_ON.format(hanging=False))
    read_until(process, "ready")
    process.send_signal(signal.SIGINT)
    assert "Ctrl-C again ends it at once" in said_next(process, "Cancelling")

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Crash detected! Execution was aborted by an interrupt signal." in err
    assert "Traceback" not in err
    state = shell.the_only_run()["state"]
    assert (state["type"], state["message"]) == (
        "CANCELLED",
        "Cancelled; its code had already ended in Crashed('Execution was aborted by an interrupt signal.').",
    )


def test_a_third_ctrl_c_waits_for_no_hook(shell, start):
    process = start(HOLDING_ON.format(hanging=True))
    read_until(process, "ready")
    process.send_signal(signal.SIGINT)
    said_next(process, "Cancelling")
    process.send_signal(signal.SIGINT)
    read_until(process, "hanging")

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=30) == 130
    assert shell.the_only_run()["state"]["type"] == "CANCELLED"


def said_next(process: subprocess.Popen[str], beginning: str) -> str:
    """Waits for a line on stderr that begins so."""
    for said in process.stderr:
        if said.startswith(beginning):
            return said
    pytest.fail(f"{beginning!r} was never said")


def test_sigterm_ends_the_run_and_stores_the_state(shell, start):
    process = start(WAITING)
    read_until(process, "ready")

    process.terminate()
    out, _ = process.communicate(timeout=30)

    assert (process.returncode, out) == (143, "cleaned up\n")
    assert shell.the_only_run()["state"]["type"] == "CRASHED"


def test_a_run_is_cancelled_from_another_process(shell, start):
    process = start(WAITING)
    read_until(process, "ready")
    run = shell.the_only_run()

    answer = shell("flow-run", "cancel", run["name"])
    out, _ = process.communicate(timeout=30)

    assert (answer.code, answer.out) == (0, f"{run['id'][-8:]} {run['name']}: Cancelled\n")
    assert (process.returncode, out) == (1, "cleaned up\n")


@pytest.mark.promise("P12")
def test_a_killed_run_is_crashed_and_a_rerun_goes_on_from_what_it_recorded(shell, start, tmp_path):
    process = start(WAITING)
    read_until(process, "ready")
    process.kill()
    process.wait()

    run = shell.the_only_run()
    (tmp_path / "go").touch()
    again = shell("flow-run", "rerun", run["id"][-8:])

    assert run["state"]["type"] == "CRASHED"
    assert (again.code, again.out) == (0, "cleaned up\nstep 2\n3\n")
    assert shell.the_only_run()["state"]["type"] == "COMPLETED"


def test_a_setting_that_cannot_be_is_one_line(tmp_path):
    environment = os.environ | {"TRIOFLOW_HOME": str(tmp_path / "home"), "TRIOFLOW_LOG_LEVEL": "LOUD"}

    answer = subprocess.run(
        [*TRIOFLOW, "flow-run", "ls"], env=environment, capture_output=True, text=True, check=False
    )

    assert (answer.returncode, answer.stdout) == (2, "")
    (line,) = answer.stderr.splitlines()
    assert line.startswith("error: TRIOFLOW_LOG_LEVEL cannot be 'LOUD'")


def test_help_imports_neither_trio_nor_the_store():
    code = "import sys; from trioflow.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "flow-run" in answer.stdout
    assert {"trio", "apsw", "cattrs", "asyncio"} & set(answer.stderr.split()) == set()


# --- before anything has begun

SLOW_TO_IMPORT = """
import os, sys
print("importing", flush=True)
try:
    sys.stdin.readline()
except KeyboardInterrupt:
    print("lost, as in a callback of the import system", flush=True)
os._exit(7)
"""


@pytest.fixture
def start_importing(tmp_path):
    """Starts ``trioflow``, which is still importing what it needs, until a line is written to it."""
    with ExitStack() as stack:

        def start(*prelude: str, module: str = "cyclopts") -> subprocess.Popen[str]:
            slow = tmp_path / "slow"
            slow.mkdir()
            (slow / f"{module}.py").write_text(SLOW_TO_IMPORT)
            process = subprocess.Popen(
                [*prelude, sys.executable, "-m", "trioflow", "serve", "flows.py"],
                env={**os.environ, "PYTHONPATH": str(slow)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            read_until(process, "importing")
            return process

        yield start


def test_ctrl_c_while_it_is_being_imported_is_quiet(start_importing):
    process = start_importing()

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (130, "", "")


def test_a_ctrl_c_that_is_ignored_stays_so_while_it_is_being_imported(start_importing):
    process = start_importing("sh", "-c", 'trap "" INT; exec "$@"', "sh")

    process.send_signal(signal.SIGINT)
    process.communicate("go on\n", timeout=30)

    assert process.returncode == 7


def test_ctrl_c_while_a_command_is_being_imported_is_quiet(start_importing):
    process = start_importing(module="apsw")

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (130, "", "")
