"""Real processes on a real home: a file of flows, the command line, and a hand on the switch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import define

SECONDS = 60.0
"""No command of these tests takes that long; a hang fails."""


@define(eq=False)
class Home:
    """A home directory, and ``trioflow`` run on it as a user would."""

    path: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TRIOFLOW_HOME": str(self.path / "home"), "PYTHONUNBUFFERED": "1"}

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.write_text(text, encoding="utf-8")
        return path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """``trioflow …`` in a process of its own, whose output can be read line by line."""
        return subprocess.Popen(
            [sys.executable, "-m", "trioflow", *arguments],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trioflow", *arguments],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def lines(self, name: str) -> list[str]:
        path = self.path / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Read the process's output until a line has this in it."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return
    pytest.fail(f"{text!r} was never said, but:\n{''.join(seen)}")


def kill(process: subprocess.Popen[str]) -> None:
    """As a power cut would: no last words."""
    process.send_signal(signal.SIGKILL)
    process.wait(SECONDS)
    if process.stdout is not None:
        process.stdout.close()
