"""What runs say on stderr, as long as nobody has set up logging."""

from __future__ import annotations

import io
import logging
import sys
from contextlib import contextmanager

import pytest

from trioflow import clock
from trioflow.core.runs import FlowRun, TaskRun
from trioflow.engine.console import TOP, ConsoleHandler
from trioflow.engine.logs import flow_run_logger, task_run_logger

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


@contextmanager
def a_program_without_logging(stderr):
    """Nobody has set up logging: not even pytest, which does so when a test is called."""
    handler = ConsoleHandler()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        patch.setattr(logging.root, "handlers", [])
        patch.setattr(TOP, "handlers", [handler])
        before = TOP.level
        TOP.setLevel(logging.INFO)
        yield
        TOP.setLevel(before)


def test_runs_are_heard_on_stderr_one_line_each(flow_logger, task_logger):
    shown = io.StringIO()

    with a_program_without_logging(shown):
        flow_logger.info("Created flow run %r", "brave-otter")
        task_logger.error("No")
        logging.getLogger("trioflow.else").warning("Watch out")
        flow_logger.debug("not this")

    lines = [line.partition(" | ") for line in shown.getvalue().splitlines()]
    assert [line for _, _, line in lines] == [
        "INFO    | Flow run 'brave-otter' - Created flow run 'brave-otter'",
        "ERROR   | Task run 'add-0' - No",
        "WARNING | trioflow.else - Watch out",
    ]
    assert all(len(time) == len("12:00:01.123") for time, _, _ in lines)


def test_what_could_steer_a_terminal_is_shown_and_not_sent(flow_logger):
    shown = io.StringIO()

    with a_program_without_logging(shown):
        flow_logger.info("\x1b[31mred\x07 tab\t line\n next")

    assert shown.getvalue().endswith(" - \\x1b[31mred\\x07 tab\t line\n next\n")


@pytest.mark.parametrize("logger", [logging.root, TOP])
def test_a_program_that_set_up_logging_is_left_alone(flow_logger, logger):
    shown, said = io.StringIO(), []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())

    with a_program_without_logging(shown):
        logger.handlers.append(handler)
        flow_logger.info("heard once")

    assert (said, shown.getvalue()) == (["heard once"], "")


def test_a_process_without_stderr_goes_on(flow_logger):
    with a_program_without_logging(None):
        flow_logger.info("nobody hears")


def test_a_stderr_that_is_closed_stops_nobody(flow_logger):
    shown = io.StringIO()
    shown.close()

    with a_program_without_logging(shown):
        flow_logger.info("nobody hears")
