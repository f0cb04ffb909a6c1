"""A child is asked what a file makes: whatever the file does, the parent gets an answer or one clear error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import trio

from trioflow.deployments.describe import described
from trioflow.deployments.listing import deployments_in
from trioflow.errors import DeploymentError, EntrypointError
from trioflow.settings import Settings, use_settings

FLOW = "from trioflow import flow\n@flow\ndef pack(n: int = 1): ...\n"


@pytest.fixture
def write(tmp_path):
    """Writes a file with flows; its path."""

    def write(code: str) -> str:
        path = tmp_path / "described_flows.py"
        path.write_text(FLOW + textwrap.dedent(code))
        return str(path)

    return write


async def all_end(file):
    """Waits until no process lives whose id the file has written beside itself; the kernel takes a moment."""
    with trio.fail_after(10):
        while any(map(_lives, _pids(file))):  # noqa: ASYNC110 - nobody tells of the end of a process of others
            await trio.sleep(0.01)


def _pids(file):
    path = Path(f"{file}.pids")
    return path.read_text().split() if path.exists() else []


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def test_the_answer_is_what_the_file_makes_whatever_it_prints(write, capfd):
    file = write("""
        print("loading", '{"deployments": []}')
        nightly = pack.to_deployment("nightly", cron="0 9 * * *", timezone="Europe/Berlin", parameters={"n": 2})
        pack.serve()
        pack()
    """)

    answer = await described(file)

    out, err = capfd.readouterr()
    assert (out, "loading" in err) == ("", True)
    assert [err.count(told) for told in ("nothing will be served", "flow 'pack' will not be executed")] == [
        1,
        1,
    ]
    with pytest.warns(UserWarning, match="loading is in progress"):
        assert answer == deployments_in(file)


async def test_a_name_is_meant_by_its_argument(write):
    (found,) = await described(write(""), ["pack"])

    assert found.full_name == "pack/pack"


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        (
            "import sys; sys.exit(3)",
            EntrypointError,
            "importing {file} called sys.exit(3): put what the script does",
        ),
        ("import os; os._exit(3)", EntrypointError, "importing {file} ended its process with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", EntrypointError, "ended its process with signal SIGKILL"),
        ("1 / 0", EntrypointError, "{file}, line 4: importing it raised ZeroDivisionError"),
        (
            "a = pack.to_deployment('x'); b = pack.to_deployment('x', version='2')",
            DeploymentError,
            "2 deployments",
        ),
    ],
)
async def test_a_file_that_cannot_be_described_is_one_error_of_ours(write, code, error, says):
    file = write(code)

    with pytest.raises(error) as refusal:
        await described(file)

    assert says.format(file=file) in str(refusal.value)


NOTE = """
    import os, signal, subprocess, sys, time
    child = subprocess.Popen(["sleep", "60"])
    with open(__file__ + ".pids", "w") as pids:
        print(os.getpid(), child.pid, sep="\\n", file=pids)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""


async def test_what_the_file_has_started_ends_with_its_process(write):
    file = write(NOTE)

    await described(file)

    await all_end(file)


async def test_an_import_without_end_is_ended_after_the_time_of_the_settings(write, tmp_path):
    file = write(NOTE + "    time.sleep(60)\n")

    with use_settings(Settings(home=tmp_path, start_seconds=1.0)), pytest.raises(EntrypointError) as refusal:
        await described(file)

    assert str(refusal.value) == (
        f"importing {file} took longer than 1 seconds: put what takes long into a flow, or set TRIOFLOW_START_SECONDS"
    )
    await all_end(file)


async def test_cancelled_it_leaves_no_process_behind(write):
    file = write(NOTE + "    time.sleep(60)\n")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(described, file)
        while len(_pids(file)) < 2:  # noqa: ASYNC110 - as above
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()

    await all_end(file)


def test_a_child_whose_parent_is_gone_ends_in_silence(write):
    heard, told = os.pipe()
    os.close(heard)

    command = [sys.executable, "-m", "trioflow.deployments", str(told), write("")]
    ended = subprocess.run(
        command, pass_fds=(told,), start_new_session=True, capture_output=True, check=False
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGKILL, b"", b"")


def test_a_child_that_nobody_ends_in_time_ends_itself(write):
    heard, told = os.pipe()
    command = [sys.executable, "-m", "trioflow.deployments", str(told), write("import time; time.sleep(60)")]

    ended = subprocess.run(
        command,
        pass_fds=(told,),
        start_new_session=True,
        check=False,
        env={**os.environ, "TRIOFLOW_START_SECONDS": "0.1"},
        timeout=30,
    )

    assert ended.returncode == -signal.SIGALRM
    os.close(heard)
    os.close(told)
