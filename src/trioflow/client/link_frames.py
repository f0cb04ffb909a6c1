"""The spelling of the link: bytes to frames and back. Knows no stream, no client, and nothing of what is said.

A frame is its length (four bytes, big-endian) and two lines of JSON. The first is its head, ``{"id", "kind", "name"}``;
the second is its body, which stays as it is until it is read straight into the type that it spells. JSON as we write
it has no line ends of its own.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from typing import final

import orjson
from attrs import define, field, frozen

from trioflow import errors
from trioflow.errors import LinkClosed, MessageTooLarge, TrioflowBug, TrioflowError

LONGEST_FRAME = 64 * 1024 * 1024
"""Bytes. Longer than what our own parts send: a batch of logs, or parameters with a large value among them."""

_LENGTH = struct.Struct("!I")


class Kind(StrEnum):
    """What a frame is."""

    REQUEST = "request"
    """The child asks for an endpoint, by ``name``."""
    WITHDRAW = "withdraw"
    """The child does not want request ``id`` to be done any more, if it is not begun."""
    REPLY = "reply"
    """The answer to request ``id``."""
    REFUSAL = "refusal"
    """The error that request ``id`` ended with: its class is ``name``, its message the body."""
    WITHDRAWN = "withdrawn"
    """Request ``id`` was not done, and will not be."""
    CANCEL = "cancel"
    """The runner asks the child to end; the body says why."""
    CLOSE = "close"
    """The last frame: the other side broke the rules; the body says how."""


@frozen
class Frame:
    """One message."""

    kind: Kind
    id: int = 0
    name: str = ""
    body: bytes = b"null"

    @classmethod
    def saying(cls, kind: Kind, text: str, id: int = 0, name: str = "") -> Frame:
        """A frame whose body is a text."""
        return cls(kind, id, name, orjson.dumps(text.encode(errors="replace").decode()))

    @property
    def text(self) -> str:
        """What a frame whose body is a text says; the body itself if it is none."""
        try:
            return str(orjson.loads(self.body))
        except ValueError:
            return self.body.decode(errors="replace")


def refusal(id: int, error: TrioflowError) -> Frame:
    """The frame that says that a request ended with this error."""
    return Frame.saying(Kind.REFUSAL, str(error), id, type(error).__name__)


def error_from(frame: Frame) -> TrioflowError:
    """The error of a refusal, of its own class; one that we do not know is a `TrioflowBug`."""
    class_ = getattr(errors, frame.name, None)
    if not (isinstance(class_, type) and issubclass(class_, TrioflowError)):
        return TrioflowBug(f"{frame.name}: {frame.text}")
    # Not by its constructor: some of them make their message from other things.
    return class_.__new__(class_, frame.text)


def encode(frame: Frame, longest: int = LONGEST_FRAME) -> bytes:
    """The bytes of a frame.

    Raises:
        MessageTooLarge: they are more than ``longest``; says how many.
    """
    head = orjson.dumps({"id": frame.id, "kind": frame.kind, "name": frame.name})
    length = len(head) + 1 + len(frame.body)
    if length > longest:
        raise MessageTooLarge(f"A message of {length} bytes does not fit: {longest} bytes are the most.")
    return b"".join((_LENGTH.pack(length), head, b"\n", frame.body))


@final
@define(eq=False)
class Decoder:
    """Bytes in, as they come; frames out."""

    _longest: int = LONGEST_FRAME
    _buffer: bytearray = field(factory=bytearray, init=False)
    """The beginning of a frame that is not whole yet."""

    @property
    def amid(self) -> bool:
        """A frame has begun, and is not whole yet."""
        return bool(self._buffer)

    def feed(self, data: bytes | bytearray) -> list[Frame]:
        """The frames that these bytes complete.

        Raises:
            LinkClosed: what came is no frame, or too long for one; says what is wrong.
        """
        self._buffer += data
        frames: list[Frame] = []
        start = 0
        while (end := self._end(start)) is not None:
            frames.append(_frame(bytes(self._buffer[start + _LENGTH.size : end])))
            start = end
        del self._buffer[:start]
        return frames

    def _end(self, start: int) -> int | None:
        """Where the frame that begins at ``start`` ends; None if that has not come yet."""
        if len(self._buffer) < start + _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer, start)
        if length > self._longest:
            raise LinkClosed(f"a frame of {length} bytes was announced; {self._longest} are the most")
        end = start + _LENGTH.size + length
        return end if end <= len(self._buffer) else None


def _frame(text: bytes) -> Frame:
    line, _, body = text.partition(b"\n")
    try:
        head = orjson.loads(line)
        return Frame(Kind(head["kind"]), int(head["id"]), str(head["name"]), body)
    except (ValueError, TypeError, LookupError) as error:
        raise LinkClosed(f"a frame cannot be read: {error!r}") from error
