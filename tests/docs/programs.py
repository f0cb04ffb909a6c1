"""The programs in the documentation: each ``python`` block is one, the ``text`` block under it is what it prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from tests.architecture.sources import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "docs/index.md",
    ROOT / "docs/tutorial.md",
    *sorted((ROOT / "docs/how-to").glob("*.md")),
]

_PROGRAM = re.compile(
    r"^```python[^\n]*\n(?P<code>.*?)^```$(?:\s*^```text\n(?P<prints>.*?)^```$)?", re.MULTILINE | re.DOTALL
)


@frozen
class Program:
    """One block of code, as a reader pastes it into a file."""

    page: Path
    line: int
    code: str
    prints: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def programs(page: Path) -> Iterator[Program]:
    """Every program of the page, in its order."""
    text = page.read_text(encoding="utf-8")
    for found in _PROGRAM.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Program(page, line, found["code"], found["prints"] or "")
