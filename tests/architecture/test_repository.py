"""What a newcomer pastes is what CI runs, and nothing unfinished is committed."""

from __future__ import annotations

import os
import re
import tomllib

import pytest

from tests.architecture.sources import FOLDERS, ROOT, python_files

README = (ROOT / "README.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci/run").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FRAGMENTS = [path for path in sorted((ROOT / "newsfragments").iterdir()) if path.name != "README.md"]
FRAGMENT_TYPES = [kind["directory"] for kind in PYPROJECT["tool"]["towncrier"]["type"]]

UNFINISHED = re.compile("TO" + "DO|FIX" + "ME|XX" + "X|for " + "now|NotImplemented" + "Error")


def test_the_readme_has_two_commands_one_to_run_and_one_to_test():
    run, test = COMMANDS

    assert "trioflow serve examples/" in run
    assert test.endswith(".venv/bin/nox")


def test_ci_runs_the_readmes_test_command_and_no_other():
    lines = [line for line in CI.splitlines() if line and not line.startswith("#")]

    assert lines == [
        "set -euo pipefail",
        'cd "$(dirname "$0")/.."',
        "export CI=true",
        "exec </dev/null",
        COMMANDS[1],
    ]
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_every_requirement_is_pinned_for_ci():
    project = PYPROJECT["project"]
    groups = [*project["optional-dependencies"].values(), *PYPROJECT["dependency-groups"].values()]
    wanted = [
        *project["dependencies"],
        *(line for group in groups for line in group if isinstance(line, str)),
    ]
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}

    assert {re.split(r"[\[>=<~ ]", line)[0] for line in wanted} - pinned == set()


@pytest.mark.parametrize("path", python_files(*FOLDERS), ids=str)
def test_nothing_unfinished_is_committed(path):
    assert UNFINISHED.findall((ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_newsfragment_is_one_line_of_a_known_type(path):
    _, kind, suffix = path.name.split(".")

    assert (kind in FRAGMENT_TYPES, suffix) == (True, "md")
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1
