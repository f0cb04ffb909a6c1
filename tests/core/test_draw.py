"""The pictures say what the tables say."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from tests.core.states_page import files
from trioflow.core.decisions import Proposal, Rule
from trioflow.core.states import StateType
from trioflow.core.tables import COLUMNS, FLOW_RUNS, ROWS, TASK_RUNS, Closed, Table
from trioflow.core.tables.draw import AT_WORK, markdown, mermaid
from trioflow.core.tables.picture import CENTRES, HEIGHT, WIDTH, svg

both = pytest.mark.parametrize("table", [FLOW_RUNS, TASK_RUNS], ids=lambda table: table.name)

SVG = "{http://www.w3.org/2000/svg}"


def opened(table: Table) -> set[tuple[StateType, StateType]]:
    return {
        (row, column) for (row, column), cell in table.cells.items() if row and not isinstance(cell, Closed)
    }


@both
def test_the_grid_has_a_sign_in_every_cell_and_tells_each_sign_once(table: Table) -> None:
    lines = markdown(table).splitlines()
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines[2 : 2 + len(ROWS)]]
    assert [len(row) for row in rows] == [1 + len(COLUMNS)] * len(ROWS)
    told = [re.match(r"\* \*\*(.+?)\*\*", line)[1] for line in lines if line.startswith("* ")]
    assert sorted(told) == sorted({sign for row in rows for sign in row[1:]})
    for row, signs in zip(ROWS, rows, strict=True):
        for column, sign in zip(COLUMNS, signs[1:], strict=True):
            cell = table.cell(row, column)
            assert (sign == "✓") == (cell == ())
            assert sign.isdigit() == isinstance(cell, Closed)


def test_the_grid_tells_each_rule_by_its_name_and_promise() -> None:
    told = "`wait_for_scheduled_time`: Nothing starts before it is due: wait for the seconds that are left"
    assert told in markdown(FLOW_RUNS)
    over = "COMPLETED, FAILED, CRASHED or CANCELLED"
    assert f"* **9** aborted: Run is already in terminal state {over}.\n" in markdown(FLOW_RUNS)
    assert "* **5** rejected: A PAUSED or SUSPENDED run cannot be claimed; resume it first.\n" in markdown(
        FLOW_RUNS
    )


@both
def test_no_reason_is_told_with_a_place_that_nobody_filled(table: Table) -> None:
    assert "{" not in markdown(table)


@both
def test_the_mermaid_diagram_has_an_arrow_for_every_open_step(table: Table) -> None:
    arrows = set(re.findall(r"^ +(\w+) --> (\w+)$", mermaid(table), re.MULTILINE))
    shared = {to for from_, to in arrows if from_ == "AT_WORK"}
    drawn = {(row, to) for row in AT_WORK for to in shared}
    drawn |= {(StateType(from_), StateType(to)) for from_, to in arrows if from_ != "AT_WORK"}
    assert drawn == {(row, column) for row, column in opened(table) if row is not column}


@both
def test_the_drawing_has_an_arrow_for_every_open_step(table: Table) -> None:
    tips = [title.text for title in ET.fromstring(svg(table)).iter(f"{SVG}title")][1:]
    steps = {tuple(tip.partition(":")[0].split(" → ")) for tip in tips}
    within = {(row, column) for row, column in opened(table) if row in {*AT_WORK, StateType.CANCELLING}}
    single = {(row, column) for row, column in within if row is StateType.CANCELLING or column in AT_WORK}
    births = {("new", column) for column in COLUMNS if not isinstance(table.cell(None, column), Closed)}
    assert steps == single | births | {(StateType.FAILED, table.rerun)}
    assert all(not isinstance(table.cell(*step), Closed) for step in single)


@both
def test_the_drawing_is_whole_and_fits(table: Table) -> None:
    drawing = ET.fromstring(svg(table))
    assert drawing.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"
    assert set(CENTRES) == set(COLUMNS)
    for shape in drawing.iter(f"{SVG}rect"):
        assert float(shape.get("x", 0)) + float(shape.get("width")) <= WIDTH
        assert float(shape.get("y", 0)) + float(shape.get("height")) <= HEIGHT
    boxes = [shape for shape in drawing.iter(f"{SVG}rect") if shape.get("class") == "type"]
    assert len(boxes) == len(COLUMNS)


@both
def test_the_drawing_stands_on_white_wherever_it_is_shown(table: Table) -> None:
    first = next(ET.fromstring(svg(table)).iter(f"{SVG}rect"))
    assert (first.get("width"), first.get("height"), first.get("fill")) == (str(WIDTH), str(HEIGHT), "#fff")


@both
def test_the_name_of_an_arrow_is_shorter_than_the_arrow(table: Table) -> None:
    arrows = re.findall(r'<path d="M(\d+) \d+H(\d+)".*\n<text class="step".*>(\w+)</text>', svg(table))
    assert [name for *_, name in arrows] == ["cancel", "end"]
    assert all(int(end) - int(start) > 9 * len(name) for start, end, name in arrows)


def test_an_added_rule_is_drawn() -> None:
    def forbid_mondays(proposal: Proposal) -> None:
        """Nothing on Mondays."""

    custom = FLOW_RUNS.with_rule(Rule(forbid_mondays), from_=StateType.CANCELLING, to=StateType.CANCELLED)
    assert "`forbid_mondays`: Nothing on Mondays." in markdown(custom)
    assert "CANCELLING → CANCELLED: forbid mondays" in svg(custom)
    assert "CANCELLING → CANCELLED: always" in svg(FLOW_RUNS)


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_the_generated_pages_are_up_to_date(path) -> None:
    assert path.read_text() == files()[path]
