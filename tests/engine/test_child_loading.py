"""Files that cannot be loaded, or load for ever: the run is FAILED, and its log says where. Real processes."""

from __future__ import annotations

import logging
import signal

import pytest

from trioflow.wire import endpoints, requests
from trioflow.wire.filters import LogFilter

FOR_EVER = """
import time
from trioflow import flow

print("loading")
time.sleep(3600)
"""
FOR_EVER_AND_DEAF = """
import time
from trioflow import flow

for _ in range(2):
    try:
        time.sleep(3600)
    except:
        pass
time.sleep(3600)
"""


@pytest.mark.behaviour("SP-03")
@pytest.mark.promise("P17")
@pytest.mark.parametrize(
    ("code", "flow", "why", "logged"),
    [
        ("def", "main", "{file}, line 1: invalid syntax", "SyntaxError"),
        ("import sys\nsys.exit(3)", "main", "importing {file} called sys.exit(3)", "SystemExit: 3"),
        (
            "import nothing_of_that_name",
            "main",
            "{file}, line 1: importing it raised ModuleNotFoundError",
            "line 1",
        ),
        ("x = 1 / 0", "main", "{file}, line 1: importing it raised ZeroDivisionError", "x = 1 / 0"),
        ("from trioflow import flow", "main", "there is no main in {file}", "EntrypointError"),
        (FOR_EVER, "main", "{file}, line 6: importing it took longer than 0.5 seconds", "time.sleep(3600)"),
        (FOR_EVER_AND_DEAF, "main", "{file}, line 10: importing it took longer than 0.5 seconds", "line 10"),
    ],
    ids=["syntax", "exit", "import", "error", "no flow", "for ever", "for ever and deaf"],
)
async def test_a_file_that_cannot_be_loaded_fails_the_run(runner, code, flow, why, logged):
    runner.environment["TRIOFLOW_START_SECONDS"] = "0.5"

    child = await runner.start(code, flow)

    assert (await child.over()).status == 0
    state = (await child.found()).state
    why = why.format(file=runner.path / "flows.py")
    assert state.name == "Failed"
    assert state.message.startswith(f"Flow could not be retrieved from entrypoint. {why}")
    assert state.data is not None
    (error,) = [line for line in await errors(runner) if line.startswith("Flow could not be retrieved")]
    assert logged in error


@pytest.mark.behaviour("SP-03")
@pytest.mark.promise("P17")
async def test_a_file_that_has_vanished_fails_the_run(runner):
    child = await runner.start_at(f"{runner.path}/gone.py:main")

    assert (await child.over()).status == 0
    assert await child.state() == (
        "Failed('Flow could not be retrieved from entrypoint. "
        f"there is no file {runner.path}/gone.py: an entry point is path/to/file.py:function')"
    )


async def test_a_file_may_do_what_a_script_may(runner):
    child = await runner.start(
        """
        import trio
        from trioflow import flow

        async def answer():
            return 42

        @flow
        def main():
            print("answer:", ANSWER)

        ANSWER = trio.run(answer)

        if __name__ == "__main__":
            main()
        """
    )

    assert (await child.over()).status == 0
    assert child.printed() == ["answer: 42"]


async def test_a_signal_ends_a_file_that_is_being_loaded_as_it_ends_any_program(runner):
    child = await runner.start(FOR_EVER)
    await child.says("loading")

    child.kill(signal.SIGTERM)

    assert (await child.over()).status == -signal.SIGTERM
    assert await child.state() == "Pending()"


async def test_a_request_that_came_while_it_was_loaded_is_heard_before_its_function_is_called(runner):
    child = await runner.start(
        """
        import sys
        from pathlib import Path
        from trioflow import flow

        print("loading")
        while not Path(__file__).with_name("go").exists():
            pass

        @flow
        async def main():
            print("called")
        """
    )
    await child.says("loading")

    child.link.cancel("Asked for.")
    (runner.path / "go").touch()

    assert (await child.over()).status == 0
    assert child.printed() == ["loading"]
    assert await child.state() == "Cancelled('Cancelled; its clean-up has finished.')"


async def errors(runner):
    """What was logged as an error."""
    request = requests.FindLogs(filter=LogFilter(min_level=logging.ERROR))
    found = await runner.books.client.call(endpoints.FIND_LOGS, request)
    return [record.message for record in found.records]
