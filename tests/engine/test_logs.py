"""What runs say: whose records they are."""

from __future__ import annotations

import logging

import pytest
import trio

from trioflow import clock
from trioflow.core.runs import FlowRun, TaskRun
from trioflow.engine.logs import flow_run_logger, get_run_logger, speaking_as, task_run_logger
from trioflow.errors import OutsideFlow

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


@pytest.mark.behaviour("LG-01")
def test_records_carry_the_names_of_run_and_flow_and_the_new_name_after_a_rename(flow_logger, caplog):
    caplog.set_level(logging.INFO, "trioflow")

    flow_logger.info("one")
    flow_logger.rename("clever-fox")
    flow_logger.info("two")

    said = [
        (record.flow_run_name, record.flow_name, record.flow_run_id, record.name) for record in caplog.records
    ]
    assert said == [
        ("brave-otter", "audit", ROOT, "trioflow.flow_runs"),
        ("clever-fox", "audit", ROOT, "trioflow.flow_runs"),
    ]


@pytest.mark.behaviour("LG-01")
def test_records_of_a_task_carry_its_flow_run_too(flow_logger, task_logger, caplog):
    caplog.set_level(logging.INFO, "trioflow")

    task_logger.rename("add-one")
    task_logger.info("here")

    (said,) = caplog.records
    assert (said.task_run_name, said.task_name, said.task_run_id) == ("add-one", "add", TASK_RUN.id)
    assert (said.flow_run_name, said.flow_name, said.flow_run_id) == ("brave-otter", "audit", ROOT)
    assert flow_logger.said["flow_run_name"] == "brave-otter"


def test_outside_of_any_run_there_is_no_run_logger():
    with pytest.raises(OutsideFlow, match="get_run_logger"):
        get_run_logger()


async def test_the_innermost_run_speaks_in_tasks_and_threads(flow_logger, task_logger):
    seen = []

    async def look():
        seen.append(get_run_logger())
        seen.append(await trio.to_thread.run_sync(get_run_logger))

    with speaking_as(flow_logger, None):
        with speaking_as(task_logger, None):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(look)
        seen.append(get_run_logger())

    assert seen == [task_logger, task_logger, flow_logger]
