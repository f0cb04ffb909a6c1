"""Whether a failed task is tried again: its condition is asked; and what a retry policy cannot be."""

from __future__ import annotations

import pytest
import trio

from trioflow.client.connect import serve_store, use_client
from trioflow.core.states import StateType
from trioflow.engine.flows import flow
from trioflow.engine.tasks import task
from trioflow.errors import FlowDefinitionError
from trioflow.settings import Settings, use_settings
from trioflow.store.sqlite import open_memory


@pytest.fixture
async def engine(tmp_path):
    """Flows that are called here go through a store in memory."""
    async with trio.open_nursery() as nursery:
        use_client(await nursery.start(serve_store, open_memory()))
        with use_settings(Settings(home=tmp_path)):
            yield
        nursery.cancel_scope.cancel()


async def calls_of_a_failing_task(condition):
    calls = []

    @task(retries=2, retry_condition_fn=condition)
    async def fails():
        calls.append(1)
        raise KeyError

    @flow
    async def fails_in_a_task():
        return await fails(return_state=True)

    state = await fails_in_a_task(return_state=True)
    assert state.type is StateType.FAILED
    return len(calls)


async def later(answer):
    await trio.lowlevel.checkpoint()
    return answer


CONDITIONS = {
    "none": (None, 3),
    "yes": (lambda *_: True, 3),
    "no": (lambda *_: False, 1),
    "async yes": (lambda *_: later(True), 3),
    "async no": (lambda *_: later(False), 1),
    "by the state": (lambda _, __, state: "KeyError" in state.message, 3),
    "by the run": (lambda _, task_run, __: task_run.attempt < 2, 2),
}


@pytest.mark.behaviour("RT-04")
@pytest.mark.parametrize("asked", CONDITIONS)
async def test_a_condition_says_whether_to_try_again_and_none_says_yes(engine, asked):
    condition, calls = CONDITIONS[asked]

    assert await calls_of_a_failing_task(condition) == calls


@pytest.mark.behaviour("RT-04")
async def test_a_condition_that_raises_is_logged_and_says_no(engine, caplog):
    def breaks(*_):
        raise ValueError("in the condition")

    assert await calls_of_a_failing_task(breaks) == 1
    assert [str(record.exc_info[1]) for record in caplog.records if "retry condition" in record.message] == [
        "in the condition"
    ]


@pytest.mark.behaviour("RT-07")
@pytest.mark.parametrize(
    "options",
    [
        {"retry_delay_seconds": [1.0] * 51},
        {"retry_delay_seconds": -1},
        {"retry_delay_seconds": [1, -1]},
        {"retry_delay_seconds": float("nan")},
        {"retry_jitter_factor": -0.5},
        {"retries": -1},
    ],
)
def test_a_retry_policy_that_cannot_be_is_refused_where_it_is_defined(options):
    with pytest.raises(FlowDefinitionError):
        task(**{"retries": 3, **options})(later)
