"""Which test shows which behaviour and which promise: tables in docs/, written from the marks on tests.

`python tests/architecture/behaviours.py --write` renews the tables. It never forgets: an id that stands in a
committed table and is shown by no test any more is an error, until somebody deletes its row by hand.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.architecture.sources import ROOT, parsed, python_files

BEGIN = "<!-- shown by: begin -->"
END = "<!-- shown by: end -->"


@frozen
class Register:
    """A page that lists ids, and the mark by which a test says that it shows one of them."""

    mark: str
    page: Path
    listed: re.Pattern[str]

    def text(self) -> str:
        """Read the page."""
        return (ROOT / self.page).read_text(encoding="utf-8")

    def ids(self) -> list[str]:
        """Every id that the page lists, in its order; an id marked as dropped (`-`) is not among them."""
        return [found["id"] for found in self.listed.finditer(self.text()) if found["sign"] != "-"]

    def committed(self) -> list[str]:
        """The ids that the page's table says are shown."""
        table = self.text().partition(BEGIN)[2].partition(END)[0]
        return re.findall(r"^\| ([A-Z]+-?\d+) \|", table, re.MULTILINE)

    def shown(self) -> dict[str, list[str]]:
        """The tests that carry the mark, by id, in the page's order; unlisted ids come last."""
        found: dict[str, list[str]] = {name: [] for name in self.ids()}
        for path in python_files("tests"):
            for test, name in marks(parsed(path), self.mark):
                found.setdefault(name, []).append(f"{path}::{test}" if test else f"{path}")
        return {name: sorted(set(tests)) for name, tests in found.items() if tests}

    def table(self) -> str:
        """The table as it should stand in the page."""
        ids, shown = self.ids(), self.shown()
        rows = [f"| {name} | {'<br>'.join(f'`{test}`' for test in tests)} |" for name, tests in shown.items()]
        head = f"{len(shown)} of {len(ids)} are shown by a test so far.\n\n| id | shown by |\n|---|---|"
        return "\n".join([BEGIN, "", head, *rows, "", END])

    def renewed(self) -> str:
        """The page with its table renewed."""
        before, _, rest = self.text().partition(BEGIN)
        return before + self.table() + rest.partition(END)[2]


REGISTERS = (
    Register(
        "behaviour",
        Path("docs/behaviours.md"),
        re.compile(r"^- \*\*(?P<id>[A-Z]{2}-\d{2})\*\*(?: (?P<sign>[=~-]))?", re.MULTILINE),
    ),
    Register(
        "promise",
        Path("docs/reliability.md"),
        re.compile(r"^- \*\*(?P<id>P\d+)\*\*(?P<sign>)", re.MULTILINE),
    ),
)


def marks(node: ast.AST, mark: str, test: str = "") -> Iterator[tuple[str, str]]:
    """Find each `pytest.mark.<mark>("ID", ...)`: the test it stands on ("" for the file), and the id."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield from marks(child, mark, f"{test}::{name}" if test else name)
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="mark"), attr=attr), args=args) if (
                attr == mark
            ):
                yield from ((test, ast.literal_eval(argument)) for argument in args)
            case _:
                yield from marks(child, mark, test)


def faults(register: Register) -> list[str]:
    """Say what is wrong with the marks: ids that nobody listed, ids that were shown and are no longer."""
    shown = register.shown()
    unknown = [
        f"{shown[name][0]} names {name}, which is not in {register.page}"
        for name in shown.keys() - register.ids()
    ]
    lost = [
        f"no test shows {name} any more; delete its row in {register.page} by hand if that is meant"
        for name in register.committed()
        if name not in shown
    ]
    return sorted(unknown) + lost


def write() -> int:
    """Renew both tables, unless something is wrong with the marks."""
    wrong = [fault for register in REGISTERS for fault in faults(register)]
    if wrong:
        print(*wrong, sep="\n")
        return 1
    for register in REGISTERS:
        (ROOT / register.page).write_text(register.renewed(), encoding="utf-8")
        print(f"{register.page}: {len(register.shown())} of {len(register.ids())} shown")
    return 0


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    sys.exit(write())
