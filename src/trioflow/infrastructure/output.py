"""Output: what a process writes, as lines, to one sink. Lossless: while the sink waits, so does the process."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, final

import trio
from attrs import define, field

from trioflow.infrastructure.infrastructure import OutputLine

if TYPE_CHECKING:
    from trioflow.infrastructure.infrastructure import Sink

LONGEST_LINE = 64 * 1024
"""Bytes; a longer line comes in pieces."""
_CHUNK = 64 * 1024

logger = logging.getLogger("trioflow.infrastructure")


@final
@define(eq=False)
class LineSplitter:
    """Bytes in, lines out. No character is torn, however the bytes come."""

    stream: Literal["stdout", "stderr"]
    _longest: int = LONGEST_LINE
    _rest: bytes = field(default=b"", init=False)
    """What came after the last line end; never longer than ``_longest``."""

    def feed(self, data: bytes) -> list[OutputLine]:
        """The lines and pieces of lines that these bytes complete."""
        *lines, rest = (self._rest + data).split(b"\n")
        found: list[OutputLine] = []
        for line in lines:
            found.append(self._line(self._shorten(line, found)))
        self._rest = self._shorten(rest, found)
        return found

    def end(self) -> list[OutputLine]:
        """The last line, if it had no line end."""
        rest, self._rest = self._rest, b""
        return [self._line(rest)] if rest else []

    def _shorten(self, line: bytes, found: list[OutputLine]) -> bytes:
        """Move pieces of ``line`` to ``found`` until the rest of it is short enough."""
        start = 0
        while len(line) - start > self._longest:
            end = _character_start(line, start + self._longest)
            found.append(self._line(line[start:end], goes_on=True))
            start = end
        return line[start:]

    def _line(self, line: bytes, *, goes_on: bool = False) -> OutputLine:
        return OutputLine(self.stream, line.decode(errors="replace"), goes_on)


def _character_start(text: bytes, index: int) -> int:
    """The last place not after ``index`` where a UTF-8 character starts; ``index`` itself if it is not UTF-8."""
    for back in range(4):
        if text[index - back] & 0xC0 != 0x80:  # 10xxxxxx continues one
            return index - back
    return index


@final
@define(eq=False)
class Output:
    """Hands on both streams of a process to ``sink``, whose calls never overlap."""

    _sink: Sink
    _turn: trio.Lock = field(factory=trio.Lock, init=False)
    # What is said while the tree is being ended is said too. The owner of the tree sets the deadline.
    _scope: trio.CancelScope = field(factory=lambda: trio.CancelScope(shield=True), init=False)
    _failed: bool = field(default=False, init=False)
    """The sink has raised: it is not asked again, and the process goes on unheard."""
    complete: bool = field(default=False, init=False)
    """Both streams were handed on to their ends."""

    async def pump(self, stdout: trio.abc.ReceiveStream, stderr: trio.abc.ReceiveStream) -> None:
        """Hand on all that comes until both streams end, or `end_within` is over. Cancelling does not end it."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read, stdout, LineSplitter("stdout"))
                nursery.start_soon(self._read, stderr, LineSplitter("stderr"))
            self.complete = not self._failed

    def end_within(self, seconds: float) -> None:
        """The process is over: what somebody else keeps its pipes open for, or a stuck sink, has this long."""
        self._scope.deadline = trio.current_time() + seconds

    async def _read(self, stream: trio.abc.ReceiveStream, splitter: LineSplitter) -> None:
        while chunk := await stream.receive_some(_CHUNK):
            await self._hand_on(splitter.feed(bytes(chunk)))
        await self._hand_on(splitter.end())

    async def _hand_on(self, lines: list[OutputLine]) -> None:
        async with self._turn:
            if not lines or self._failed:
                return
            try:
                await self._sink(lines)
            except Exception:
                self._failed = True
                logger.exception("what a process writes cannot be handed on, and is lost from here on")
