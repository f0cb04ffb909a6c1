"""What a serving program shows: a panel when it starts; then on a terminal what goes on, elsewhere lines.

A screen is the runner's witness: it is told, and nothing waits for it.
"""

from __future__ import annotations

import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, Self, TextIO, final
from uuid import UUID

import trio
from attrs import define, field
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trioflow import clock
from trioflow.runner.witness import Said, StreamWitness, Witness
from trioflow.serving.board import Active, Board, Served, farewell
from trioflow.settings import current_settings
from trioflow.spoken import short_id, spoken_due, spoken_schedule, spoken_seconds, state_style
from trioflow.wire.endpoints import FIND_DEPLOYMENTS
from trioflow.wire.filters import DeploymentFilter
from trioflow.wire.requests import FindDeployments

if TYPE_CHECKING:
    from trioflow.client.client import Client
    from trioflow.core.runs import FlowRun
    from trioflow.core.states import State
    from trioflow.infrastructure.infrastructure import OutputLine

RUNNER_LOGGERS = ("trioflow.runner", "trioflow.flow_runs.runner")
"""What they say of each run, the lines that are drawn say better."""
TITLE = "Your deployments are being served and polling for scheduled runs!"

_REDRAW_SECONDS = 0.1
_IDLE_SECONDS = 1.0
_LOOK_SECONDS = 2.0
"""How often it is asked what is due next."""
_BAR_WIDTH = 24
_MOST_SHOWN = 8
"""So many runs have a line of their own."""
_NO_LIMIT = 10_000
_PLAYING = "●"


class Screen(Witness, AbstractContextManager["Screen"], Protocol):
    """Shows what a runner does. Within its context, lines that anybody writes to stderr stand above what it draws."""

    async def follow(self, client: Client, ids: Collection[UUID]) -> None:
        """Show how these deployments stand, until cancelled."""
        ...


def choose_screen() -> Screen:
    """The screen that fits where stderr goes."""
    return LiveScreen() if sys.stderr.isatty() else PlainScreen()


async def served_now(client: Client, ids: Collection[UUID]) -> list[Served]:
    """These deployments, and when their next runs are due."""
    found: list[Served] = []
    offset = 0
    while True:
        page = await client.call(FIND_DEPLOYMENTS, FindDeployments(filter=DeploymentFilter(offset=offset)))
        found += (Served(*pair) for pair in zip(page.deployments, page.next_due, strict=True))
        offset += len(page.deployments)
        if not page.deployments:
            return [each for each in found if each.deployment.id in ids]


def announce(served: Sequence[Served]) -> None:
    """Print on stdout what is served, and how to start a run of it."""
    _console(sys.stdout).print(announcement(served, clock.now(), current_settings().ui_url))


def announcement(served: Sequence[Served], now: datetime, ui_url: str | None) -> RenderableType:
    """The panel that a serving program begins with."""
    table = Table(title="Deployments", title_justify="left", title_style="dim", show_header=False, box=None)
    for style in ("bold cyan", "", "dim"):
        table.add_column(no_wrap=True, style=style)
    for each in served:
        schedules = ", ".join(spoken_schedule(one.schedule) for one in each.deployment.schedules)
        due = f"next {spoken_due(each.next_due, now)}" if each.next_due else ""
        table.add_row(each.deployment.full_name, schedules or "when it is asked for", due)
    parts: list[RenderableType] = [
        table,
        Text(""),
        Text.assemble("Start a run with  ", ("trioflow deployment run [DEPLOYMENT_NAME]", "bold")),
        Text("Ctrl-C lets runs finish, then ends; a second one ends them now.", style="dim"),
    ]
    if ui_url:
        parts.insert(-1, Text.assemble("Look at them at  ", (f"{ui_url}/deployments", "bold")))
    return Panel(Group(*parts), title=TITLE, title_align="left", padding=(1, 2), expand=False)


@define(eq=False)
class _Watching(ABC):
    """What both screens do with what they are told: keep the board, and let lines through."""

    _board: Board = field(factory=Board, init=False)
    _streams: StreamWitness = field(factory=StreamWitness, init=False)

    def started(self, run: FlowRun, pid: int) -> None:
        """See `Witness.started`."""
        self._board.start(run, pid, clock.now())

    def logs(self, run: FlowRun, said: Sequence[Said]) -> None:
        """See `Witness.logs`."""
        self._streams.logs(run, said)

    def output(self, run: FlowRun, lines: Sequence[OutputLine]) -> None:
        """See `Witness.output`."""
        self._streams.output(run, lines)

    def tasks(self, run: FlowRun, done: int, of: int) -> None:
        """See `Witness.tasks`."""
        self._board.count(run.id, done, of)

    def ended(self, run: FlowRun, state: State) -> None:
        """See `Witness.ended`: one line about the whole run."""
        if (active := self._board.end(run.id, state)) is not None:
            mark = (f"{_PLAYING} ", state_style(state.type))
            self._say(Text.assemble(mark, farewell(active, state, clock.now())))

    @abstractmethod
    def _say(self, line: Text) -> None:
        """Write this line."""


@final
@define(eq=False)
class PlainScreen(_Watching):
    """Tells in lines what runs say, and how each of them ended."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Lines need no farewell."""

    async def follow(self, client: Client, ids: Collection[UUID]) -> None:
        """Learns what the deployments are called."""
        self._board.served = await served_now(client, ids)
        await trio.sleep_forever()

    def _say(self, line: Text) -> None:
        sys.stderr.write(f"{line.plain}\n")
        sys.stderr.flush()


@final
@define(eq=False)
class LiveScreen(_Watching):
    """Draws the runs in hand at the bottom of the terminal, over and over, and takes them away at the end."""

    _live: Live = field(init=False)
    _stack: ExitStack = field(factory=ExitStack, init=False)

    def __attrs_post_init__(self) -> None:
        self._live = Live(
            console=_console(sys.stderr),
            auto_refresh=False,  # No thread of Rich's: `follow` decides how often.
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )

    def __enter__(self) -> Self:
        self._stack.enter_context(self._live)
        if current_settings().log_level >= logging.INFO:
            self._stack.enter_context(_quiet(RUNNER_LOGGERS))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def logs(self, run: FlowRun, said: Sequence[Said]) -> None:
        """See `Witness.logs`; that a task has ended well is said by the bar."""
        self._streams.logs(run, [each for each in said if not _is_said_by_the_bar(each)])

    async def follow(self, client: Client, ids: Collection[UUID]) -> None:
        """Draws ten times a second while runs go on, once a second otherwise; asks what is due next."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look, client, ids)
            while True:
                self._live.update(drawn(self._board, clock.now()), refresh=True)
                await trio.sleep(_REDRAW_SECONDS if self._board.active else _IDLE_SECONDS)

    async def _look(self, client: Client, ids: Collection[UUID]) -> None:
        while True:
            self._board.served = await served_now(client, ids)
            await trio.sleep(_LOOK_SECONDS)

    def _say(self, line: Text) -> None:
        self._live.console.print(line)


def _is_said_by_the_bar(said: Said) -> bool:
    record = said.record
    is_end = record.message.startswith("Finished in state")
    return record.task_run_id is not None and record.level <= logging.INFO and is_end


@contextmanager
def _quiet(loggers: Sequence[str]) -> Generator[None]:
    """Within the block these loggers say what is wrong, and leave the rest to what is drawn."""
    before = [(logger, logger.level) for logger in map(logging.getLogger, loggers)]
    for logger, _ in before:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)


def drawn(board: Board, now: datetime) -> RenderableType:
    """The lines that `LiveScreen` draws."""
    grid = Table.grid(padding=(0, 2))
    active = list(board.active.values())
    for each in active[:_MOST_SHOWN]:
        grid.add_row(*_row(each, now))
    hidden = len(active) - _MOST_SHOWN
    more = f"and {hidden} more running" if hidden > 0 else ""
    foot = " │ ".join(filter(None, (more, board.upcoming(now), board.score())))
    return Group(grid, Text(foot or "waiting for runs", style="dim", no_wrap=True, overflow="ellipsis"))


def _row(active: Active, now: datetime) -> list[RenderableType]:
    bar = ProgressBar(total=max(active.of, 1), completed=active.done, width=_BAR_WIDTH)
    return [
        Text.assemble((f"{_PLAYING} ", "blue"), (active.title, "bold")),
        Text(active.run.name),
        Text(f"{short_id(active.run.id)}  pid {active.pid}", style="dim"),
        Text(spoken_seconds((now - active.since).total_seconds()), style="dim"),
        bar if active.of else "",
        Text(active.told()),
    ]


def _console(file: TextIO) -> Console:
    """As wide as the terminal, or as wide as its lines when it is none."""
    return Console(file=file, highlight=False, width=None if file.isatty() else _NO_LIMIT)
