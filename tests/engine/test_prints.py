"""``print`` in a run is a line of its log, where the run, its parent or the settings want it."""

# ruff: noqa: T201 - `print` is what is tested

from __future__ import annotations

import builtins
import io
import itertools
import logging
import sys

import pytest
import trio
import trio.testing

from trioflow import clock
from trioflow.core.runs import FlowRun, TaskRun
from trioflow.engine.console import TOP
from trioflow.engine.logs import flow_run_logger, speaking_as, task_run_logger
from trioflow.settings import Settings, use_settings

ROOT = clock.new_id()
FLOW_RUN = FlowRun(id=ROOT, flow_id=clock.new_id(), name="brave-otter", root_id=ROOT)
TASK_RUN = TaskRun(
    id=clock.new_id(), task_key="add", dynamic_key="0", name="add-0", flow_run_id=ROOT, root_id=ROOT
)


@pytest.fixture
def flow_logger():
    return flow_run_logger(FLOW_RUN, "audit")


@pytest.fixture
def task_logger(flow_logger):
    return task_run_logger(TASK_RUN, "add", flow_logger)


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "trioflow")
    return lambda: [
        (record.levelname, getattr(record, "task_run_name", None), record.getMessage())
        for record in caplog.records
    ]


@pytest.mark.behaviour("LG-02")
def test_print_is_a_line_of_the_log_when_the_run_wants_it(flow_logger, said, capsys):
    with speaking_as(flow_logger, True):
        print("rows:", 5, sep=" = ")
        print("%d is no format", file=sys.stderr)
        print("to a file", file=io.StringIO())
    print("after")

    assert said() == [("INFO", None, "rows: = 5"), ("INFO", None, "%d is no format")]
    assert capsys.readouterr().out == "after\n"


@pytest.mark.behaviour("LG-02")
@pytest.mark.parametrize(
    "choices", [*itertools.product([False, True, None], [False, True, None], [False, True])]
)
def test_its_own_setting_counts_then_its_parents_then_the_global_one(
    choices, flow_logger, task_logger, said, capsys
):
    own, parent, setting = choices

    with (
        use_settings(Settings(log_prints=setting)),
        speaking_as(flow_logger, parent),
        speaking_as(task_logger, own),
    ):
        print("here")

    wanted = next(choice for choice in choices if choice is not None)
    assert said() == ([("INFO", "add-0", "here")] if wanted else [])
    assert capsys.readouterr().out == ("" if wanted else "here\n")


@pytest.mark.behaviour("LG-02")
async def test_print_speaks_for_its_own_run_in_tasks_and_threads(flow_logger, task_logger, said, capsys):
    both = trio.Event()

    async def speak(logger, text):
        with speaking_as(logger, True):
            await both.wait()
            print(text)
            await trio.to_thread.run_sync(print, f"{text} from a thread")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak, flow_logger, "flow")
        nursery.start_soon(speak, task_logger, "task")
        await trio.testing.wait_all_tasks_blocked()
        print("nobody's")
        both.set()

    assert set(said()) == {
        ("INFO", "add-0", "task"),
        ("INFO", "add-0", "task from a thread"),
        ("INFO", None, "flow"),
        ("INFO", None, "flow from a thread"),
    }
    assert capsys.readouterr().out == "nobody's\n"


@pytest.mark.behaviour("LG-02")
def test_the_builtin_is_ours_only_while_somebody_wants_it(flow_logger, task_logger):
    original = builtins.print

    with speaking_as(flow_logger, False):
        assert builtins.print is original
        with speaking_as(task_logger, True):
            with speaking_as(flow_logger, True):
                assert builtins.print is not original
            assert builtins.print is not original
        assert builtins.print is original


def test_a_print_that_somebody_puts_above_ours_is_theirs_to_take_away(flow_logger, said, monkeypatch, capsys):
    monkeypatch.setattr(builtins, "print", builtins.print)

    with speaking_as(flow_logger, True):
        ours = builtins.print
        builtins.print = lambda *values: ours("theirs:", *values)
        print(1)
    print(2)
    with speaking_as(flow_logger, True):
        print(3)
    builtins.print = ours
    with speaking_as(flow_logger, True):
        print(4)
    assert builtins.print is not ours

    assert [message for *_, message in said()] == ["theirs: 1", "theirs: 3", "4"]
    assert capsys.readouterr().out == "theirs: 2\n"


def test_a_log_handler_may_print(flow_logger, capsys):
    handler = logging.Handler()
    handler.emit = lambda record: print("handled", record.getMessage())
    TOP.addHandler(handler)
    try:
        with speaking_as(flow_logger, True):
            TOP.setLevel(logging.INFO)
            print("once")
    finally:
        TOP.removeHandler(handler)

    assert capsys.readouterr().out == "handled once\n"
