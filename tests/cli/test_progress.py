"""What is counted of a run that goes on, and how it is drawn."""

from __future__ import annotations

from uuid import UUID

import pytest
from rich.console import Console

from trioflow.cli.progress import Progress
from trioflow.cli.screens import PlainScreen, View, drawn
from trioflow.core.states import StateType
from trioflow.spoken import spoken_seconds
from trioflow.wire.replies import Change

ROOT = UUID(int=0x3F9A01BC)


def change(run: int | UUID, type_: StateType, name: str | None = None, *, flow: bool = False) -> Change:
    run_id = run if isinstance(run, UUID) else UUID(int=run)
    return Change(
        number=1, run_id=run_id, root_id=ROOT, is_flow_run=flow, type=type_, name=name or type_.capitalize()
    )


def progress_of(*changes: Change, recorded: int = 0) -> Progress:
    progress = Progress(ROOT, recorded=recorded)
    for one in changes:
        progress.hear(one)
    return progress


def test_a_run_without_tasks_has_done_none_of_none():
    assert progress_of().told() == "0 of 0 tasks"


def test_tasks_are_counted_by_how_they_are():
    progress = progress_of(
        change(ROOT, StateType.RUNNING, flow=True),
        change(1, StateType.PENDING),
        change(2, StateType.RUNNING),
        change(3, StateType.RUNNING),
        change(3, StateType.COMPLETED, "Cached"),
        change(4, StateType.RUNNING),
        change(4, StateType.FAILED),
    )

    assert progress.told() == "2 of 4 tasks · 1 running · 1 failed · 1 from cache"
    assert (progress.state, progress.type) == ("Running", StateType.RUNNING)


def test_what_was_cancelled_has_not_failed():
    progress = progress_of(
        change(1, StateType.RUNNING),
        change(1, StateType.CRASHED),
        change(2, StateType.RUNNING),
        change(2, StateType.CANCELLED),
        change(3, StateType.CANCELLED),
    )

    assert progress.told() == "3 of 3 tasks · 1 failed · 2 cancelled"


def test_a_task_that_waits_for_a_retry_is_not_running_and_not_done():
    progress = progress_of(change(1, StateType.RUNNING), change(1, StateType.SCHEDULED, "AwaitingRetry"))

    assert progress.told() == "0 of 1 task"


def test_what_an_earlier_attempt_has_recorded_is_done():
    assert progress_of(change(1, StateType.RUNNING), recorded=7).told() == (
        "7 of 8 tasks · 1 running · 7 recorded before"
    )


def test_subflows_are_not_counted_and_do_not_change_the_state():
    progress = progress_of(change(ROOT, StateType.RUNNING, flow=True), change(9, StateType.FAILED, flow=True))

    assert (progress.state, progress.told()) == ("Running", "0 of 0 tasks")


def view_of(progress: Progress, *running: str, elapsed: float = 7.9) -> View:
    return View("audit", "brave-otter", progress, running, elapsed)


def test_the_live_view_names_the_run_its_tasks_and_what_is_running():
    progress = progress_of(
        change(ROOT, StateType.RUNNING, flow=True),
        *(change(number, StateType.RUNNING) for number in range(1, 6)),
        change(1, StateType.COMPLETED),
    )
    console = Console(width=100)
    with console.capture() as screen:
        console.print(drawn(view_of(progress, "verify a", "verify b", "verify c", "verify d")))

    head, bar, now = screen.get().splitlines()
    assert head.split() == ["●", "audit", "brave-otter", "3f9a01bc", "Running", "0:07"]
    assert bar.split("  ")[-1].strip() == "1 of 5 tasks · 4 running"
    assert now == "now: verify a, verify b, verify c and 1 more"


def test_plain_lines_say_which_run_it_is_and_then_every_five_seconds_what_is_new(capsys):
    progress = progress_of(change(ROOT, StateType.RUNNING, flow=True), change(1, StateType.RUNNING))
    with PlainScreen() as screen:
        screen.show(view_of(progress, elapsed=0.0))
        screen.show(view_of(progress, elapsed=4.9))
        screen.show(view_of(progress, elapsed=5.0))
        screen.show(view_of(progress, elapsed=30.0))
        progress.hear(change(1, StateType.COMPLETED))
        screen.show(view_of(progress, elapsed=31.0))

    assert capsys.readouterr().err.splitlines() == [
        "Flow run 'brave-otter' (3f9a01bc) of flow 'audit'",
        "Running for 5.00 s · 0 of 1 task · 1 running",
        "Running for 31.0 s · 1 of 1 task",
    ]


@pytest.mark.parametrize(
    ("seconds", "clock"), [(0, "0:00"), (59.9, "0:59"), (754, "12:34"), (3723, "1:02:03")]
)
def test_the_clock_does_not_jump_about(seconds, clock):
    assert spoken_seconds(seconds) == clock
