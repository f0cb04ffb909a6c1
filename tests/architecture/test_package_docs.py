"""Each module opens with its contract; each package says what it knows, may import and never does."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.sources import parsed, python_files

SRC = python_files("src")
PACKAGES = [path for path in SRC if path.name == "__init__.py" and path.parent.name != "trioflow"]


@pytest.mark.parametrize("path", SRC, ids=str)
def test_a_module_opens_with_its_contract(path):
    assert ast.get_docstring(parsed(path))


@pytest.mark.parametrize("path", PACKAGES, ids=str)
def test_a_package_says_what_it_knows_may_import_and_never_does(path):
    lines = (ast.get_docstring(parsed(path)) or "").splitlines()
    said = [line.partition(":")[0] for line in lines if line.startswith(("Knows:", "May import:", "Never:"))]

    assert said == ["Knows", "May import", "Never"]


def test_every_folder_of_modules_is_a_package():
    assert {path.parent for path in SRC} - {
        path.parent for path in SRC if path.name == "__init__.py"
    } == set()
