"""A run is changed as `attrs.evolve` changes it, and the one that it was stays as it is."""

from __future__ import annotations

from uuid import UUID

import pytest
from attrs import evolve

from trioflow.core.runs import FlowRun, Run, TaskRun, changed
from trioflow.core.states import Running

ONE = UUID(int=1)
FLOW_RUN = FlowRun(id=ONE, flow_id=UUID(int=2), name="audit", root_id=ONE, tags=frozenset({"nightly"}))
TASK_RUN = TaskRun(id=ONE, task_key="add", dynamic_key="0", name="add-0", inputs={"x": 1})


@pytest.mark.parametrize("run", [FLOW_RUN, TASK_RUN])
def test_a_changed_run_differs_in_what_was_changed_and_in_nothing_else(run: Run):
    before = evolve(run)
    after = changed(run, state=Running(), version=7)
    assert after == evolve(run, state=Running(), version=7)
    assert run == before
