"""Witnesses: who is told, while it happens, what the runs of a runner do and say. They are told; nothing waits."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol, TextIO, final

from attrs import define, field, frozen

from trioflow.core.runs import FlowRun
from trioflow.core.states import State
from trioflow.infrastructure.infrastructure import OutputLine
from trioflow.wire.requests import LogRecord

logger = logging.getLogger("trioflow.runner")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@frozen
class Said:
    """What a run said, and whose words it is: ``Flow run 'brave-otter'``, ``Task run 'double-0'``."""

    speaker: str
    record: LogRecord


class Witness(Protocol):
    """Told of each root run that a runner has in hand. Its methods take no time, and what they raise harms nobody."""

    def started(self, run: FlowRun, pid: int) -> None:
        """The run's process has been started."""
        ...

    def logs(self, run: FlowRun, said: Sequence[Said]) -> None:
        """The run, or something under it, said this, and the store has it."""
        ...

    def output(self, run: FlowRun, lines: Sequence[OutputLine]) -> None:
        """The run's process wrote this."""
        ...

    def tasks(self, run: FlowRun, done: int, of: int) -> None:
        """In this attempt, ``of`` task runs have begun, and ``done`` of them have ended."""
        ...

    def ended(self, run: FlowRun, state: State) -> None:
        """The run's process is gone, and left it in this state."""
        ...


@final
@define(eq=False)
class GuardedWitness:
    """A witness that can harm nobody: the first exception is logged, and from then on it is told no more."""

    _witness: Witness
    _failed: bool = field(default=False, init=False)

    def started(self, run: FlowRun, pid: int) -> None:
        """See `Witness.started`."""
        self._tell(lambda: self._witness.started(run, pid))

    def logs(self, run: FlowRun, said: Sequence[Said]) -> None:
        """See `Witness.logs`."""
        self._tell(lambda: self._witness.logs(run, said))

    def output(self, run: FlowRun, lines: Sequence[OutputLine]) -> None:
        """See `Witness.output`."""
        self._tell(lambda: self._witness.output(run, lines))

    def tasks(self, run: FlowRun, done: int, of: int) -> None:
        """See `Witness.tasks`."""
        self._tell(lambda: self._witness.tasks(run, done, of))

    def ended(self, run: FlowRun, state: State) -> None:
        """See `Witness.ended`."""
        self._tell(lambda: self._witness.ended(run, state))

    def _tell(self, what: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            what()
        except Exception:
            self._failed = True
            logger.exception("a witness failed, and will hear no more of this run")


@final
@frozen
class StreamWitness:
    """Writes what runs say, as plain lines: their logs to stderr, what their processes write to where it was written.

    Control characters are shown, not sent: what a run says may come from anywhere.
    """

    def started(self, run: FlowRun, pid: int) -> None:
        """Silent: the runner's log says it."""

    def logs(self, run: FlowRun, said: Sequence[Said]) -> None:  # noqa: ARG002 - a task may speak
        """``12:00:01.123 | INFO    | Flow run 'brave-otter' - Finished in state Completed()``."""
        _write(sys.stderr, map(_log_line, said))

    def output(self, run: FlowRun, lines: Sequence[OutputLine]) -> None:
        """``brave-otter | what it wrote``."""
        for stream, file in (("stdout", sys.stdout), ("stderr", sys.stderr)):
            _write(file, (f"{run.name} | {_shown(line.text)}" for line in lines if line.stream == stream))

    def tasks(self, run: FlowRun, done: int, of: int) -> None:
        """Silent: lines do not count."""

    def ended(self, run: FlowRun, state: State) -> None:
        """Silent: its log says it."""


def _log_line(said: Said) -> str:
    at = said.record.at.astimezone()
    level = logging.getLevelName(said.record.level)
    told = f"{said.speaker} - {said.record.message}"
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03} | {level:7} | {_shown(told)}"


def _shown(text: str) -> str:
    if not _CONTROL.search(text):
        return text
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _write(file: TextIO | None, lines: Iterable[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    if not text or file is None:
        return
    with suppress(OSError, ValueError):  # A pipe that nobody reads, a file that is closed: nobody to tell.
        file.write(text)
        file.flush()
