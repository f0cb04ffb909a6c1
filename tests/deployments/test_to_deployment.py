"""What `to_deployment` takes, what comes of it, and what it says of what it cannot take."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from attrs import evolve, fields

from trioflow import (
    CronSchedule,
    FlowDeployment,
    IntervalSchedule,
    RRuleSchedule,
    flow,
)
from trioflow.core.deployments import DeploymentSchedule, OnShutdown, PausedBy
from trioflow.core.runs import RetryPolicy
from trioflow.core.schedules.window import CatchUp, Overlap
from trioflow.core.states import StateType
from trioflow.errors import DeploymentError, EntrypointError, InvalidSchedule
from trioflow.wire.converter import from_json, to_json
from trioflow.wire.requests import ApplyDeployment


def told(**_: object) -> None: ...


@flow(version="7", retries=2, retry_delay_seconds=3, on_failure=[told], on_crashed=[told])
async def audit(root: str, depth: int = 1) -> None:
    """Looks at everything.

    And more.
    """


@flow
def plain() -> None: ...


weekly = audit.with_options(name="weekly-audit")


def due(*schedules, **fields):
    return tuple(DeploymentSchedule(schedule=schedule, **fields) for schedule in schedules)


@pytest.mark.behaviour("DP-03")
def test_a_deployment_says_of_its_flow_what_a_runner_needs_before_it_has_loaded_it():
    deployment = audit.to_deployment("nightly", parameters={"root": "/"}, tags=["a", "b"])

    assert evolve(deployment, parameter_schema={}) == FlowDeployment(
        flow_name="audit",
        name="nightly",
        entrypoint=f"{Path(__file__).absolute()}:audit",
        parameters={"root": "/"},
        tags=frozenset({"a", "b"}),
        description="Looks at everything.",
        version="7",
        retry=RetryPolicy(retries=2, delays=(3.0,)),
        hooked=frozenset({StateType.FAILED, StateType.CRASHED}),
    )
    assert [*deployment.parameter_schema["properties"]] == ["root", "depth"]


@pytest.mark.behaviour("DP-03")
def test_what_is_said_of_the_deployment_outweighs_what_its_flow_says():
    deployment = audit.to_deployment(
        "nightly",
        description="Another.",
        version="8",
        enforce_parameter_schema=False,
        triggers=[{"expect": ["x"], "within": 5}],
        on_shutdown="reschedule",
    )

    assert (deployment.description, deployment.version) == ("Another.", "8")
    assert (deployment.enforce_parameter_schema, deployment.on_shutdown) == (False, OnShutdown.RESCHEDULE)
    assert deployment.triggers == ({"expect": ["x"], "within": 5},)


def test_its_name_is_the_flows_unless_given():
    assert plain.to_deployment().full_name == "plain/plain"


def test_a_flow_of_either_colour_is_deployed_and_so_is_a_variant_under_its_own_name():
    assert plain.to_deployment().entrypoint == f"{Path(__file__).absolute()}:plain"
    assert weekly.to_deployment().entrypoint == f"{Path(__file__).absolute()}:weekly"


def test_it_survives_the_way_through_json_and_asks_for_itself():
    deployment = audit.to_deployment("nightly", cron=["0 9 * * *", "@hourly"], parameters={"root": "/"})
    request = deployment.request(UUID(int=1))

    assert from_json(to_json(deployment), FlowDeployment) == deployment
    assert {field.name for field in fields(FlowDeployment)} == {
        field.name for field in fields(ApplyDeployment)
    } - {"id"}
    assert (request.id, request.schedules, request.entrypoint) == (
        UUID(int=1),
        deployment.schedules,
        deployment.entrypoint,
    )


@pytest.mark.behaviour("DP-04")
@pytest.mark.parametrize("interval", [90, 90.0, timedelta(seconds=90)])
def test_an_interval_is_a_number_of_seconds_or_a_duration(interval):
    assert plain.to_deployment(interval=interval).schedules == due(IntervalSchedule(timedelta(seconds=90)))


ANCHOR = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)


@pytest.mark.behaviour("DP-06", "DP-10")
@pytest.mark.parametrize(
    ("keywords", "schedules"),
    [
        ({}, ()),
        ({"interval": [5, 7]}, (IntervalSchedule(5), IntervalSchedule(7))),
        ({"interval": 5, "anchor": ANCHOR}, (IntervalSchedule(5, ANCHOR),)),
        ({"cron": ["@hourly", "@daily"]}, (CronSchedule("@hourly"), CronSchedule("@daily"))),
        (
            {"rrule": ["FREQ=DAILY", "FREQ=HOURLY"]},
            (RRuleSchedule("FREQ=DAILY"), RRuleSchedule("FREQ=HOURLY")),
        ),
        ({"cron": "@daily", "timezone": "Europe/Paris"}, (CronSchedule("@daily", "Europe/Paris"),)),
        ({"schedule": CronSchedule("@daily", "Europe/Paris")}, (CronSchedule("@daily", "Europe/Paris"),)),
        (
            {"schedules": [IntervalSchedule(5), CronSchedule("@daily")]},
            (IntervalSchedule(5), CronSchedule("@daily")),
        ),
    ],
)
def test_there_are_five_ways_to_say_when_it_is_due(keywords, schedules):
    assert plain.to_deployment(**keywords).schedules == due(*schedules)


def test_how_schedules_are_kept_is_said_for_all_of_them():
    keywords = {"catch_up": "all(20)", "overlap": "buffer_one", "paused": True}

    assert plain.to_deployment(cron="@daily", **keywords).schedules == due(
        CronSchedule("@daily"),
        catch_up=CatchUp(20),
        overlap=Overlap.BUFFER_ONE,
        paused_by=PausedBy.OPERATOR,
    )


def test_other_schedules_take_the_place_of_its_own():
    deployment = plain.to_deployment(cron="@daily", tags=["a"])

    assert deployment.due(interval=5) == evolve(deployment, schedules=due(IntervalSchedule(5)))


BAD_SCHEDULES = [
    ({"interval": 5, "cron": "@daily"}, "interval and cron were given"),
    ({"rrule": "FREQ=DAILY", "schedule": CronSchedule("@daily")}, "rrule and schedule were given"),
    ({"schedule": CronSchedule("@daily"), "schedules": []}, "schedule and schedules were given"),
    ({"cron": "@daily", "anchor": ANCHOR}, "an anchor was given without an interval"),
    ({"timezone": "Europe/Paris"}, "the zone 'Europe/Paris' needs an interval"),
    ({"overlap": "skip"}, "overlap was given without an interval, cron or rrule"),
    ({"catch_up": "all(3)"}, "catch_up was given without an interval, cron or rrule"),
    ({"schedule": CronSchedule("@daily"), "timezone": "UTC"}, "the zone 'UTC' needs an interval"),
    ({"interval": 0}, "longer than 0 seconds"),
    ({"interval": -5}, "longer than 0 seconds"),
    ({"interval": "5"}, "interval cannot be '5': give seconds or a timedelta"),
    ({"interval": True}, "not True"),
    ({"cron": "61 * * * *"}, "61 is no minute"),
    ({"cron": 5}, "cron cannot be 5: give a text such as"),
    ({"rrule": "FREQ=NEVER"}, "the RRULE 'FREQ=NEVER' cannot be"),
    ({"cron": "@daily", "timezone": "Europe/Nowhere"}, "there is no time zone 'Europe/Nowhere'"),
    ({"schedule": "@daily"}, "schedules cannot be '@': give an IntervalSchedule"),
    ({"schedules": 5}, "schedules cannot be 5"),
    ({"cron": "@daily", "catch_up": "most"}, "there is no catch-up 'most': give skip, latest or all"),
    (
        {"cron": "@daily", "overlap": "none"},
        "overlap is one of allow, skip, buffer_one, cancel_other, not 'none'",
    ),
]


@pytest.mark.behaviour("DP-06", "DP-07")
@pytest.mark.parametrize(("keywords", "says"), BAD_SCHEDULES)
def test_what_cannot_be_scheduled_is_refused_by_name(keywords, says):
    with pytest.raises(InvalidSchedule) as refusal:
        plain.to_deployment(**keywords)

    assert says in str(refusal.value)
    assert isinstance(refusal.value, ValueError)


@pytest.mark.behaviour("DP-08")
@pytest.mark.parametrize("keyword", ["image", "job_variables", "work_pool_name", "work_queue_name"])
def test_what_needs_a_work_pool_says_that_there_is_none(keyword):
    with pytest.raises(DeploymentError, match=f"a deployment has no {keyword}: there are no work pools yet"):
        plain.to_deployment(**{keyword: "x"})


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"name": "a/b"}, "the name 'a/b' contains /"),
        ({"name": "50%"}, "the name '50%' contains %"),
        ({"name": " "}, "the name of a deployment is a text such as 'nightly', not ' '"),
        ({"name": 5}, "the name of a deployment is a text such as 'nightly', not 5"),
        ({"intervall": 5}, "a deployment has no option 'intervall': did you mean interval?"),
        ({"tags": "abc"}, "tags are a list of texts"),
        ({"triggers": [5]}, "a trigger is a mapping"),
        ({"triggers": [{"fn": told}]}, "a trigger is {'fn': <function told"),
        ({"parameters": {"root": told}}, "the parameter root is <function told"),
        ({"parameters": {"depth": "deep"}}, "depth: 'deep' is not a whole number"),
        ({"parameters": {"roots": "/"}}, "the flow takes (root, depth): roots is unknown"),
        ({"parameters": 5}, "parameters are a mapping"),
        ({"on_shutdown": "wait"}, "on_shutdown is one of cancel, crash, reschedule, not 'wait'"),
    ],
)
def test_what_cannot_be_deployed_is_refused_by_name(keywords, says):
    with pytest.raises(DeploymentError) as refusal:
        audit.to_deployment(**keywords)

    assert says in str(refusal.value)
    assert isinstance(refusal.value, ValueError)


def test_parameters_that_do_not_fit_are_kept_where_the_schema_is_not_enforced():
    deployment = audit.to_deployment(parameters={"depth": "deep"}, enforce_parameter_schema=False)

    assert deployment.parameters == {"depth": "deep"}


def test_what_json_has_no_word_for_is_kept_with_a_tag():
    deployment = audit.to_deployment(parameters={"root": {"$path": "x"}, "depth": 2})
    tagged = plain.to_deployment(enforce_parameter_schema=False, parameters={"day": date(2026, 1, 31)})

    assert deployment.parameters == {"root": {"$dict": [["$path", "x"]]}, "depth": 2}
    assert tagged.parameters == {"day": {"$date": "2026-01-31"}}


# --- flows that nobody else finds


@pytest.mark.behaviour("DP-09")
def test_a_flow_that_is_defined_in_a_function_says_where_it_should_be():
    @flow
    def inner() -> None: ...

    with pytest.raises(DeploymentError) as refusal:
        inner.to_deployment()

    assert str(refusal.value) == (
        "no other process can load flow 'inner', since it is defined inside of "
        "test_a_flow_that_is_defined_in_a_function_says_where_it_should_be(): "
        f"give it a name at the top of {Path(__file__).name}"
    )


@pytest.mark.behaviour("DP-09")
def test_a_variant_without_a_name_of_its_own_is_not_taken_for_the_flow_that_it_comes_from():
    with pytest.raises(DeploymentError, match="since no name of its file stands for it"):
        audit.with_options(name="another").to_deployment()


@pytest.mark.behaviour("DP-09")
def test_a_flow_from_a_prompt_says_that_it_needs_a_file():
    cell: dict[str, object] = {}
    exec(
        compile(
            "from trioflow import flow\n@flow\ndef typed(): ...\n",
            "<ipython-input-1>",
            "exec",
            dont_inherit=True,
        ),
        cell,
    )

    with pytest.raises(
        DeploymentError, match="flow 'typed' is in no Python file, as at a prompt or in a notebook"
    ):
        cell["typed"].to_deployment()  # type: ignore[attr-defined]


# --- from an entry point


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "nightly_flows.py"
    path.write_text(
        "from trioflow import flow\n"
        "def make():\n"
        "    @flow\n"
        "    def made(n: int): ...\n"
        "    return made\n"
        "one = make()\n"
    )
    return path


@pytest.mark.behaviour("DP-09")
def test_a_flow_that_is_loaded_from_an_entry_point_is_deployed_under_it(file):
    named = FlowDeployment.from_entrypoint(f"{file}:one", "nightly", cron="@daily", parameters={"n": 1})
    only = FlowDeployment.from_entrypoint(str(file))

    assert (named.full_name, named.entrypoint) == ("made/nightly", f"{file}:one")
    assert (named.schedules, named.parameters) == (due(CronSchedule("@daily")), {"n": 1})
    assert (only.full_name, only.entrypoint) == ("made/made", f"{file}:one")


def test_an_entry_point_without_a_flow_is_refused(file):
    with pytest.raises(EntrypointError, match="there is no two in"):
        FlowDeployment.from_entrypoint(f"{file}:two")
