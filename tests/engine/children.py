"""Real processes that run flows of files, over a link that is served from the test's own store."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from tests.infrastructure.conftest import Started
from trioflow import clock
from trioflow.client.link import ServedLink, serve_link
from trioflow.core.runs import FlowRun
from trioflow.core.states import Pending
from trioflow.infrastructure.environment import flow_run_environment
from trioflow.infrastructure.infrastructure import Command, ExitReport
from trioflow.infrastructure.process import ProcessInfrastructure
from trioflow.processes import ENTRYPOINT, this_process
from trioflow.settings import Settings
from trioflow.wire import endpoints, requests

if TYPE_CHECKING:
    from tests.engine.conftest import Books

ENGINE = (sys.executable, "-m", "trioflow.engine")


@define(eq=False, kw_only=True)
class Child:
    """The process of one run, and the runner's end of its link."""

    run: FlowRun
    """As it was claimed."""
    books: Books
    started: Started
    link: ServedLink = field(init=False)
    linked: trio.CancelScope = field(factory=trio.CancelScope)
    """Cancelled, it closes the link, as the death of the runner does."""

    async def serve(self, task_status: trio.TaskStatus[None]) -> None:
        with self.linked:
            async with trio.open_nursery() as nursery:
                stream = self.started.process.take_link()
                self.link = await nursery.start(serve_link, stream, self.books.client)
                task_status.started()

    def kill(self, number: signal.Signals) -> None:
        os.kill(self.started.process.pid, number)

    async def says(self, line: str) -> None:
        """Returns when it has printed this."""
        await self.started.wait_said(line)

    def printed(self, stream: str = "stdout") -> list[str]:
        return self.started.said(stream)

    async def over(self) -> ExitReport:
        """How the process ended."""
        return await self.started.wait()

    async def found(self) -> FlowRun:
        """Its run, as the store has it now."""
        request = requests.ReadFlowRun(run_id=self.run.id)
        return await self.books.client.call(endpoints.READ_FLOW_RUN, request)

    async def state(self) -> str:
        """The state of its run, as text."""
        return str((await self.found()).state)


@define(eq=False, kw_only=True)
class Runner:
    """Starts runs as a runner does, of flows in files of this directory."""

    books: Books
    nursery: trio.Nursery
    path: Path
    environment: dict[str, str] = field(factory=dict[str, str])

    async def start(self, code: str, flow: str = "main", **fields: object) -> Child:
        """The process of a run of ``flow``, which this code defines."""
        file = self.path / "flows.py"
        file.write_text(textwrap.dedent(code), encoding="utf-8")
        return await self.start_at(f"{file}:{flow}", **fields)

    async def start_at(self, entrypoint: str, **fields: object) -> Child:
        """The same, of the flow at an entry point."""
        return await self.start_claimed(await self.claimed(entrypoint=entrypoint, **fields), entrypoint)

    async def start_claimed(self, run: FlowRun, entrypoint: str | None = None) -> Child:
        """The same, of a run that is claimed already; which flow it is of, it may have to find out itself."""
        said = {} if entrypoint is None else {ENTRYPOINT: entrypoint}
        settings = Settings(home=self.path / "home").as_environment()
        environment = flow_run_environment(run.id, run.epoch, self.path / "home", settings)
        # However Python was told to write in the tests' own process, a run's process sees to it itself.
        plain = {"PYTHONUNBUFFERED": ""}
        command = Command(argv=ENGINE, environment={**environment, **plain, **said, **self.environment})
        child = Child(run=run, books=self.books, started=Started(command))
        await self.nursery.start(child.started.own, ProcessInfrastructure(grace_seconds=5))
        await self.nursery.start(child.serve)
        return child

    async def claimed(self, **fields: object) -> FlowRun:
        """A new run, PENDING, and owned by this process."""
        return await claimed(self.books, **fields)


async def claimed(books: Books, **fields: object) -> FlowRun:
    """A new run, PENDING, and owned by this process."""
    given = {
        "id": clock.new_id(),
        "flow_name": "main",
        "name": "brave-otter",
        "state": Pending(),
        "transition_id": clock.new_id(),
        "owner": this_process(),
    }
    request = requests.CreateFlowRun(**{**given, **fields})
    return (await books.client.call(endpoints.CREATE_FLOW_RUN, request)).run
