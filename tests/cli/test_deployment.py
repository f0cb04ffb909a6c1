"""`trioflow deployment ...`: what stands in the home, with nobody serving it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.cli.conftest import creation
from trioflow import FlowDeployment, IntervalSchedule, clock, flow
from trioflow.core.deployments import PausedBy
from trioflow.core.states import Completed, Scheduled
from trioflow.wire import endpoints, requests

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Noon(clock.RealWorld):
    """It is always twelve."""

    def now(self) -> datetime:
        return NOW


@flow(version="1")
def pack(n: int, label: str = "x") -> None:
    """Packs."""


@flow(version="1")
def ship() -> None: ...


@pytest.fixture(autouse=True)
def noon():
    with clock.use(Noon()):
        yield


@pytest.fixture
def apply(shell):
    """Makes deployments known; each has the number of its turn for an id."""
    known: list[FlowDeployment] = []

    def apply(*deployments: FlowDeployment) -> None:
        for deployment in deployments:
            known.append(deployment)
            shell.ask((endpoints.APPLY_DEPLOYMENT, deployment.request(UUID(int=len(known)))))

    return apply


def rows(answer):
    return [line.split() for line in answer.out.splitlines()]


# --- ls


def test_deployments_are_listed_with_when_they_are_due_and_whether_they_may_be(shell, apply):
    apply(
        pack.to_deployment("nightly", cron="0 9 * * *", timezone="Europe/Berlin"),
        pack.to_deployment("quick", schedules=[IntervalSchedule(30), IntervalSchedule(3600)]),
        ship.to_deployment("by-hand"),
    )
    shell("deployment", "pause", "nightly")

    answer = shell("deployment", "ls")

    assert [" ".join(row) for row in rows(answer)] == [
        "NAME SCHEDULE NEXT STATUS",
        "pack/nightly cron 0 9 * * * (Europe/Berlin) paused",
        "pack/quick every 30 s in 30 s active",
        "every 1 h active",
        "ship/by-hand runs when asked to",
    ]


def test_what_the_runner_paused_is_told_from_what_an_operator_did(shell, apply):
    apply(ship.to_deployment("quick", interval=30))
    shell.ask(
        (endpoints.PAUSE_SCHEDULES, requests.PauseSchedules(deployment_id=UUID(int=1), by=PausedBy.RUNNER))
    )

    assert " ".join(rows(shell("deployment", "ls"))[1]) == "ship/quick every 30 s paused by its runner"


def test_as_json_a_list_says_all_of_each(shell, apply):
    apply(ship.to_deployment("quick", interval=30))

    (found,) = shell("deployment", "ls", "--json").data

    assert (found["flow_name"], found["name"], found["next_due"]) == (
        "ship",
        "quick",
        "2026-03-01T12:00:30+00:00",
    )
    assert found["schedules"][0]["schedule"]["interval"] == 30


def test_where_there_is_none_it_is_said_how_to_make_one_and_no_home_is_made(shell):
    assert shell("deployment", "ls").err == (
        f"No deployments yet in {shell.home}: `trioflow serve flows.py` makes one of each flow in a file, "
        "and serves it.\n"
    )
    assert shell("deployment", "ls", "--json").data == []
    assert not shell.home.exists()


# --- names


@pytest.mark.parametrize("command", ["inspect", "run", "pause", "resume", "delete"])
def test_a_name_that_nobody_has_is_one_line_with_the_nearest(shell, apply, command):
    before = shell("deployment", command, "nigthly")
    apply(pack.to_deployment("nightly"))
    after = shell("deployment", command, "nigthly")

    assert (before.code, before.err) == (
        2,
        f"error: there is no deployment 'nigthly' in {shell.home}: `trioflow serve flows.py` makes them\n",
    )
    assert (after.code, after.err) == (
        2,
        "error: there is no deployment 'nigthly': did you mean pack/nightly?\n",
    )


def test_a_name_that_is_near_to_none_is_one_line_with_all_that_there_are(shell, apply):
    apply(pack.to_deployment("nightly"), ship.to_deployment("nightly"))

    answer = shell("deployment", "run", "zzz")

    assert (answer.code, answer.err) == (
        2,
        "error: there is no deployment 'zzz': there is pack/nightly, ship/nightly\n",
    )


def test_a_name_that_several_have_is_one_line_that_names_them(shell, apply):
    apply(pack.to_deployment("nightly"), ship.to_deployment("nightly"))

    answer = shell("deployment", "pause", "nightly")

    assert (answer.code, answer.err) == (
        2,
        "error: several deployments are called 'nightly': say pack/nightly or ship/nightly\n",
    )


# --- pause, resume, delete


def test_a_deployment_is_paused_and_resumed_and_deleted(shell, apply):
    apply(ship.to_deployment("quick", interval=30))

    assert shell("deployment", "pause", "quick").out == (
        "Paused ship/quick until `trioflow deployment resume ship/quick`\n"
    )
    assert shell("flow-run", "ls", "--state", "SCHEDULED", "--json").data == []
    assert shell("deployment", "resume", "ship/quick").out == "Resumed ship/quick: due in 30 s\n"
    assert len(shell("flow-run", "ls", "--state", "SCHEDULED", "--json").data) > 0
    assert shell("deployment", "delete", "quick").out == "Deleted ship/quick\n"
    assert shell("deployment", "ls", "--json").data == []


def test_a_deployment_without_a_schedule_has_nothing_to_pause(shell, apply):
    apply(ship.to_deployment("by-hand"))

    assert (
        shell("deployment", "pause", "by-hand").out == "ship/by-hand has no schedule that could be paused\n"
    )
    assert shell("deployment", "resume", "by-hand").out == "ship/by-hand has no schedule that is due again\n"


# --- inspect


def test_inspect_shows_what_a_deployment_takes_when_it_is_due_and_its_runs(shell, apply):
    apply(
        pack.to_deployment(
            "nightly", interval=30, catch_up="skip", overlap="skip", parameters={"n": 1}, tags=["a", "b"]
        )
    )
    shell.ask(
        (
            endpoints.CREATE_FLOW_RUN,
            creation(0xABC, "brave-otter", Completed(), flow="pack", deployment_id=UUID(int=1)),
        )
    )

    answer = shell("deployment", "inspect", "nightly")

    assert [" ".join(row) for row in rows(answer)] == [
        "Deployment 'pack/nightly'",
        f"id {UUID(int=1)}",
        f"entrypoint {Path(__file__).absolute()}:pack",
        "version 1",
        "description Packs.",
        "tags a, b",
        "on shutdown cancel",
        "",
        "Schedules",
        "every 30 s active in 30 s catch-up skip overlap skip",
        "",
        "Parameters",
        "NAME WANTS VALUE",
        "n a whole number 1",
        "label a text 'x' (the flow's default)",
        "",
        "Newest runs",
        "00000abc brave-otter Completed",
    ]


def test_as_json_inspect_says_all(shell, apply):
    apply(pack.to_deployment("nightly"))

    told = shell("deployment", "inspect", "nightly", "--json").data

    assert (told["id"], told["parameter_schema"]["required"], told["runs"]) == (str(UUID(int=1)), ["n"], [])


# --- run


def test_a_run_is_asked_for_and_its_id_and_name_are_printed(shell, apply):
    apply(pack.to_deployment("nightly", tags=["a"]))

    answer = shell(
        "deployment", "run", "nightly", "-p", "n=3", "-p", "label=3", "--tag", "b", "--name", "mine"
    )

    run = shell.the_only_run()
    assert answer.out == f"{run['id']} mine\n"
    assert answer.err == (
        "A run of pack/nightly is due now; whoever serves it runs it. "
        f"`trioflow flow-run inspect {run['id'][-8:]}` tells how it goes.\n"
    )
    assert (run["parameters"], sorted(run["tags"])) == ({"n": 3, "label": "3"}, ["a", "b"])


def test_parameters_may_be_given_as_one_object_and_quietly(shell, apply):
    apply(pack.to_deployment("nightly"))

    answer = shell("deployment", "run", "nightly", "--params", '{"n": 1, "label": "y"}', "-p", "n=2", "-q")

    assert answer.err == ""
    assert shell.the_only_run()["parameters"] == {"n": 2, "label": "y"}


@pytest.mark.parametrize(
    ("words", "due"),
    [
        (["--in", "90"], NOW + timedelta(seconds=90)),
        (["--in", "1.5h"], NOW + timedelta(hours=1.5)),
        (["--in", "2d"], NOW + timedelta(days=2)),
        (["--at", "2026-03-02T09:30+01:00"], datetime(2026, 3, 2, 8, 30, tzinfo=UTC)),
        (["--at", "2026-03-02T09:30"], datetime(2026, 3, 2, 9, 30).astimezone(UTC)),
    ],
)
def test_a_run_may_be_due_later(shell, apply, words, due):
    apply(ship.to_deployment("by-hand"))

    shell("deployment", "run", "by-hand", *words)

    (run,) = shell("flow-run", "ls", "--state", "SCHEDULED", "--json").data
    assert datetime.fromisoformat(run["times"]["next_scheduled_start"]) == due


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-p", "n=two"], "the flow takes (n, label): n: 'two' is not a whole number"),
        (["-p", "m=2"], "the flow takes (n, label): n is missing; m is unknown"),
        (["-p", "n"], "-p 'n' is not a parameter: give -p name=value"),
        (["--params", "[]"], "--params is not an object"),
        (["-p", "n=1", "--in", "soon"], "--in 'soon' is no time to wait: give seconds as 90, or 15m, 2h, 1d"),
        (["-p", "n=1", "--at", "noon"], "--at 'noon' is no instant: give one as 2026-01-31T09:30"),
        (["-p", "n=1", "--at", "2026-03-02", "--in", "5"], "--at and --in both say when the run is due"),
    ],
)
def test_a_run_that_cannot_be_is_one_line_and_no_run(shell, apply, words, says):
    apply(pack.to_deployment("nightly"))

    answer = shell("deployment", "run", "nightly", *words)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {says}")
    assert shell("flow-run", "ls", "--state", "SCHEDULED", "--json").data == []


# --- the runs of deployments


def test_runs_that_are_planned_for_later_are_left_out_and_counted(shell, apply):
    apply(ship.to_deployment("quick", interval=30))
    planned = len(shell("flow-run", "ls", "--state", "SCHEDULED", "--json", "--limit", "1000").data)
    shell.flow_run(0xABC, "brave-otter", Completed())
    shell.flow_run(0xABD, "due-otter", Scheduled(NOW))

    answer = shell("flow-run", "ls")

    assert [row[1] for row in rows(answer)] == ["NAME", "due-otter", "brave-otter"]
    assert answer.err == (
        f"{planned} runs are planned for later: `trioflow flow-run ls --state SCHEDULED` lists them.\n"
    )


def test_one_run_for_later_is_one_run(shell, apply):
    apply(ship.to_deployment("by-hand"))
    shell("deployment", "run", "by-hand", "--in", "1h", "-q")

    answer = shell("flow-run", "ls")

    assert answer.err.splitlines() == [
        f"No runs yet in {shell.home}.",
        "1 run is planned for later: `trioflow flow-run ls --state SCHEDULED` lists them.",
    ]


def test_runs_of_one_deployment_are_listed(shell, apply):
    apply(ship.to_deployment("by-hand"), pack.to_deployment("nightly", parameters={"n": 1}))
    for name in ("by-hand", "nightly"):
        shell("deployment", "run", name, "--name", f"of-{name}", "-q")

    assert [row[1] for row in rows(shell("flow-run", "ls", "--deployment", "nightly"))[1:]] == ["of-nightly"]
    assert shell("flow-run", "ls", "--deployment", "hourly").code == 2
