"""A flow whose process is killed goes on, by its run id, where its records end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.conftest import Home, kill, wait_for_line

STEPS = """
from pathlib import Path

import trio

from trioflow import flow, task


@task
async def square(i: int) -> int:
    with Path("squared").open("a") as log:
        log.write(f"{i}\\n")
    return i * i


@flow
async def squares(n: int) -> list[int]:
    found = []
    for i in range(n):
        found.append(await square(i))
        if i == n // 2 and not Path("go on").exists():
            print("half-way", flush=True)
            await trio.sleep_forever()
    return found
"""


@pytest.mark.promise("P12", "P1", "P8")
def test_a_killed_flow_runs_only_the_rest_when_it_is_run_again(home: Home) -> None:
    home.write("flows.py", STEPS)
    process = home.start("run", "flows.py:squares", "-p", "n=9")
    wait_for_line(process, "half-way")
    kill(process)
    assert home.lines("squared") == ["0", "1", "2", "3", "4"]
    (found,) = home.json("flow-run", "ls")
    assert found["state"]["name"] == "Crashed"
    home.write("go on", "")
    again = home.run("flow-run", "rerun", found["id"])
    assert again.returncode == 0, again.stderr
    assert home.lines("squared") == [str(i) for i in range(9)]
    assert str([i * i for i in range(9)]).replace(" ", "") in again.stdout.replace(" ", "").replace("\n", "")
    (found,) = home.json("flow-run", "ls")
    assert found["state"]["name"] == "Completed"
    assert found["attempt"] == 2


def test_a_flow_that_is_alive_cannot_be_run_a_second_time(home: Home) -> None:
    home.write("flows.py", STEPS)
    process = home.start("run", "flows.py:squares", "-p", "n=3")
    try:
        wait_for_line(process, "half-way")
        (found,) = home.json("flow-run", "ls")
        again = home.run("flow-run", "rerun", found["id"])
        assert again.returncode != 0
        assert str(process.pid) in again.stderr
    finally:
        kill(process)


def test_a_flow_is_cancelled_from_another_process(home: Home) -> None:
    home.write("flows.py", STEPS)
    process = home.start("run", "flows.py:squares", "-p", "n=3")
    wait_for_line(process, "half-way")
    (found,) = home.json("flow-run", "ls")
    assert home.run("flow-run", "cancel", found["id"]).returncode == 0
    process.communicate(timeout=30)
    assert process.returncode == 1
    (found,) = home.json("flow-run", "ls")
    assert found["state"]["name"] == "Cancelled"


MANY = """
import sys

import trio

from trioflow import flow, task


@task
async def one(i: int) -> int:
    return i


@flow
async def many(n: int) -> int:
    return sum([await future for future in one.map(range(n))])


async def several() -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(many, 50)


trio.run(several)
assert "asyncio" not in sys.modules, "asyncio was imported"
"""


def test_several_flows_in_several_processes_share_one_home(home: Home) -> None:
    script = home.write("many.py", MANY)
    processes = [
        subprocess.Popen([sys.executable, script], cwd=home.path, env=home.environment) for _ in range(3)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    found = home.json("flow-run", "ls")
    assert [run["state"]["name"] for run in found] == ["Completed"] * 9
