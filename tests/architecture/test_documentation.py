"""What the pages show is Python that names what trioflow has, and every file that they point to exists."""

from __future__ import annotations

import ast
import re

import pytest

import trioflow
from tests.architecture.sources import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+://)([^)#:]+)(?:#[^)]*)?\)")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def taken_from_trioflow(code: str) -> set[str]:
    """Parse the code, and list the names that it imports from the root package."""
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    return {alias.name for node in imports if node.module == "trioflow" for alias in node.names}


@each_page
def test_examples_parse_and_use_public_names(page):
    used = {
        name for code in BLOCK.findall(page.read_text(encoding="utf-8")) for name in taken_from_trioflow(code)
    }

    assert used - set(trioflow.__all__) == set()


@each_page
def test_a_link_to_a_file_of_the_repository_finds_it(page):
    targets = set(LINK.findall(page.read_text(encoding="utf-8")))

    assert {target for target in targets if not (page.parent / target).exists()} == set()
