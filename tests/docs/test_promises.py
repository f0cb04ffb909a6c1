"""What the README says is promised is shown by the tests that it points to."""

from __future__ import annotations

import re

from tests.architecture.behaviours import REGISTERS
from tests.architecture.sources import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (P\d+) \|.*\| (.*) \|$", README, re.MULTILINE)


def test_each_promise_of_the_readme_is_marked_in_the_tests_that_it_names():
    shown = next(register for register in REGISTERS if register.mark == "promise").shown()
    marked = {number: {test.partition("::")[0] for test in tests} for number, tests in shown.items()}
    named = {number: set(re.findall(r"\]\(([^)]+)\)", cell)) for number, cell in ROWS}

    assert {number: sorted(files - marked.get(number, set())) for number, files in named.items()} == {
        "P1": [],
        "P2": [],
        "P3": [],
        "P6": [],
        "P7": [],
        "P9": [],
        "P10": [],
        "P11": [],
        "P12": [],
        "P13": [],
        "P18": [],
    }
    assert all(named.values())
