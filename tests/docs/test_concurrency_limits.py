"""The commands of the page about concurrency limits, typed one after the other, print what stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.docs.programs import ROOT, programs
from tests.e2e.conftest import SECONDS, Home

PAGE = ROOT / "docs/how-to/concurrency-limits.md"
(PROGRAM,) = programs(PAGE)
(SCREEN,) = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
TYPED = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", SCREEN, re.MULTILINE)
"""What is typed, and what is printed then."""


def printed(home: Home, typed: str) -> str:
    program, *words = shlex.split(typed)
    module = ["-m", "trioflow"] if program == "trioflow" else []
    command = [sys.executable, *module, *words]
    done = subprocess.run(
        command, cwd=home.path, env=home.environment, stdout=subprocess.PIPE, timeout=SECONDS, check=True
    )
    return "\n".join(line.rstrip() for line in done.stdout.decode().splitlines()) + "\n"


def test_the_limit_holds_from_the_moment_that_it_is_set(tmp_path: Path):
    home = Home(tmp_path)
    home.write("reports.py", PROGRAM.code)

    assert [(typed, printed(home, typed)) for typed, _ in TYPED] == TYPED
