"""What a serving program shows: a panel, the runs in hand, and a line about each that has ended."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from trioflow import clock
from trioflow.core.deployments import Deployment, DeploymentSchedule
from trioflow.core.runs import FlowRun
from trioflow.core.schedules import CronSchedule, IntervalSchedule
from trioflow.core.states import Completed, Failed
from trioflow.serving.board import Board, Served, farewell
from trioflow.serving.screen import PlainScreen, announcement, drawn

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def deployment(flow: str, name: str, *schedules: IntervalSchedule | CronSchedule) -> Deployment:
    return Deployment(
        id=clock.new_id(),
        flow_id=clock.new_id(),
        flow_name=flow,
        name=name,
        entrypoint="flows.py:f",
        schedules=tuple(DeploymentSchedule(schedule=schedule) for schedule in schedules),
    )


AUDIT = deployment("audit", "half-minutely", IntervalSchedule(30))
REPORT = deployment("report", "daily", CronSchedule("0 9 * * *", "Europe/London"))
BY_HAND = deployment("tidy", "by-hand")


def run_of(of: Deployment, name: str) -> FlowRun:
    id_ = clock.new_id()
    return FlowRun(id=id_, flow_id=of.flow_id, name=name, root_id=id_, deployment_id=of.id)


def shown(renderable: object) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined]


def lines(renderable: object) -> list[str]:
    return [" ".join(line.split()) for line in shown(renderable).splitlines() if line.strip()]


@pytest.mark.behaviour("RN-03")
def test_the_panel_names_every_deployment_and_how_to_start_a_run():
    late = deployment("late", "overdue", IntervalSchedule(3600))
    served = [
        Served(AUDIT, NOW + timedelta(seconds=12)),
        Served(REPORT, None),
        Served(BY_HAND, None),
        Served(late, NOW - timedelta(seconds=5)),
    ]
    text = shown(announcement(served, NOW, None))
    assert "Your deployments are being served and polling for scheduled runs!" in text
    assert "Deployments" in text
    told = lines(announcement(served, NOW, None))
    assert "│ audit/half-minutely every 30 s next in 12 s │" in told
    assert "│ report/daily cron 0 9 * * * (Europe/London) │" in told
    assert "│ tidy/by-hand when it is asked for │" in told
    assert "│ late/overdue every 1 h next now │" in told
    assert "│ Start a run with trioflow deployment run [DEPLOYMENT_NAME] │" in told
    assert "http" not in text


@pytest.mark.behaviour("RN-03")
def test_the_panel_has_a_link_only_where_there_is_a_user_interface():
    text = shown(announcement([Served(AUDIT, None)], NOW, "https://flows.example"))
    assert "https://flows.example/deployments" in text


def test_runs_in_hand_are_drawn_in_the_order_in_which_they_began_with_what_is_due_next():
    board = Board(
        [Served(AUDIT, NOW + timedelta(seconds=31)), Served(REPORT, NOW + timedelta(hours=3, seconds=9))]
    )
    first, second = run_of(AUDIT, "brave-otter"), run_of(BY_HAND, "calm-fox")
    board.start(first, 71, NOW)
    board.start(second, 72, NOW + timedelta(seconds=4))
    board.count(first.id, 3, 7)
    told = lines(drawn(board, NOW + timedelta(seconds=5)))
    assert told[0].startswith(f"● audit/half-minutely brave-otter {first.id.hex[-8:]} pid 71 0:05")
    assert told[0].endswith("3 of 7 tasks")
    assert told[1] == f"● a deployment that is gone calm-fox {second.id.hex[-8:]} pid 72 0:01"
    assert told[2] == "next: audit/half-minutely in 26 s · report/daily in 3 h"
    board.end(first.id, Completed())
    board.end(second.id, Failed())
    assert lines(drawn(board, NOW + timedelta(seconds=5))) == [
        "next: audit/half-minutely in 26 s · report/daily in 3 h │ 1 completed · 1 failed"
    ]


def test_of_many_runs_some_have_a_line_and_the_others_are_counted():
    board = Board([Served(AUDIT, None)])
    for number in range(11):
        board.start(run_of(AUDIT, f"run-{number}"), number, NOW)
    assert lines(drawn(board, NOW))[-1] == "and 3 more running"
    assert len(lines(drawn(board, NOW))) == 9


def test_nothing_to_show_says_that_runs_are_waited_for():
    assert lines(drawn(Board(), NOW)) == ["waiting for runs"]


def test_a_run_that_has_ended_is_summed_up_in_one_line():
    board = Board([Served(AUDIT, None)])
    run = run_of(AUDIT, "brave-otter")
    board.start(run, 71, NOW)
    board.count(run.id, 7, 7)
    active = board.end(run.id, Completed())
    assert active is not None
    assert farewell(active, Completed(), NOW + timedelta(seconds=3.2)) == (
        "audit/half-minutely 'brave-otter': Completed after 3.20 s · 7 of 7 tasks"
    )
    assert board.end(run.id, Completed()) is None


def test_without_a_terminal_each_run_ends_in_a_line_on_stderr(capsys):
    screen = PlainScreen()
    run = run_of(AUDIT, "brave-otter")
    with screen:
        screen.started(run, 71)
        screen.ended(run, Failed())
        screen.ended(run, Failed())
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("● a deployment that is gone 'brave-otter': Failed after 0.0")
