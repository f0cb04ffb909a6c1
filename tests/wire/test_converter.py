"""Whatever can be said on the wire is heard as it was said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from attrs import has, resolve_types
from cattrs import BaseValidationError
from hypothesis import given
from hypothesis import strategies as st

from trioflow import clock
from trioflow.core.deployments import Deployment, DeploymentSchedule
from trioflow.core.leases import Owner
from trioflow.core.recorded import RecordedResult
from trioflow.core.runs import FlowRun, RetryPolicy, RunTimes, TaskRun
from trioflow.core.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule
from trioflow.core.schedules.window import CatchUp
from trioflow.core.states import State, StateDetails, StateType, Suspended
from trioflow.core.verdicts import Accept, Reject
from trioflow.wire import endpoints, filters, replies, requests
from trioflow.wire.converter import from_json, to_builtins, to_json

OURS = (
    *(State, StateDetails, FlowRun, TaskRun, RetryPolicy, RunTimes, RecordedResult),
    *(Deployment, DeploymentSchedule),
)
for type_ in (*OURS, *vars(replies).values(), *vars(requests).values(), *vars(filters).values()):
    if isinstance(type_, type) and has(type_):
        resolve_types(type_)

texts = st.text(st.characters(codec="utf-8"), max_size=20)
instants = st.datetimes(timezones=st.just(UTC))
json_values = st.dictionaries(
    texts, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts, max_size=3
)

st.register_type_strategy(str, texts)
st.register_type_strategy(datetime, instants)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(int, st.integers(1, 200))


def built(type_: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(type_, **fields)


details = st.from_type(StateDetails)
states = built(
    State, type=st.sampled_from(StateType), details=details, data=st.none() | st.from_type(RecordedResult)
)
st.register_type_strategy(State, states)
st.register_type_strategy(RetryPolicy, st.from_type(RetryPolicy))
st.register_type_strategy(RunTimes, st.from_type(RunTimes))
st.register_type_strategy(FlowRun, built(FlowRun, state=st.none() | states, parameters=json_values))
st.register_type_strategy(TaskRun, built(TaskRun, state=st.none() | states, inputs=json_values))


st.register_type_strategy(
    Schedule,
    st.sampled_from(
        [
            IntervalSchedule(0.25),
            IntervalSchedule(86_400, datetime(2026, 3, 1, 9, 30), "Europe/London"),  # noqa: DTZ001 - read in the zone
            CronSchedule("0 9 * * MON", "America/New_York", day_or=False),
            RRuleSchedule("FREQ=DAILY;COUNT=3", "Asia/Beirut"),
        ]
    ),
)
st.register_type_strategy(CatchUp, st.builds(CatchUp, st.integers(0, 1000)))
parameters = dict.fromkeys(("parameters", "parameter_schema"), json_values)
st.register_type_strategy(
    Deployment, built(Deployment, **parameters, triggers=st.lists(json_values, max_size=2).map(tuple))
)


def messages(type_: type[Any]) -> st.SearchStrategy[Any]:
    names = {"parameters", "parameter_schema", "inputs"} & type_.__annotations__.keys()
    fields = dict[str, st.SearchStrategy[Any]].fromkeys(names, json_values)
    if "triggers" in type_.__annotations__:
        fields["triggers"] = st.lists(json_values, max_size=2).map(tuple)
    return st.builds(type_, **fields) if fields else st.from_type(type_)


@pytest.mark.parametrize("endpoint", endpoints.ENDPOINTS, ids=lambda endpoint: endpoint.name)
@given(data=st.data())
def test_every_request_and_reply_survives_the_wire(
    endpoint: endpoints.Endpoint[Any, Any], data: st.DataObject
) -> None:
    for type_ in (endpoint.request, endpoint.reply):
        said = data.draw(messages(type_))
        assert from_json(to_json(said), type_) == said


def test_endpoints_have_names_and_routes_of_their_own() -> None:
    assert len({endpoint.name for endpoint in endpoints.ENDPOINTS}) == len(endpoints.ENDPOINTS)
    assert len({(endpoint.method, endpoint.path) for endpoint in endpoints.ENDPOINTS}) == len(
        endpoints.ENDPOINTS
    )


def test_a_suspended_state_is_spelt_as_prefects_clients_know_it() -> None:
    spelt = to_builtins(Suspended(key="k"))
    assert (spelt["type"], spelt["name"]) == ("PAUSED", "Suspended")
    assert spelt["state_details"]["pause_reschedule"] is True


def test_a_verdict_is_told_by_its_status() -> None:
    run = TaskRun(id=clock.new_id(), task_key="k", dynamic_key="0", name="k-0")
    rejected = replies.TaskRunAnswer(Reject(None, "no"), run)
    assert to_builtins(rejected)["verdict"] == {
        "status": "REJECT",
        "state": None,
        "reason": "no",
        "written": False,
    }
    assert from_json(to_json(rejected), replies.TaskRunAnswer) == rejected


def test_a_live_value_never_leaves_the_process() -> None:
    state = State(type=StateType.COMPLETED, name="Completed", data=object())
    assert to_builtins(Accept(state))["state"]["data"] is None


@pytest.mark.parametrize("order", [list, reversed])
def test_sets_are_spelt_in_order_however_they_are_hashed(order: Any) -> None:
    names = [f"tag-{number:02}" for number in range(20)]
    ids = [UUID(int=number) for number in range(20)]
    request = requests.TakeOwedHooks(
        owner=Owner(host="here", pid=1, started=2),
        deployment_ids=frozenset(order(ids)),
        entrypoints=frozenset(order(names)),
    )
    spelt = to_builtins(request)
    assert (spelt["entrypoints"], spelt["deployment_ids"]) == (names, [str(id_) for id_ in ids])
    assert to_builtins(frozenset(order(names))) == names


def test_an_unknown_field_is_refused_by_its_name() -> None:
    spelt = {**json.loads(to_json(replies.Done())), "surprise": 1}
    with pytest.raises(BaseValidationError) as caught:
        from_json(json.dumps(spelt), replies.Done)
    assert "surprise" in repr(caught.value.exceptions)


@pytest.mark.behaviour("ST-06")
@pytest.mark.parametrize("request_", [requests.ProposeFlowRunState, requests.ProposeTaskRunState])
def test_a_proposal_that_names_no_run_can_neither_be_made_nor_heard(request_: type[Any]) -> None:
    fields = {"state": Suspended(), "transition_id": clock.new_id()}
    with pytest.raises(TypeError, match="run_id"):
        request_(**fields)
    spelt = to_builtins(request_(run_id=clock.new_id(), **fields))
    del spelt["run_id"]
    with pytest.raises(BaseValidationError) as caught:
        from_json(json.dumps(spelt), request_)
    assert "run_id" in repr(caught.value.exceptions)
