"""Where a run is watched: on a terminal, line by line, or not at all. Screens draw what they are shown, when they are.

A screen is a context manager; within it, lines that anybody writes to stderr stand above what it draws.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol, Self, final

from attrs import define, field, frozen
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trioflow.cli.progress import Progress
from trioflow.cli.render import console, tell
from trioflow.engine.console import TOP, LineFormatter
from trioflow.engine.logs import TASK_RUNS
from trioflow.spoken import short_id, spoken_duration, spoken_seconds, state_style

_PLAIN_SECONDS = 5.0
_BAR_WIDTH = 40
_NAMES = 3


@frozen
class View:
    """What a screen shows of a run at one moment."""

    flow_name: str
    run_name: str
    progress: Progress
    running: Sequence[str]
    """Names of some task runs that are being executed."""
    elapsed: float
    """Seconds since the run was entered."""

    @property
    def title(self) -> str:
        """``Flow run 'brave-otter' (3f9a01bc) of flow 'audit-environment'``."""
        return f"Flow run {self.run_name!r} ({short_id(self.progress.run_id)}) of flow {self.flow_name!r}"


class Screen(AbstractContextManager["Screen"], Protocol):
    """Shows a run that goes on."""

    def show(self, view: View) -> None:
        """This is how it is now."""
        ...


@final
class _LiveHandler(logging.Handler):
    """Writes what runs say above the live lines, but for what these lines say better: that a task has ended well."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Shows one record."""
        if record.levelno > logging.INFO or not _is_said_by_the_bar(record):
            tell(self.format(record))


def _is_said_by_the_bar(record: logging.LogRecord) -> bool:
    return record.name == TASK_RUNS.name and getattr(record, "state_message", False)


@contextmanager
def _speaking_through(handler: logging.Handler) -> Generator[None]:
    """Within the block ``handler`` stands in for the console, unless somebody has set up logging."""
    if logging.root.handlers or TOP.handlers:
        yield
        return
    TOP.addHandler(handler)
    try:
        yield
    finally:
        TOP.removeHandler(handler)


@final
@define(eq=False)
class SilentScreen:
    """Shows nothing, and lets nothing be heard."""

    _silence: AbstractContextManager[None] = field(factory=lambda: _speaking_through(logging.NullHandler()))

    def __enter__(self) -> Self:
        self._silence.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._silence.__exit__(None, None, None)

    def show(self, view: View) -> None:
        """Nothing."""


@final
@define(eq=False)
class PlainScreen:
    """Tells in plain lines what has happened: at once which run it is, and every five seconds how far it is."""

    _told: str = ""
    _told_at: float = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Lines need no farewell."""

    def show(self, view: View) -> None:
        """A line, when it is time for one and there is something new."""
        if not self._told:
            self._told = view.title
            tell(view.title)
        told = view.progress.told()
        if view.elapsed - self._told_at >= _PLAIN_SECONDS and told != self._told:
            self._told, self._told_at = told, view.elapsed
            tell(f"{view.progress.state} for {spoken_duration(view.elapsed)} · {told}")


@final
@define(eq=False)
class LiveScreen:
    """Draws a few lines at the bottom of the terminal, over and over, and takes them away at the end."""

    _live: Live = field(init=False)
    _stack: ExitStack = field(factory=ExitStack, init=False)

    def __attrs_post_init__(self) -> None:
        self._live = Live(
            console=console(sys.stderr),
            auto_refresh=False,  # No thread of Rich's: whoever shows something decides how often.
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )

    def __enter__(self) -> Self:
        self._stack.enter_context(self._live)
        self._stack.enter_context(_speaking_through(_LiveHandler()))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def show(self, view: View) -> None:
        """Draws it."""
        self._live.update(drawn(view), refresh=True)


def drawn(view: View) -> Group:
    """The lines that `LiveScreen` draws."""
    progress = view.progress
    head = Text.assemble(
        ("● ", state_style(progress.type)),
        (view.flow_name, "bold"),
        f"  {view.run_name}  ",
        (short_id(progress.run_id), "dim"),
        "  ",
        (progress.state, state_style(progress.type)),
        (f"  {spoken_seconds(view.elapsed)}", "dim"),
    )
    bar = ProgressBar(
        total=max(progress.total, 1),
        completed=progress.done,
        width=_BAR_WIDTH,
        finished_style="green",
        complete_style="red" if progress.failed else "blue",
    )
    row = Table.grid(padding=(0, 2))
    row.add_row(bar, Text(progress.told(), no_wrap=True, overflow="ellipsis"))
    lines = [head, row] if progress.total else [head]
    if view.running:
        lines.append(Text(_named(view), style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def _named(view: View) -> str:
    shown = ", ".join(view.running[:_NAMES])
    more = max(view.progress.running, len(view.running)) - len(view.running[:_NAMES])
    return f"now: {shown} and {more} more" if more > 0 else f"now: {shown}"


def choose_screen(*, quiet: bool) -> Screen:
    """The screen that fits where stderr goes."""
    if quiet:
        return SilentScreen()
    return LiveScreen() if sys.stderr.isatty() else PlainScreen()
