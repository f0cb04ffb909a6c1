"""Claimed runs under supervision, in real processes, and what became of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import trio
from attrs import define, evolve, field, frozen

from trioflow import clock
from trioflow.client.client import Client
from trioflow.client.connect import serve_store
from trioflow.core.runs import FlowRun
from trioflow.core.states import Cancelling, Scheduled, State
from trioflow.errors import ProcessNotStarted
from trioflow.infrastructure.infrastructure import Command, ExitReport, OutputLine, Sink
from trioflow.infrastructure.process import ProcessInfrastructure
from trioflow.processes import FLOW_RUN_ID, this_process
from trioflow.runner.supervise import Place, Supervised, supervise
from trioflow.runner.witness import Said
from trioflow.settings import Settings
from trioflow.store.sqlite import open_memory
from trioflow.wire import endpoints, requests
from trioflow.wire.filters import ChangeFilter, LogFilter
from trioflow.wire.requests import LogRecord

SECONDS = 30.0
"""Nothing here takes that long; a hang fails."""
GRACE = 0.5
START = "import os; from trioflow import flow, task; import trio, time\n"
"""How each file of flows begins."""


@define(eq=False)
class Notes:
    """A witness that notes what it is told, and wakes who waits for it."""

    told: list[tuple[Any, ...]] = field(factory=list)
    said: list[Said] = field(factory=list)
    lines: list[OutputLine] = field(factory=list)
    news: trio.Event = field(factory=trio.Event)

    def started(self, run: FlowRun, pid: int) -> None:
        self._note("started", pid)

    def logs(self, run: FlowRun, said: Sequence[Said]) -> None:
        self.said.extend(said)
        self._note()

    def output(self, run: FlowRun, lines: Sequence[OutputLine]) -> None:
        self.lines.extend(lines)
        self._note()

    def tasks(self, run: FlowRun, done: int, of: int) -> None:
        self._note("tasks", done, of)

    def ended(self, run: FlowRun, state: State) -> None:
        self._note("ended", state.name)

    def _note(self, *told: Any) -> None:
        if told:
            self.told.append(told)
        self.news.set()

    async def wait_written(self, text: str) -> None:
        """Returns when a line of output has been ``text``."""
        with trio.fail_after(SECONDS):
            while text not in [line.text for line in self.lines]:
                self.news = trio.Event()
                await self.news.wait()


@frozen
class Books:
    """What the store says, and what is said to it as an operator does."""

    client: Client

    async def ask(self, endpoint: endpoints.Endpoint[Any, Any], request: Any) -> Any:
        return await self.client.call(endpoint, request)

    async def deployed(self) -> UUID:
        """The id of a deployment of the flow."""
        request = requests.ApplyDeployment(
            id=clock.new_id(), flow_name="audit", name="daily", entrypoint="flows.py:f"
        )
        return (await self.ask(endpoints.APPLY_DEPLOYMENT, request)).id

    async def scheduled(self, **fields: Any) -> FlowRun:
        """A run that is due."""
        id_ = clock.new_id()
        given = {
            "id": id_,
            "flow_name": "audit",
            "name": "brave-otter",
            "state": Scheduled(clock.now()),
            "transition_id": id_,
            **fields,
        }
        answer = await self.ask(endpoints.CREATE_FLOW_RUN, requests.CreateFlowRun(**given))
        return answer.run

    async def claimed(self, **fields: Any) -> FlowRun:
        """A run that this process has claimed."""
        run = await self.scheduled(**fields)
        return (await self.claim(run.id)).run

    async def claim(self, run_id: UUID) -> Any:
        request = requests.ClaimFlowRun(run_id=run_id, owner=this_process(), transition_id=clock.new_id())
        return await self.ask(endpoints.CLAIM_FLOW_RUN, request)

    async def propose(self, run: FlowRun, state: State, **fields: Any) -> Any:
        request = requests.ProposeFlowRunState(
            run_id=run.id, state=state, transition_id=clock.new_id(), **fields
        )
        return await self.ask(endpoints.PROPOSE_FLOW_RUN_STATE, request)

    async def cancel(self, run: FlowRun) -> None:
        """As `trioflow flow-run cancel` does."""
        await self.propose(run, Cancelling(message="no need"))

    async def run(self, run_id: UUID) -> FlowRun:
        return await self.ask(endpoints.READ_FLOW_RUN, requests.ReadFlowRun(run_id=run_id))

    async def history(self, run_id: UUID) -> list[str]:
        found = await self.ask(endpoints.READ_HISTORY, requests.ReadHistory(run_id=run_id))
        return [state.name for state in found.states]

    async def logs(self, run_id: UUID, logger: str = "") -> list[LogRecord]:
        """All that was stored of a run, in order, of the loggers whose name has this in it."""
        found, after = [], 0
        while True:
            page = await self.ask(
                endpoints.FIND_LOGS, requests.FindLogs(filter=LogFilter(flow_run_id=run_id, after=after))
            )
            if not page.records:
                return found
            found += [record for record in page.records if logger in record.logger]
            after = page.numbers[-1]

    async def said(self, run_id: UUID, logger: str = "") -> list[str]:
        return [record.message for record in await self.logs(run_id, logger)]

    async def wait_state(self, run_id: UUID, name: str) -> None:
        """Returns when the run is in a state of this name."""
        with trio.fail_after(SECONDS):
            while True:
                now = await self.client.now()
                run = await self.run(run_id)
                if run.state is not None and run.state.name == name:
                    return
                await self.client.changes(now, ChangeFilter())


@frozen
class Programs:
    """Processes of this machine that run another program than they are told to."""

    argv: tuple[str, ...]
    grace: float = GRACE

    async def run(self, command: Command, sink: Sink, *, task_status: Any) -> ExitReport:
        infrastructure = ProcessInfrastructure(grace_seconds=self.grace)
        return await infrastructure.run(evolve(command, argv=self.argv), sink, task_status=task_status)


@define(eq=False)
class Watched:
    """A run under supervision. ``outcome`` is there when that is over."""

    run: FlowRun
    place: Place
    notes: Notes
    entrypoint: str
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    at: Supervised | None = None
    outcome: State | ProcessNotStarted | None = None
    over: trio.Event = field(factory=trio.Event)

    @property
    def mark(self) -> str:
        """What the environment of everybody in its tree has."""
        return f"{FLOW_RUN_ID}={self.run.id.hex}"

    async def own(self, task_status: trio.TaskStatus[None]) -> None:
        with self.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._own, task_status)
        self.over.set()

    async def _own(self, task_status: trio.TaskStatus[None]) -> None:
        def started(supervised: Supervised) -> None:
            self.at = supervised
            task_status.started()

        try:
            self.outcome = await supervise(
                self.run, self.place, entrypoint=self.entrypoint, task_status=Told(started)
            )
        except ProcessNotStarted as error:
            self.outcome = error
            task_status.started()

    async def wait(self) -> Any:
        with trio.fail_after(SECONDS):
            await self.over.wait()
        return self.outcome


@frozen
class Told:
    started: Callable[[Supervised], None]


Start = Callable[..., Awaitable[Watched]]


@pytest.fixture
async def client(nursery: trio.Nursery) -> Client:
    return await nursery.start(serve_store, open_memory())


@pytest.fixture
def books(client: Client) -> Books:
    return Books(client)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", grace_seconds=GRACE, hook_seconds=5)


@pytest.fixture
def place(client: Client, settings: Settings) -> Place:
    return Place(
        client=client,
        infrastructure=ProcessInfrastructure(grace_seconds=settings.grace_seconds),
        settings=settings,
        runner_name="my-runner",
        witness=Notes(),
    )


@pytest.fixture
async def start(nursery: trio.Nursery, books: Books, place: Place, tmp_path: Path) -> Start:
    """Puts a claimed run under supervision: of flow ``f`` in this code, or of a program."""

    async def make(
        code: str = "", *, program: Sequence[str] = (), over: Any = None, **fields: Any
    ) -> Watched:
        path = tmp_path / f"flows_{clock.new_id().hex}.py"
        path.write_text(START + code, encoding="utf-8")
        here = evolve(place, **(over or {}))
        if program:
            here = evolve(here, infrastructure=Programs(tuple(program), here.settings.grace_seconds))
        watched = Watched(await books.claimed(**fields), here, here.witness, f"{path}:f")
        with trio.fail_after(SECONDS):
            await nursery.start(watched.own)
        return watched

    return make
