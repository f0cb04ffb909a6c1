"""`trioflow run` and `rerun`: what is shown, what is printed, how it ends, and what bad input leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

GREETING = """
from trioflow import flow, task

@task
async def shout(text: str) -> str:
    return text.upper()

@flow
async def greet(name: str, times: int = 1, dry: bool = False) -> dict:
    return {"said": [await shout(name)] * times, "dry": dry}
"""


# --- what is shown


def test_a_flow_is_run_its_result_is_on_stdout_and_the_rest_on_stderr(shell, write):
    answer = shell("run", write(GREETING), "-p", "name=ada")

    assert (answer.code, answer.data) == (0, {"said": ["ADA"], "dry": False})
    *_, ended, how_to_look = answer.err.splitlines()
    assert ended.startswith("Completed after ")
    assert ended.endswith(" · 1 of 1 task")
    run = shell.the_only_run()
    assert how_to_look == f"trioflow --home {shell.home} flow-run inspect {run['id'][-8:]}"
    assert (run["flow_name"], run["state"]["type"], run["parameters"]["name"]) == (
        "greet",
        "COMPLETED",
        "ada",
    )


def test_quiet_tells_nothing_but_the_result(shell, write):
    answer = shell("run", write(GREETING), "-p", "name=ada", "--quiet")

    assert (answer.code, answer.data["said"], answer.err) == (0, ["ADA"], "")


def test_a_flow_that_returns_nothing_prints_nothing(shell, write):
    flow = "from trioflow import flow\n@flow\nasync def nothing() -> None: ..."

    assert shell("run", write(flow), "-q").out == ""


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["-p", "name=ada", "-p", "times=2", "-p", "dry=true"], ("ada", 2, True)),
        (["-p", "name=12"], ("12", 1, False)),
        (["-p", "name=a=b"], ("a=b", 1, False)),
        (["-p", 'name="quoted"'], ("quoted", 1, False)),
        (["--params", '{"name": "ada", "times": 3}', "-p", "times=2"], ("ada", 2, False)),
    ],
)
def test_a_parameter_is_what_its_annotation_wants(shell, write, words, given):
    code = """
    from trioflow import flow

    @flow
    async def told(name: str, times: int = 1, dry: bool = False) -> list:
        return [name, times, dry]
    """

    assert tuple(shell("run", write(code), "-q", *words).data) == given


def test_a_failure_says_why_and_exits_with_1(shell, write):
    code = """
    from trioflow import flow

    @flow
    async def broken():
        raise ValueError("not today")
    """

    answer = shell("run", write(code), "-q")

    assert (answer.code, answer.out) == (1, "")
    ended, why, _ = answer.err.splitlines()
    assert ended.startswith("Failed after ")
    assert why == "Flow run encountered an exception. ValueError: not today"


def test_a_result_that_cannot_be_recorded_is_one_line_that_names_it(shell, write):
    code = """
    import threading
    from trioflow import flow

    @flow
    async def handle():
        return {"guard": threading.Lock()}
    """

    answer = shell("run", write(code))

    assert (answer.code, answer.out) == (1, "")
    assert "Traceback" not in answer.err
    (error,) = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert "lock" in error
    assert "guard" in error
    assert "persist_result=False" in error


# --- what is refused before there is a run

SEVERAL = """
from trioflow import flow
@flow
async def one() -> None: ...
@flow
async def other() -> None: ...
"""


@pytest.mark.parametrize(
    ("code", "words", "told"),
    [
        ("x = 1", [], "there is no flow in {file}: decorate a function with @flow"),
        (SEVERAL, [], "there are several flows in {file}: say flows.py:one or flows.py:other"),
        (GREETING, [":gret"], "there is no gret in {file}: did you mean flows.py:greet?"),
        (GREETING, [":audit"], "there is no audit in {file}: there is flows.py:greet"),
        ("def :", [], "{file}, line 1: invalid syntax"),
        ("import sys; sys.exit(3)", [], "importing {file} called sys.exit(3)"),
        ("1 / 0", [], "{file}, line 1: importing it raised ZeroDivisionError: division by zero"),
        (GREETING, [], "flow 'greet' takes (name, times, dry): name is missing"),
        (
            GREETING,
            ["", "-p", "name=x", "-p", "tims=2"],
            "flow 'greet' takes (name, times, dry): tims is unknown",
        ),
        (GREETING, ["", "-p", "name=x", "-p", "times=many"], "times: 'many' is not int"),
        (GREETING, ["", "-p", "name"], "-p 'name' is not a parameter: give -p name=value"),
        (GREETING, ["", "--params", "{name: 1}"], "--params is not JSON"),
        (GREETING, ["", "--params", "[1]"], "--params is not an object but [1]"),
        (GREETING, ["", "--parms", "{}"], "--parms"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing_behind(shell, write, code, words, told):
    file = write(code)
    target = file + "".join(words[:1])

    answer = shell("run", target, *words[1:])

    assert (answer.code, answer.out) == (2, "")
    (line,) = answer.err.splitlines()
    assert line.startswith("error: ")
    assert told.format(file=file) in line
    assert not shell.home.exists()


def test_a_file_that_is_not_there_is_named(shell, tmp_path):
    answer = shell("run", str(tmp_path / "nowhere.py"))

    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"error: there is no file {tmp_path / 'nowhere.py'}: an entry point is path/to/file.py:function\n"
    )


def test_debug_shows_the_traceback_too(shell, write):
    answer = shell("run", write("1 / 0"), "--debug")

    assert answer.err.startswith("Traceback (most recent call last):")
    assert answer.err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("words", [["run", "{file}", "-p", "name=x"]])
def test_a_home_that_cannot_be_made_is_one_line_that_names_it(shell, write, tmp_path, words):
    (tmp_path / "file").write_text("")
    shell.home = tmp_path / "file" / "home"

    answer = shell(*(word.format(file=write(GREETING)) for word in words))

    assert (answer.code, answer.out) == (2, "")
    (line,) = answer.err.splitlines()
    assert line.startswith(f"error: {shell.home}")


# --- reruns


def test_a_rerun_returns_what_was_recorded_and_runs_the_rest(shell, write, tmp_path):
    code = f"""
    from pathlib import Path
    from trioflow import flow, task

    LOG = Path({str(tmp_path / "log")!r})

    @task
    async def step(n: int) -> int:
        LOG.write_text(LOG.read_text() + f"{{n}} ")
        if LOG.read_text() == "1 2 ":
            raise ValueError("once")
        return n

    @flow
    async def steps() -> int:
        return await step(1) + await step(2)
    """
    (tmp_path / "log").write_text("")
    first = shell("run", write(code))
    run = shell.the_only_run()

    again = shell("flow-run", "rerun", run["name"])

    assert (first.code, again.code, again.data) == (1, 0, 3)
    assert (tmp_path / "log").read_text() == "1 2 2 "
    assert " · 2 of 2 tasks · 1 recorded before" in again.err
    run_again = shell.the_only_run()
    assert (run_again["id"], run_again["attempt"]) == (run["id"], 2)


def test_a_run_whose_file_is_gone_says_where_it_was(shell, write):
    file = write(GREETING)
    shell("run", file, "-p", "name=ada")
    Path(file).unlink()

    answer = shell("flow-run", "rerun", shell.the_only_run()["name"])

    assert (answer.code, answer.out) == (2, "")
    assert answer.err == f"error: there is no file {file}: an entry point is path/to/file.py:function\n"


def test_a_run_that_names_no_file_cannot_be_rerun_from_here(shell):
    shell.flow_run(1, "brave-otter")

    answer = shell("flow-run", "rerun", "brave-otter")

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: flow run 00000001 brave-otter does not say where its flow is")
