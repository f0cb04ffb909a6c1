"""Hooks: called by keyword, in order, told about in the log; nothing that they do changes anything."""

from __future__ import annotations

import functools
import logging
import threading

import pytest
import trio

from trioflow.core.states import (
    Cancelled,
    Cancelling,
    Completed,
    Crashed,
    Failed,
    Paused,
    Pending,
    Running,
    TimedOut,
)
from trioflow.engine.hooks import NO_HOOKS, Hooks, hook_name, run_hooks
from trioflow.engine.logs import get_run_logger

LOGGER = logging.LoggerAdapter(logging.getLogger("trioflow.test_hooks"), {})
SUBJECT = {"flow": "a flow", "flow_run": "a run", "state": Completed()}


async def run(*hooks, seconds=60, subject=SUBJECT):
    await run_hooks(hooks, subject, logger=LOGGER, seconds=seconds)


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "trioflow.test_hooks")
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.fixture
def said():
    return []


@pytest.mark.behaviour("HK-01")
def test_each_state_owes_its_own_hooks():
    hooks = Hooks(on_running=(1,), on_completion=(2,), on_failure=(3,), on_cancellation=(4,), on_crashed=(5,))

    owed = {
        state.name: hooks.owed(state)
        for state in (
            Pending(),
            Running(),
            Paused(),
            Cancelling(),
            Completed(),
            Failed(),
            TimedOut(),
            Cancelled(),
            Crashed(),
        )
    }

    assert owed == {
        "Pending": (),
        "Running": (1,),
        "Paused": (),
        "Cancelling": (),
        "Completed": (2,),
        "Failed": (3,),
        "TimedOut": (3,),
        "Cancelled": (4,),
        "Crashed": (5,),
    }
    assert NO_HOOKS.owed(Failed()) == ()


@pytest.mark.behaviour("HK-02", "HK-03", "HK-04")
async def test_hooks_are_called_by_keyword_in_order_sync_ones_in_a_thread(told, said):
    async def first(flow, flow_run, state):
        await trio.lowlevel.checkpoint()
        said.append((flow, flow_run, state, threading.current_thread() is threading.main_thread()))

    def second(*, state, flow_run, flow):
        said.append((flow, flow_run, state, threading.current_thread() is threading.main_thread()))

    await run(first, second)

    assert said == [("a flow", "a run", Completed(), True), ("a flow", "a run", Completed(), False)]
    assert told() == [
        ("INFO", "Running hook 'first' in response to entering state 'Completed'"),
        ("INFO", "Hook 'first' finished running successfully"),
        ("INFO", "Running hook 'second' in response to entering state 'Completed'"),
        ("INFO", "Hook 'second' finished running successfully"),
    ]


async def test_a_hook_has_the_logger_of_its_run(said):
    async def hook(**_):
        said.append(get_run_logger())

    await run(hook, lambda **_: said.append(get_run_logger()))

    assert said == [LOGGER, LOGGER]


@pytest.mark.behaviour("HK-02")
async def test_task_hooks_get_a_task_and_its_run(said):
    async def hook(task, task_run, state):
        said.append((task, task_run, state))

    await run(hook, subject={"task": "a task", "task_run": "a run", "state": Failed()})

    assert said == [("a task", "a run", Failed())]


@pytest.mark.behaviour("HK-03")
@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), ExceptionGroup("all", [KeyError()])])
async def test_a_hook_that_raises_is_logged_and_the_next_one_runs(told, said, caplog, error):
    async def breaks(**_):
        raise error

    def breaks_too(**_):
        raise error

    async def works(**_):
        said.append("worked")

    await run(breaks, breaks_too, works)

    assert said == ["worked"]
    assert [message for level, message in told() if level == "ERROR"] == [
        "An error was encountered while running hook 'breaks'",
        "An error was encountered while running hook 'breaks_too'",
    ]
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error, error]


@pytest.mark.behaviour("HK-03")
async def test_a_hook_with_other_parameters_is_one_that_raises(told, said):
    await run(lambda: said.append("never"), lambda **_: said.append("worked"))

    assert said == ["worked"]
    assert ("ERROR", "An error was encountered while running hook '<lambda>'") in told()


@pytest.mark.promise("P10")
async def test_an_async_hook_that_hangs_is_left_after_its_deadline(told, said, autojump_clock):
    async def hangs(**_):
        await trio.sleep_forever()

    async def works(**_):
        said.append(trio.current_time())

    before = trio.current_time()
    await run(hangs, works, seconds=60)

    assert said == [pytest.approx(before + 60)]
    assert told()[1] == ("ERROR", "Hook 'hangs' did not finish within 60 seconds")


@pytest.mark.promise("P10")
async def test_a_sync_hook_that_hangs_is_abandoned_after_its_deadline(told, said):
    go_on = threading.Event()

    def hangs(**_):
        go_on.wait()

    try:
        await run(hangs, lambda **_: said.append("worked"), seconds=0.05)
    finally:
        go_on.set()

    assert said == ["worked"]
    assert ("ERROR", "Hook 'hangs' did not finish within 0.05 seconds") in told()


async def test_a_timeout_of_the_hooks_own_is_an_error_like_others(told):
    async def times_out(**_):
        with trio.fail_after(0):
            await trio.lowlevel.checkpoint()

    await run(times_out)

    assert told()[1] == ("ERROR", "An error was encountered while running hook 'times_out'")


async def test_cancelling_whoever_runs_the_hooks_ends_them(said):
    async def hangs(**_):
        said.append("began")
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, hangs, lambda **_: said.append("never"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert said == ["began"]


class Notifier:
    async def __call__(self, **_):
        await trio.lowlevel.checkpoint()


class Bystander:
    def __call__(self, **_):
        pass

    async def notify(self, **_):
        await trio.lowlevel.checkpoint()


@pytest.mark.behaviour("HK-07")
@pytest.mark.parametrize(
    ("hook", "name"),
    [
        (run_hooks, "run_hooks"),
        (functools.partial(functools.partial(run_hooks, 1), 2), "run_hooks"),
        (Notifier(), "Notifier"),
        (functools.partial(Notifier()), "Notifier"),
        (Bystander().notify, "notify"),
    ],
)
def test_hooks_are_called_what_their_authors_call_them(hook, name):
    assert hook_name(hook) == name


@pytest.mark.behaviour("HK-02")
@pytest.mark.parametrize(
    "hook",
    [Notifier(), functools.partial(Notifier()), Bystander(), Bystander().notify, lambda **_: Notifier()()],
)
async def test_whatever_is_awaitable_is_awaited(told, hook):
    """A coroutine that nobody awaited would be a warning, and so an error, here."""
    await run(hook)

    assert told()[-1] == ("INFO", f"Hook {hook_name(hook)!r} finished running successfully")
