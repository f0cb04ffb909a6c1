"""Ctrl-C in a script of sync code: the first one cancels, the second one ends what holds on. Real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import trio

from tests.e2e.conftest import SECONDS, kill, wait_for_line
from tests.engine.conftest import Books
from trioflow.client.connect import current_client
from trioflow.settings import Settings, use_settings

SCRIPT = """
import signal
import threading

import trio

from trioflow import flow, task

signal.signal(signal.SIGINT, signal.default_int_handler)  # Not so in a shell's background.
never = threading.Event()


@task
def holds_on():
    print("under way", flush=True)
    never.wait()


@task
async def watches():
    print("under way", flush=True)
    await trio.sleep_forever()


def hangs(flow, flow_run, state):
    print("hanging", flush=True)
    never.wait()


@flow(on_crashed=[hangs])
def stubborn_with_a_hook():
    holds_on()


@flow
def stubborn():
    try:
        holds_on()
    finally:
        print("not said", flush=True)


@flow
def patient():
    try:
        watches.submit().result()
    finally:
        print("cleaned up", flush=True)


{call}
"""
MESSAGE = "Crashed('Execution was aborted by an interrupt signal.')"


@pytest.fixture
def started(tmp_path):
    processes = []

    def start(call):
        script = tmp_path / "script.py"
        script.write_text(SCRIPT.format(call=call), encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, script],
            env={**os.environ, "TRIOFLOW_HOME": str(tmp_path / "home")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        wait_for_line(process, "under way")
        return process

    yield start
    for process in processes:
        kill(process)


def states(tmp_path):
    """Of the flow run, and of its task runs."""

    async def look():
        books = Books(await current_client())
        return str((await books.flow_run()).state), set((await books.task_states()).values())

    with use_settings(Settings(home=tmp_path / "home")):
        return trio.run(look)


def interrupt(process):
    process.send_signal(signal.SIGINT)


def test_one_ctrl_c_ends_a_flow_that_waits_for_a_task(started, tmp_path):
    process = started("patient()")

    interrupt(process)
    said, _ = process.communicate(timeout=SECONDS)

    assert process.returncode == -signal.SIGINT
    assert "cleaned up" in said
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert states(tmp_path) == (MESSAGE, {MESSAGE})


def test_a_second_ctrl_c_ends_code_that_holds_on(started, tmp_path):
    process = started("stubborn()")

    interrupt(process)
    wait_for_line(process, "Ctrl-C again ends it at once")
    assert process.poll() is None
    interrupt(process)
    said, _ = process.communicate(timeout=SECONDS)

    assert process.returncode == 130
    assert "not said" not in said
    assert states(tmp_path) == (MESSAGE, {MESSAGE})


def test_a_third_ctrl_c_waits_for_no_hook(started, tmp_path):
    process = started("stubborn_with_a_hook()")

    interrupt(process)
    wait_for_line(process, "Ctrl-C again ends it at once")
    interrupt(process)
    wait_for_line(process, "hanging")
    interrupt(process)

    assert process.wait(SECONDS) == 130
    assert states(tmp_path) == (MESSAGE, {MESSAGE})


def test_a_program_with_a_handler_of_its_own_minds_ctrl_c_itself(started, tmp_path):
    process = started(
        "signal.signal(signal.SIGINT, lambda *_: (print('heard', flush=True), never.set()))\nstubborn()"
    )

    interrupt(process)
    said, _ = process.communicate(timeout=SECONDS)

    assert process.returncode == 0
    assert "heard" in said
    assert states(tmp_path) == ("Completed('All states completed.')", {"Completed()"})
