"""Decoded rows: what goes on is decoded once; what is over is forgotten, so that memory is a matter of live runs."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from attrs import evolve

from trioflow.core.runs import FlowRun, TaskRun
from trioflow.core.states import Completed, Running
from trioflow.orchestrator.decoded import Decoded

AT = datetime(2026, 1, 1, tzinfo=UTC)
FLOW_RUN = FlowRun(id=UUID(int=1), flow_id=UUID(int=2), root_id=UUID(int=1), name="f", state=Running())
TASK_RUN = TaskRun(
    id=UUID(int=3), root_id=UUID(int=1), task_key="t", dynamic_key="0", name="t-0", state=Running()
)
LEASE_ROW = (UUID(int=1).bytes, 1, "here", 2, 3, AT.isoformat())


def test_what_was_written_while_it_goes_on_is_not_decoded_again():
    decoded = Decoded()
    flow_row, task_row = decoded.flow_run_row(FLOW_RUN), decoded.task_run_row(TASK_RUN)

    assert decoded.flow_run(flow_row) is FLOW_RUN
    assert decoded.task_run(task_row) is TASK_RUN
    assert decoded.lease(LEASE_ROW) is decoded.lease(LEASE_ROW)


def test_a_flow_run_that_is_over_is_not_kept_nor_is_its_lease():
    decoded = Decoded()
    lease, before = decoded.lease(LEASE_ROW), decoded.flow_run_row(FLOW_RUN)
    over = evolve(FLOW_RUN, state=Completed())
    after = decoded.flow_run_row(over)

    assert decoded.flow_run(after) == over
    assert decoded.flow_run(after) is not decoded.flow_run(after)
    assert decoded.flow_run(before) is not FLOW_RUN
    assert decoded.lease(LEASE_ROW) is not lease


def test_a_task_run_that_is_over_is_not_kept():
    decoded = Decoded()
    before = decoded.task_run_row(TASK_RUN)
    over = evolve(TASK_RUN, state=Completed())
    after = decoded.task_run_row(over)

    assert decoded.task_run(after) == over
    assert decoded.task_run(after) is not decoded.task_run(after)
    assert decoded.task_run(before) is not TASK_RUN
