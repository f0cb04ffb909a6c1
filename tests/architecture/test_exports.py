"""The public names are few, sorted and documented, and `import trioflow` costs little more than Trio."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import trioflow

COSTLY = {"apsw", "asyncio", "cattrs", "cloudpickle", "cyclopts", "httpx", "pendulum", "pydantic", "rich"}


def test_public_names_are_sorted():
    assert sorted(set(trioflow.__all__)) == trioflow.__all__


def test_every_public_name_says_what_it_gives():
    names = [name for name in trioflow.__all__ if not name.startswith("__")]

    assert [name for name in names if not inspect.getdoc(getattr(trioflow, name))] == []


def test_dir_lists_the_public_names():
    assert set(trioflow.__all__) <= set(dir(trioflow))


def test_importing_trioflow_imports_nothing_costly():
    code = "import sys, trioflow; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert COSTLY & set(loaded.split()) == set()


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing_of_ours"):
        _ = trioflow.nothing_of_ours
