"""The tests on the page about tests pass, as they stand there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.docs.programs import ROOT, programs
from tests.testing.test_plugin import is_installed

PAGE = ROOT / "docs/how-to/test-your-flows.md"


@pytest.mark.parametrize("program", list(programs(PAGE)), ids=str)
def test_the_tests_of_the_page_pass(program, tmp_path):
    (tmp_path / "test_page.py").write_text(program.code, encoding="utf-8")
    plugins = [] if is_installed() else ["-p", "trioflow.testing.plugin"]
    command = [sys.executable, "-m", "pytest", *plugins, "-q", "-p", "no:cacheprovider", "-W", "error", "."]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{program.code.count('def test_')} passed" in done.stdout
