"""The process of a run: what it is told, what it says, and how it exits. Real processes, over a real link."""

from __future__ import annotations

import os
import subprocess
import textwrap
from uuid import UUID

import pytest
from attrs import evolve

from tests.engine.children import ENGINE
from trioflow import clock
from trioflow.core.states import Cancelled, Crashed, Scheduled
from trioflow.processes import EPOCH, FLOW_RUN_ID, HOME, HOOKS, LINK_FD, RUNNER, this_process
from trioflow.wire import endpoints, requests

PRINTS = """
from trioflow import flow

@flow
def main():
    print("called")
"""

ABSENT = {
    "apsw",
    "asyncio",
    "cyclopts",
    "dateutil",
    "httpx",
    "hypothesis",
    "pendulum",
    "rich",
    "trioflow.cli",
    "trioflow.infrastructure",
    "trioflow.orchestrator",
    "trioflow.runner",
    "trioflow.store",
}


@pytest.mark.behaviour("SP-01", "SP-08", "FL-24")
async def test_it_runs_the_flow_says_what_is_printed_and_sends_what_is_logged(runner):
    child = await runner.start(
        """
        import logging
        import os
        import sys
        from trioflow import flow, get_run_logger, task

        print("handled:", bool(logging.getLogger("trioflow.flow_runs").handlers))

        @task
        def add(x, y):
            return x + y

        @flow
        def main():
            print("is", os.environ["TRIOFLOW__FLOW_RUN_ID"])
            print("beware", file=sys.stderr)
            get_run_logger().warning("adding")
            return add(1, 2)
        """
    )

    report = await child.over()

    assert report.status == 0
    assert child.printed() == ["handled: True", f"is {child.run.id.hex}"]
    assert child.printed("stderr") == ["beware"]
    assert await child.state() == "Completed()"
    assert await runner.books.said() == [
        "adding",
        "Finished in state Completed()",
        "Finished in state Completed()",
    ]


async def test_it_loads_nothing_that_a_run_does_not_need(runner):
    child = await runner.start(
        """
        import sys
        from trioflow import flow, task

        @task
        async def add(x, y):
            return x + y

        @task
        def multiply(x, y):
            return x * y

        @flow(validate_parameters=True)
        async def main(x: int = 1) -> int:
            await add.submit(x, await multiply.submit(2, 3))
            print(*sys.modules)
        """
    )

    await child.over()

    (modules,) = child.printed()
    assert ABSENT & set(modules.split()) == set()


@pytest.mark.behaviour("SP-07")
@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, f"{FLOW_RUN_ID} cannot be '': a runner gives the id of a flow run, as 32 hex digits"),
        (
            {FLOW_RUN_ID: "brave-otter"},
            f"{FLOW_RUN_ID} cannot be 'brave-otter': a runner gives the id of a flow run",
        ),
        ({FLOW_RUN_ID: "0" * 32}, f"{EPOCH} cannot be ''"),
        ({FLOW_RUN_ID: "0" * 32, EPOCH: "1"}, f"{LINK_FD} cannot be ''"),
        ({FLOW_RUN_ID: "0" * 32, EPOCH: "1", LINK_FD: "77"}, "descriptor 77 is no link"),
    ],
)
def test_orders_that_it_cannot_understand_are_one_line_and_exit_1(environment, told):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRIOFLOW")}

    done = subprocess.run(
        ENGINE, env={**clean, **environment}, capture_output=True, text=True, check=False, timeout=30
    )

    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert told in line


@pytest.mark.behaviour("SP-07")
async def test_a_run_that_there_is_not_is_told_and_exits_1(runner):
    other = evolve(await runner.claimed(), id=UUID(int=7))

    child = await runner.start_claimed(other, "flows.py")

    assert (await child.over()).status == 1
    (line,) = child.printed("stderr")
    assert str(other.id) in line


# --- how it ends by itself


@pytest.mark.behaviour("SP-07")
@pytest.mark.parametrize(
    ("body", "status", "state"),
    [
        ("raise ValueError('broken')", 0, "Failed('Flow run encountered an exception. ValueError: broken')"),
        ("sys.exit(3)", 3, "Crashed('Execution was aborted by Python system exit call.')"),
        (
            "raise Halt('now')",
            1,
            "Crashed('Execution was interrupted by an unexpected exception: Halt: now')",
        ),
    ],
    ids=["failure", "sys.exit", "BaseException"],
)
@pytest.mark.parametrize("colour", ["async def", "def"])
async def test_it_exits_by_what_became_of_the_run_and_all_that_was_logged_is_stored(
    runner, colour, body, status, state
):
    child = await runner.start(
        f"""
        import sys
        from trioflow import flow, get_run_logger

        class Halt(BaseException):
            pass

        @flow
        {colour} main():
            for number in range(50):
                get_run_logger().info("line %d", number)
            {body}
        """
    )

    report = await child.over()

    said = await runner.books.said()
    assert (report.status, await child.state()) == (status, state)
    assert said[:50] == [f"line {number}" for number in range(50)]
    assert said[-1] == (f"Finished in state {state}" if status == 0 else f"Crash detected! {state[9:-2]}")


@pytest.mark.behaviour("SP-07")
async def test_a_run_that_is_over_already_is_left_alone_and_exits_0(runner):
    run = await runner.claimed()
    await runner.books.propose(run, Cancelled(), epoch=run.epoch)
    (runner.path / "flows.py").write_text(PRINTS)

    child = await runner.start_claimed(run, f"{runner.path}/flows.py:main")

    report = await child.over()
    assert (report.status, child.printed(), await child.state()) == (0, [], "Cancelled()")


@pytest.mark.behaviour("SP-07")
async def test_a_run_that_another_process_has_taken_over_is_left_alone_and_exits_0(runner):
    run = await runner.claimed(entrypoint="flows.py")
    await runner.books.client.call(endpoints.END_LEASE, requests.EndLease(run_id=run.id, epoch=run.epoch))
    await runner.books.propose(run, Scheduled(clock.now()))
    claim = requests.ClaimFlowRun(run_id=run.id, owner=this_process(), transition_id=clock.new_id())
    await runner.books.client.call(endpoints.CLAIM_FLOW_RUN, claim)
    (runner.path / "flows.py").write_text(PRINTS)

    child = await runner.start_claimed(run, f"{runner.path}/flows.py:main")

    report = await child.over()
    assert (report.status, child.printed(), await child.state()) == (0, [], "Pending()")


@pytest.mark.behaviour("NM-04")
async def test_it_warns_of_none_of_the_variables_that_it_is_given(runner):
    runner.environment["PYTHONWARNINGS"] = "error"

    child = await runner.start(PRINTS)

    report = await child.over()
    assert (report.status, child.printed(), child.printed("stderr")) == (0, ["called"], [])


async def test_what_it_starts_is_given_its_mark_and_no_orders(runner):
    child = await runner.start(
        """
        import os
        from trioflow import flow

        @flow
        def main():
            os.execvp("env", ["env"])
        """
    )

    await child.over()

    ours = {line.partition("=")[0] for line in child.printed() if line.startswith("TRIOFLOW__")}
    assert ours == {FLOW_RUN_ID, EPOCH, HOME, RUNNER}


async def test_it_calls_the_hooks_that_are_owed_for_a_state(runner):
    run = await runner.claimed()
    await runner.books.propose(run, Crashed(), epoch=run.epoch)
    (runner.path / "flows.py").write_text(
        textwrap.dedent(
            """
            from trioflow import flow

            def tells(flow, flow_run, state):
                print(flow.name, flow_run.name, state.name)

            @flow(on_crashed=[tells])
            def main():
                print("called")
            """
        )
    )
    runner.environment[HOOKS] = "2"

    child = await runner.start_claimed(run, f"{runner.path}/flows.py:main")

    assert (await child.over()).status == 0
    assert child.printed() == ["main brave-otter Crashed"]
