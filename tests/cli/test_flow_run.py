"""`trioflow flow-run`: what it shows of runs, how runs are named, and how they are ended."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from tests.cli.conftest import creation
from trioflow import clock
from trioflow.core.states import Completed, Failed, Pending, Running, Scheduled
from trioflow.wire import endpoints, requests

OTTER = 0x0198C2F1A3B47C5D8E6F_00003F9A01BC
HERON = 0x0198C2F1A3B47C5D8E6F_00004BCD01BC


def test_a_home_that_is_not_there_has_no_runs_and_is_not_made(shell):
    assert shell("flow-run", "ls").err == f"No runs yet in {shell.home}.\n"
    assert shell("flow-run", "ls", "--json").data == []
    assert not shell.home.exists()


def test_ls_lists_the_newest_first(shell):
    shell.flow_run(OTTER, "brave-otter", Pending(), Running(), Completed())
    shell.flow_run(HERON, "calm-heron", Pending(), Running(), flow="audit")

    rows = [line.split()[:4] for line in shell("flow-run", "ls").out.splitlines()]

    assert rows == [
        ["ID", "NAME", "FLOW", "STATE"],
        ["4bcd01bc", "calm-heron", "audit", "Running"],
        ["3f9a01bc", "brave-otter", "greet", "Completed"],
    ]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), ["c", "b", "a"]),
        (("--state", "FAILED", "--state", "completed"), ["b", "a"]),
        (("--flow", "audit"), ["c"]),
        (("--limit", "2"), ["c", "b"]),
        (("--state", "RUNNING", "--flow", "greet"), []),
    ],
)
def test_ls_shows_what_is_asked_for(shell, words, names):
    shell.flow_run(1, "a", Running(), Completed())
    shell.flow_run(2, "b", Running(), Failed())
    shell.flow_run(3, "c", Running(), flow="audit")

    answer = shell("flow-run", "ls", "--json", *words)

    assert [run["name"] for run in answer.data] == names


def test_ls_goes_over_all_pages_up_to_the_limit(shell):
    runs = [creation(number, f"run-{number}", Pending()) for number in range(1, 206)]
    shell.ask(*((endpoints.CREATE_FLOW_RUN, run) for run in runs))

    assert len(shell("flow-run", "ls", "--json", "--limit", "204").data) == 204
    assert len(shell("flow-run", "ls", "--json", "--limit", "1000").data) == 205


def test_a_run_as_json_is_spelt_as_on_the_wire(shell):
    shell.flow_run(OTTER, "brave-otter", Running(), parameters={"n": 3}, tags=frozenset({"x"}))

    (run,) = shell("flow-run", "ls", "--json").data

    said = {name: run[name] for name in ("id", "name", "flow_name", "parameters", "tags", "version")}
    assert said == {
        "id": str(UUID(int=OTTER)),
        "name": "brave-otter",
        "flow_name": "greet",
        "parameters": {"n": 3},
        "tags": ["x"],
        "version": 1,
    }
    assert run["state"]["type"] == "RUNNING"


@pytest.mark.parametrize(
    "asked",
    [
        "0198c2f1-a3b4-7c5d-8e6f-00003f9a01bc",
        "0198C2F1A3B47C5D8E6F00003F9A01BC",
        "0198c2f1-a3b4-7c5d-8e6f-00003",
        "3f9a01bc",
        "brave-otter",
    ],
)
def test_a_run_is_named_by_its_id_by_either_end_of_it_or_by_its_name(shell, asked):
    shell.flow_run(OTTER, "brave-otter")
    shell.flow_run(HERON, "calm-heron")

    assert shell("flow-run", "inspect", asked, "--json").data["name"] == "brave-otter"


def test_a_name_may_look_like_the_digits_of_an_id(shell):
    shell.flow_run(OTTER, "c0ffee")

    assert shell("flow-run", "inspect", "c0ffee", "--json").data["id"] == str(UUID(int=OTTER))


@pytest.mark.parametrize("asked", ["0198", "01bc"])
def test_an_ambiguous_id_is_one_line_that_names_the_runs(shell, asked):
    shell.flow_run(OTTER, "brave-otter")
    shell.flow_run(HERON, "calm-heron")

    answer = shell("flow-run", "inspect", asked)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"error: {asked!r} matches 2 runs (4bcd01bc calm-heron, 3f9a01bc brave-otter): give more of the id\n"
    )


@pytest.mark.parametrize("command", ["inspect", "logs", "cancel", "rerun"])
@pytest.mark.parametrize("asked", ["nobody", "0198", "", "f" * 40])
def test_an_unknown_run_is_one_line_that_names_it_and_where_the_runs_are(shell, command, asked):
    answer = shell("flow-run", command, asked)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"error: there is no flow run {asked!r} in {shell.home}: `trioflow flow-run ls` lists them\n"
    )
    assert not shell.home.exists()


def test_inspect_shows_states_tasks_and_last_words(shell):
    run_id = shell.flow_run(OTTER, "brave-otter", Pending(), Running(), parameters={"n": 3})
    began = requests.BeginTaskRun(
        id=UUID(int=7),
        task_key="add",
        dynamic_key="0",
        name="add-0",
        state=Running(),
        transition_id=clock.new_id(),
        flow_run_id=run_id,
        root_id=run_id,
    )
    failed = requests.ProposeTaskRunState(
        run_id=began.id, state=Failed(message="no such thing"), transition_id=clock.new_id()
    )
    said = [
        requests.LogRecord(
            flow_run_id=run_id,
            task_run_id=speaker,
            logger="trioflow.flow_runs",
            level=20,
            message=message,
            at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for speaker, message in ((None, "three of them"), (began.id, "mine"), (UUID(int=8), "lost"))
    ]
    shell.ask(
        (endpoints.BEGIN_TASK_RUN, began),
        (endpoints.PROPOSE_TASK_RUN_STATE, failed),
        (endpoints.APPEND_LOGS, requests.AppendLogs(records=tuple(said))),
    )

    shown = shell("flow-run", "inspect", "brave-otter").out
    lines = [" ".join(line.split()) for line in shown.splitlines()]

    assert "Flow run 'brave-otter' of flow 'greet'" in lines
    assert f"id {UUID(int=OTTER)}" in lines
    assert "parameters n=3" in lines
    assert [line.split()[-1] for line in lines[lines.index("States") + 1 :][:2]] == ["Pending", "Running"]
    assert "Tasks: 1 Failed" in lines
    assert any(
        line.startswith("00000007 add-0 Failed now") and line.endswith("no such thing") for line in lines
    )
    told = ["INFO | three of them", "INFO | add-0 - mine", "INFO | 00000008 - lost"]
    assert [line.partition(" | ")[2] for line in lines[lines.index("Last words") + 1 :]] == told
    logs = [" ".join(line.split()) for line in shell("flow-run", "logs", "brave-otter").out.splitlines()]
    assert [line.partition(" | ")[2] for line in logs] == told
    assert shell("flow-run", "logs", "brave-otter", "--json").data[0]["message"] == "three of them"


def test_a_run_that_nobody_runs_is_cancelled_at_once(shell):
    shell.flow_run(OTTER, "brave-otter", Scheduled(clock.now()))

    answer = shell("flow-run", "cancel", "brave-otter")

    assert (answer.code, answer.out, answer.err) == (0, "3f9a01bc brave-otter: Cancelled\n", "")
    assert shell("flow-run", "inspect", "brave-otter", "--json").data["state"]["type"] == "CANCELLED"


def test_a_run_that_is_over_cannot_be_cancelled(shell):
    shell.flow_run(OTTER, "brave-otter", Running(), Completed())

    answer = shell("flow-run", "cancel", "brave-otter")

    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "error: flow run 3f9a01bc brave-otter is over already: Completed()\n"
