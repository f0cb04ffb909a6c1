"""What is stored keeps its words, and a record claims nothing that it was not told."""

from __future__ import annotations

from enum import StrEnum

import pytest

from tests.core.asking import DEPLOYMENT, FLOW, flow_run, task_run
from trioflow.core.deployments import Deployment, OnShutdown, PausedBy
from trioflow.core.recorded import RecordedResult
from trioflow.core.runs import RetryPolicy, RunTimes
from trioflow.core.schedules.window import Overlap
from trioflow.core.states import StateType

STORED = {
    StateType: "SCHEDULED PENDING RUNNING PAUSED SUSPENDED CANCELLING COMPLETED FAILED CRASHED CANCELLED",
    PausedBy: "operator runner",
    OnShutdown: "cancel crash reschedule",
    Overlap: "allow skip buffer_one cancel_other",
}


@pytest.mark.parametrize(("words", "spelt"), STORED.items(), ids=lambda given: getattr(given, "__name__", ""))
def test_words_that_are_stored_stay_as_they_are_spelt(words: type[StrEnum], spelt: str) -> None:
    assert [word.value for word in words] == spelt.split()


def test_a_new_run_has_not_done_anything() -> None:
    flow, task = flow_run(), task_run()
    assert (flow.version, flow.epoch, flow.attempt, flow.retries_used, flow.resuming) == (0, 0, 0, 0, False)
    assert (task.version, task.attempt, task.retries_used, task.flow_run_attempt) == (0, 0, 0, 0)
    assert (flow.parameters, flow.times, flow.retry) == ({}, RunTimes(), RetryPolicy())
    assert (task.inputs, task.times, task.retry) == ({}, RunTimes(), RetryPolicy())
    assert (RunTimes().running, RetryPolicy().retries, RetryPolicy().on_crash) == (0.0, 0, False)


def test_a_deployment_is_called_by_its_flow_and_its_own_name_and_refuses_what_does_not_fit() -> None:
    deployment = Deployment(
        id=DEPLOYMENT, flow_id=FLOW, flow_name="etl", name="nightly", entrypoint="flows.py:etl"
    )
    assert deployment.full_name == "etl/nightly"
    assert deployment.enforce_parameter_schema is True
    assert (deployment.parameters, deployment.parameter_schema) == ({}, {})


def test_a_result_that_says_nothing_of_its_size_has_none() -> None:
    assert RecordedResult(serializer="json").size == 0
