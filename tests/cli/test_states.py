"""`trioflow states`: the tables, printed and drawn."""

from __future__ import annotations

import pytest

from trioflow.core.tables.draw import markdown, mermaid
from trioflow.core.tables.flow_runs import FLOW_RUNS
from trioflow.core.tables.picture import svg
from trioflow.core.tables.task_runs import TASK_RUNS


def test_both_tables_are_printed(shell):
    answer = shell("states")

    assert (answer.code, answer.err) == (0, "")
    assert answer.out == (
        f"## The states of flow runs\n\n{markdown(FLOW_RUNS)}\n"
        f"## The states of task runs\n\n{markdown(TASK_RUNS)}\n"
    )


@pytest.mark.parametrize(("kind", "table"), [("flow", FLOW_RUNS), ("task", TASK_RUNS)])
def test_one_table_is_printed_as_a_diagram_or_drawn_into_a_file(shell, tmp_path, kind, table):
    file = tmp_path / "states.svg"

    assert shell("states", kind, "--mermaid").out == mermaid(table)
    assert shell("states", kind, "--svg", str(file)).err == f"Drew the states of {table.name} into {file}\n"
    assert file.read_text() == svg(table)
    assert not shell.home.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--svg", "both.svg"], "--svg draws one table"),
        (["flow", "--svg", "/nowhere/at/all.svg"], "the picture cannot be written: "),
        (["deployment"], "deployment"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(shell, words, told):
    answer = shell("states", *words)

    assert (answer.code, answer.out) == (2, "")
    (line,) = answer.err.splitlines()
    assert line.startswith("error: ")
    assert told in line
