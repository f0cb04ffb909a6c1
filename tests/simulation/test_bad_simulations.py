"""What cannot be simulated is told by file and line, with what to do instead; nothing hangs."""

from __future__ import annotations

import inspect
import socket
import subprocess
import threading
import time
from datetime import timedelta
from time import sleep as nap

import pytest
import trio

import trioflow
from trioflow.errors import SimulationError
from trioflow.testing.simulation import Simulation, simulate


@trioflow.flow
async def sleeps():
    time.sleep(0.01)  # noqa: ASYNC251 - it is what is to be told


@trioflow.flow
def sleeps_in_a_thread():
    time.sleep(0.01)


@trioflow.flow
async def sleeps_by_another_name():
    nap(0.01)  # noqa: ASYNC251 - as above


@trioflow.flow
async def starts_a_thread():
    threading.Thread(target=int).start()


@trioflow.flow
async def opens_a_socket():
    socket.create_connection(("127.0.0.1", 9))


@trioflow.flow
async def starts_a_process():
    subprocess.run(["true"], check=True)  # noqa: ASYNC221 - as above


@trioflow.flow
async def awaits_a_process():
    await trio.run_process(["true"])


@trioflow.flow
async def never_awaits():
    while True:
        pass


@trioflow.flow
async def goes_round():
    while True:
        await trio.lowlevel.checkpoint()


@trioflow.flow
def waits_in_a_thread():
    threading.Event().wait()


def told(flow, **keywords) -> str:
    with pytest.raises(SimulationError) as raised:
        simulate(flow.to_deployment("d", interval=60), duration=timedelta(minutes=10), **keywords)
    return str(raised.value)


def line_of(flow, text: str) -> str:
    lines, first = inspect.getsourcelines(flow.fn)
    (at,) = [first + number for number, line in enumerate(lines) if text in line]
    return f"{__file__}:{at} ({flow.fn.__name__})"


@pytest.mark.parametrize(
    ("flow", "text", "what", "instead"),
    [
        (sleeps, "time.sleep", "time.sleep", "await trio.sleep(seconds)"),
        (sleeps_in_a_thread, "time.sleep", "time.sleep", "trio.from_thread.run(trio.sleep, seconds)"),
        (sleeps_by_another_name, "nap", "time.sleep", "await trio.sleep(seconds)"),
        (starts_a_thread, "start()", "a thread", "a task of a nursery"),
        (opens_a_socket, "create_connection", "a socket", "a client that your test passes in"),
        (starts_a_process, "subprocess", "a process", "a model of its run"),
        (awaits_a_process, "run_process", "a process", "a model of its run"),
    ],
)
def test_what_is_real_is_told_by_its_line_and_with_what_to_do_instead(flow, text, what, instead):
    message = told(flow)
    assert message.startswith(f"{line_of(flow, text)} uses {what}")
    assert instead in message


def test_code_that_never_awaits_is_told():
    message = told(never_awaits, patience=1.0)
    assert "test_bad_simulations.py" in message
    assert "(never_awaits) kept the loop for" in message


def test_code_that_lets_no_time_pass_is_told():
    message = told(goes_round)
    assert f"{line_of(goes_round, 'checkpoint')}" in message
    assert message.startswith("no virtual time passes")


def test_a_thread_that_waits_for_the_real_world_is_told():
    message = told(waits_in_a_thread, patience=1.0)
    assert line_of(waits_in_a_thread, "wait()") in message
    assert "did not go on for 1 real seconds" in message


async def sleeps_for_ever(_simulation: Simulation) -> None:
    await trio.sleep_forever()


async def sleeps_for_ever_twice(_simulation: Simulation) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        nursery.start_soon(trio.sleep_forever)


@pytest.mark.parametrize("script", [sleeps_for_ever, sleeps_for_ever_twice])
def test_a_script_that_does_not_end_is_told(script):
    with pytest.raises(SimulationError, match="the script had not ended after 1:00:00"):
        simulate(script=script)


def test_what_simulations_replace_is_put_back():
    before = time.sleep, threading.Thread.start, trio.to_thread.run_sync, trio.from_thread.run
    told(sleeps)
    assert before == (time.sleep, threading.Thread.start, trio.to_thread.run_sync, trio.from_thread.run)
