"""A channel of frames over a stream: what waits when the stream is ready goes out in one write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import final

import trio
from attrs import define, field

from trioflow.client.link_frames import Decoder, Frame, Kind, encode
from trioflow.errors import LinkClosed

_CHUNK = 256 * 1024
_LAST_WORDS_SECONDS = 1.0
_LEFT = "the other side closed it"


@final
@define(eq=False)
class Channel:
    """One end. It speaks while `run` runs."""

    _stream: trio.abc.Stream
    _decoder: Decoder = field(factory=Decoder)
    _outbox: list[bytes] = field(factory=list[bytes], init=False)
    _put: trio.Event = field(factory=trio.Event, init=False)
    """Set when there is something for `_send` to do."""
    _finishing: bool = field(default=False, init=False)
    """Nothing is put any more: `_send` ends with what waits."""

    def put(self, frame: Frame) -> None:
        """Have the frame sent with all that waits. Never waits itself.

        Raises:
            MessageTooLarge: no frame is that long.
        """
        self._outbox.append(encode(frame))
        self._put.set()

    async def run(self, listen: Callable[[], Awaitable[None]]) -> str:
        """Send what is put while ``listen`` receives, until that raises `LinkClosed`. Returns why it did.

        The stream is closed in any case. The other side is told the reason, if it still listens.
        """
        reason = ""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send)
                try:
                    await listen()
                except LinkClosed as error:
                    reason = str(error)
                self._finish(reason)
                nursery.cancel_scope.deadline = trio.current_time() + _LAST_WORDS_SECONDS
        finally:
            with trio.move_on_after(_LAST_WORDS_SECONDS, shield=True):
                await trio.aclose_forcefully(self._stream)
        return reason

    async def receive(self) -> list[Frame]:
        """What has come: at least one frame.

        Raises:
            LinkClosed: no more will come; says why.
        """
        while True:
            if frames := self._decoder.feed(await self._receive_some()):
                return frames

    async def _receive_some(self) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(_CHUNK)
        except trio.BrokenResourceError as error:
            raise LinkClosed(_LEFT) from error
        if not data:
            raise LinkClosed(f"{_LEFT} amid a frame" if self._decoder.amid else _LEFT)
        return data

    async def _send(self) -> None:
        try:
            while not self._finishing or self._outbox:
                await self._put.wait()
                self._put = trio.Event()
                waiting, self._outbox = self._outbox, []
                await self._stream.send_all(b"".join(waiting))
        except trio.BrokenResourceError:
            return  # nobody reads it; who receives hears that soon enough

    def _finish(self, reason: str) -> None:
        self._finishing = True
        self.put(Frame.saying(Kind.CLOSE, reason))
