"""Our tables against what Prefect 2.20.27's own server decided."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.oracle.asking import ask
from tests.oracle.cases import Case, read_cases, recorded
from tests.oracle.differences import DIFFERENCES
from tests.oracle.expected import accepted
from tests.oracle.page import PAGE, renewed
from tests.oracle.replay import DATA, Replay, expect, main, replay
from trioflow.core.tables import COLUMNS, FLOW_RUNS, OK, ROWS, TASK_RUNS, Closed

KNOWN_FAULTS = range(1, 18)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return read_cases(DATA)


@pytest.fixture(scope="module")
def replayed(cases: list[Case]) -> Replay:
    return replay(cases)


@pytest.mark.behaviour(
    "OR-02", "OR-03", "OR-04", "OR-05", "OR-06", "OR-07", "OR-08", "OR-09", "OR-10", "OR-11", "OR-12"
)
@pytest.mark.behaviour(
    "OR-14", "RT-01", "RT-02", "RT-03", "RT-05", "RT-06", "CA-02", "CA-03", "CA-05", "PA-21", "PA-22"
)
def test_every_recorded_decision_is_ours_or_a_difference_claims_it(replayed: Replay) -> None:
    assert [str(case) for case, _, _ in replayed.unclaimed] == []
    assert replayed.agree > replayed.claimed > 0


def test_every_difference_claims_something(replayed: Replay) -> None:
    assert {difference.name for difference in DIFFERENCES} == set(replayed.claims)


def test_every_known_fault_is_a_difference() -> None:
    assert sorted({fault for difference in DIFFERENCES for fault in difference.faults}) == list(KNOWN_FAULTS)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
def test_a_difference_gives_its_reason_in_one_sentence(difference) -> None:
    assert difference.reason.endswith(".")
    assert difference.reason.count(". ") == 0


def test_the_expected_bookkeeping_is_the_recorded_one_wherever_nothing_differs(cases: list[Case]) -> None:
    asked_once = [case for case in cases if case.proposed and not case.transition_repeats]
    plain = [case for case in asked_once if recorded(case).status == "ACCEPT" and not expect(case)[1]]
    assert len(plain) > 10_000
    assert [str(case) for case in plain if accepted(case) != recorded(case)] == []


def test_every_pair_of_types_is_asked_about(cases: list[Case]) -> None:
    asked = {(case.is_flow, case.from_, case.to) for case in cases if case.proposed}
    assert asked == {
        (is_flow, row, column) for is_flow in (True, False) for row in ROWS for column in COLUMNS
    }


@pytest.mark.parametrize("is_flow", [True, False], ids=["flow runs", "task runs"])
def test_no_cell_can_be_turned_round_without_a_case_noticing(cases: list[Case], is_flow: bool) -> None:
    """Open what is closed and close what is open, cell by cell: differences must not cover it up."""
    table = FLOW_RUNS if is_flow else TASK_RUNS
    of_cell: dict[object, list[Case]] = {}
    for case in cases:
        if case.is_flow == is_flow and case.proposed:
            of_cell.setdefault((case.from_, case.to), []).append(case)
    for pair, cell in table.cells.items():
        turns = [turned for turned in (OK, Closed("turned round")) if turned != cell]
        wrong = [evolve(table, cells={**table.cells, pair: turned}) for turned in turns]
        assert any(ask(case, other) != expect(case)[0] for case in of_cell[pair] for other in wrong), pair


@pytest.mark.parametrize("table", [FLOW_RUNS, TASK_RUNS], ids=lambda table: table.name)
def test_final_types_are_those_that_the_table_computes(table) -> None:
    assert table.terminal == {type_ for type_ in COLUMNS if type_.is_final}


def test_the_page_of_differences_is_up_to_date(replayed: Replay) -> None:
    page = PAGE.read_text()
    assert renewed(page, replayed) == page


def test_a_folder_is_replayed_from_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    for name in ("flow.contexts.json", "task.contexts.json", "resume.jsonl"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == "59 agree, 4 claimed, 0 unclaimed\n"


def test_an_unclaimed_case_is_shown_and_fails(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    for name in ("flow.contexts.json", "task.contexts.json"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    line = (DATA / "resume.jsonl").read_text().splitlines()[0]
    (tmp_path / "resume.jsonl").write_text(line.replace('"ABORT"', '"ACCEPT"'))
    assert main([str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("flow-resume [base] none → resume\n  recorded: Answer(status='ACCEPT'")
    assert shown.endswith("0 agree, 0 claimed, 1 unclaimed\n")
