"""What a flow run is entered through, and in which order it is left."""

# ruff: noqa: T201 - `print` is part of what is tested

from __future__ import annotations

import builtins
import logging

import pytest
import trio

from trioflow import SequentialTaskRunner, flow, get_run_logger, task
from trioflow.engine.context import innermost

PRINT = builtins.print


@pytest.fixture
def told():
    """Every line of the flow run's log, and what was open when it was said: a run around it, the capture of prints."""
    lines = []

    class Listener(logging.Handler):
        def emit(self, record):
            lines.append((record.getMessage(), innermost() is not None, builtins.print is not PRINT))

    logger = logging.getLogger("trioflow.flow_runs")
    listener, level = Listener(), logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    yield lines
    logger.removeHandler(listener)
    logger.setLevel(level)


@pytest.mark.behaviour("FL-17", "FL-20")
async def test_the_task_runner_starts_before_prints_are_captured_and_all_is_closed_before_the_last_line(
    client, told, autojump_clock
):
    @task
    async def late():
        await trio.sleep(1)
        get_run_logger().info("the nursery is open")

    @flow(log_prints=True, task_runner=SequentialTaskRunner())
    async def main():
        print("printed")
        late.submit()

    await main()

    name = told[0][0].split("'")[1]
    assert [line for line in told if not line[0].startswith(("Created", "Submitted"))] == [
        (f"Executing flow 'main' for flow run '{name}'...", True, False),
        ("Beginning execution...", True, False),
        ("Starting 'SequentialTaskRunner'; submitted tasks will be run sequentially...", True, False),
        ("printed", True, True),
        ("Finished in state Completed('All states completed.')", False, False),
    ]


@pytest.mark.behaviour("FL-17")
async def test_prints_are_left_alone_without_log_prints(client, told, capsys):
    @flow
    async def main():
        print("printed")

    await main()

    assert "printed" not in [line for line, *_ in told]
    assert capsys.readouterr().out == "printed\n"


@pytest.mark.behaviour("FL-17")
async def test_the_crash_reporter_is_outside_of_all_of_it(client, told):
    class Halt(BaseException):
        pass

    @flow(log_prints=True)
    async def main():
        print("printed")
        raise Halt("now")

    with pytest.raises(Halt):
        await main()

    said = [line for line in told if line[0].startswith(("printed", "Crash detected!"))]
    assert said == [
        ("printed", True, True),
        ("Crash detected! Execution was interrupted by an unexpected exception: Halt: now", False, False),
    ]
