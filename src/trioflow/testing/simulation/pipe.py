"""Pipes: the link between two simulated processes. Bytes arrive in order, each piece after a drawn while, or never."""

# pyright: reportPrivateUsage=false
# (the two ends of a pipe know each other)

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import final

import trio
from attrs import define, field

Delay = Callable[[], float]
"""Draws how many seconds a piece is on its way."""


@final
@define(eq=False)
class PipeEnd(trio.abc.Stream):
    """One end of a pipe."""

    _delay: Delay
    _peer: PipeEnd | None = field(default=None, init=False)
    """None until the pipe is whole."""
    _pieces: deque[tuple[float, bytes]] = field(factory=deque[tuple[float, bytes]], init=False)
    """What the other end has sent, and when it arrives."""
    _is_closed: bool = field(default=False, init=False)
    _arrived: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.abc.SendStream`."""
        await trio.lowlevel.checkpoint()
        self._check_open()
        if self._peer is None or self._peer._is_closed:
            raise trio.BrokenResourceError
        self._peer._take(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`: there is always room."""
        await trio.lowlevel.checkpoint()
        self._check_open()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:  # noqa: ARG002 - as the interface has it
        """See `trio.abc.ReceiveStream`: all that has arrived."""
        await trio.lowlevel.checkpoint()
        while True:
            self._check_open()
            if self._pieces:
                await trio.sleep_until(self._pieces[0][0])
                self._check_open()
                return self._take_arrived()
            if self._peer is None or self._peer._is_closed:
                return b""
            await self._arrived.park()

    async def aclose(self) -> None:
        """See `trio.abc.AsyncResource`."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Close it now. What was sent before still arrives."""
        if self._is_closed:
            return
        self._is_closed = True
        self._arrived.unpark_all()
        if self._peer is not None:
            self._peer._arrived.unpark_all()

    def cut(self) -> None:
        """Cut the pipe: what is on its way is lost, and both ends hear that the other one is gone."""
        self._pieces.clear()
        self.close()
        if self._peer is not None:
            self._peer._pieces.clear()
            self._peer._arrived.unpark_all()

    def _take(self, data: bytes) -> None:
        before = self._pieces[-1][0] if self._pieces else 0.0
        self._pieces.append((max(before, trio.current_time() + self._delay()), data))
        self._arrived.unpark_all()

    def _take_arrived(self) -> bytes:
        now = trio.current_time()
        arrived: list[bytes] = []
        while self._pieces and self._pieces[0][0] <= now:
            arrived.append(self._pieces.popleft()[1])
        return b"".join(arrived)

    def _check_open(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError


def pipe(delay: Delay) -> tuple[PipeEnd, PipeEnd]:
    """The two ends of a new pipe."""
    one, other = PipeEnd(delay), PipeEnd(delay)
    one._peer, other._peer = other, one
    return one, other
