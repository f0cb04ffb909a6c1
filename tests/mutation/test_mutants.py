"""Mutants are what they say, tests that notice nothing let them live, and the page shows the last figures."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT
from tests.mutation.measure import BEGIN, END, PAGE, measured, reasons, renewed
from tests.mutation.mutants import mutants

CHANGES = {
    "a = b < 1": ["b < 1 -> b <= 1", "1 -> 2"],
    "a = b is c": ["b is c -> b is not c"],
    "a = b and c": ["b and c -> b or c", "b in b and c is left out", "c in b and c is left out"],
    "a = not b": ["not b -> b"],
    "a = b + c": ["b + c -> b - c"],
    "a = 'b'": ["'b' -> 'XXb'"],
    "a = True": ["True -> False"],
    "a = b(c, d=e)": ["d=e is left out"],
    "a = all(b)": ["all(b) -> any(b)"],
    "a = {b, c}": ["b is left out", "c is left out"],
    "a = (B, B, C)": ["B in column 1 -> C", "C in column 3 -> B"],
    "a = {b: c}": ["the entry of b is left out"],
    "a = b[c:]": ["c: -> :"],
    "a = b if c else d": ["c -> not c"],
    "a += b": ["a += b is left out"],
    "A, [b, c] = d": [],
    "@a(b)\ndef c(): pass": ["b is left out"],
    "def a():\n return b": ["return b -> return None"],
    "for a in b:\n if c: continue": ["c -> not c", "continue -> break"],
    "match a:\n case 1 | 2: b()\n case c if d: e()": [
        "case 1 | 2 is left out",
        "case c if d is left out",
        "1 in 1 | 2 is left out",
        "2 in 1 | 2 is left out",
        "1 -> 2",
        "2 -> 3",
        "b() is left out",
        "d -> not d",
        "e() is left out",
    ],
    "'what it is'\nfrom a import b\nC = A | B | None\nd: dict[str, 'E']\n@f(g=True)\nclass H: pass": [],
}


@pytest.mark.parametrize(("source", "changes"), CHANGES.items(), ids=CHANGES)
def test_each_kind_of_code_has_its_mutants(source: str, changes: list[str]) -> None:
    assert [mutant.name.partition(": ")[2] for mutant in mutants(source)] == changes


@pytest.mark.parametrize("source", CHANGES, ids=CHANGES)
def test_each_mutant_is_another_program_and_leaves_the_next_one_its_place(source: str) -> None:
    before = compile(source, "a.py", "exec")
    codes = [mutant.code("a.py") for mutant in mutants(source)]

    assert before not in codes
    assert len(set(codes)) == len(codes)
    assert codes == [mutant.code("a.py") for mutant in mutants(source)]


JUDGED = """
LIMIT = 3

def is_small(number):
    return number < LIMIT

def is_great(number):
    return number > 100
"""
JUDGES = """
from judged import is_small

def test_small():
    assert is_small(2)
    assert not is_small(3)
"""
JUDGE = """
import sys
from tests.mutation.judging import Modules, survivors
from tests.mutation.mutants import mutants
path = sys.argv[1] + "/judged.py"
found = mutants(open(path).read())
for _, left in survivors(Modules({path: found}, [sys.argv[1] + "/test_judged.py"], lambda line: None)):
    print([found[number].name for number in left])
"""


def test_what_no_test_reaches_or_compares_is_not_noticed(tmp_path: Path) -> None:
    (tmp_path / "judged.py").write_text(JUDGED)
    (tmp_path / "test_judged.py").write_text(JUDGES)
    (tmp_path / "conftest.py").write_text(
        (ROOT / "tests/conftest.py").read_text() + f"\nimport sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
    )
    command = [sys.executable, "-c", JUDGE, str(tmp_path)]

    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)

    assert ast.literal_eval(said.stdout) == [
        "is_great: return number > 100 -> return None",
        "is_great: number > 100 -> number >= 100",
        "is_great: 100 -> 101",
    ]


def test_the_page_shows_the_last_figures() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page.index(BEGIN) < page.index(END)
    assert page == renewed()


def test_every_reason_is_one_for_a_mutant_that_is_not_noticed() -> None:
    left = {file: set(score.left) for file, score in measured().items()}

    assert [(file, name) for file, why in reasons().items() for name in why if name not in left[file]] == []
