"""Real processes, started as a runner starts them, and what they said."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, field

from trioflow import clock
from trioflow.infrastructure.environment import flow_run_environment
from trioflow.infrastructure.infrastructure import Command, ExitReport, OutputLine, RunningProcess
from trioflow.infrastructure.process import ProcessInfrastructure
from trioflow.processes import FLOW_RUN_ID

SECONDS = 30.0
"""Nothing here takes that long; a hang fails."""


@define(eq=False)
class Started:
    """A process under test, from before it starts. Its owner is a task in ``scope``."""

    command: Command
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    process: RunningProcess = field(init=False)
    lines: list[OutputLine] = field(factory=list)
    _heard: trio.Event = field(factory=trio.Event)

    @property
    def mark(self) -> str:
        """What the environment of everybody in its tree has."""
        return f"{FLOW_RUN_ID}={self.command.environment[FLOW_RUN_ID]}"

    async def own(self, infrastructure: ProcessInfrastructure, task_status: trio.TaskStatus[None]) -> None:
        with self.scope:
            async with trio.open_nursery() as nursery:
                self.process = await nursery.start(infrastructure.run, self.command, self.sink)
                task_status.started()

    async def sink(self, lines: Sequence[OutputLine]) -> None:
        self.lines.extend(lines)
        self._heard.set()

    def said(self, stream: str = "stdout") -> list[str]:
        return [line.text for line in self.lines if line.stream == stream]

    async def wait_said(self, text: str) -> None:
        """Returns when a line has been ``text``."""
        with trio.fail_after(SECONDS):
            while text not in self.said():
                self._heard = trio.Event()
                await self._heard.wait()

    async def wait(self) -> ExitReport:
        with trio.fail_after(SECONDS):
            return await self.process.wait()


Start = Callable[..., Awaitable[Started]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return flow_run_environment(clock.new_id(), 1, tmp_path)


@pytest.fixture
async def start(nursery: trio.Nursery, environment: dict[str, str]) -> Start:
    """Starts a program, which gets 0.2 s of grace unless the test says otherwise."""

    async def make(*argv: str, grace: float = 0.2, drain: float = 5.0, **fields: Any) -> Started:
        infrastructure = ProcessInfrastructure(grace_seconds=grace, drain_seconds=drain)
        started = Started(Command(**{"argv": argv, "environment": environment, **fields}))
        with trio.fail_after(SECONDS):
            await nursery.start(started.own, infrastructure)
        return started

    return make


def python(code: str) -> tuple[str, ...]:
    """The arguments that run this code with little start-up."""
    return (sys.executable, "-I", "-S", "-c", code)
