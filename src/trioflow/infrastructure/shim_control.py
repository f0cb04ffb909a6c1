"""The runner's end of the socket to a shim: what can be asked of it, and what it tells. Its closing is the lifeline."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import final

import trio
from attrs import define, field, frozen

from trioflow.errors import ProcessNotStarted


@frozen
class Exited:
    """The last that a shim says: the tree is gone."""

    status: int
    killed: bool
    leftovers: int


@final
@define(eq=False)
class ShimControl:
    """Speaks the shim's protocol; see `trioflow.infrastructure.shim`."""

    _socket: socket.socket
    stream: trio.SocketStream = field(init=False)
    _heard: bytes = field(default=b"", init=False)
    exited: Exited | None = field(default=None, init=False)
    """None while the shim has not reported; it never does when it was killed."""

    def __attrs_post_init__(self) -> None:
        self.stream = trio.SocketStream(trio.socket.from_stdlib_socket(self._socket))

    def stop(self, after: float, grace: float) -> None:
        """Have the tree asked to end in ``after`` seconds, and killed ``grace`` seconds later."""
        # Past trio, so that it never waits: the line fits into any socket's buffer. A dead shim needs no stop.
        with suppress(OSError):
            self._socket.send(f"stop {after:.3f} {grace:.3f}\n".encode())

    async def wait_started(self) -> int:
        """The pid of the program.

        Raises:
            ProcessNotStarted: there is none; says why.
        """
        match (await self._line()).split(" ", 1):
            case ["started", pid]:
                return int(pid)
            case ["failed", why]:
                raise ProcessNotStarted(f"The process could not be started: {why}")
            case _:
                raise ProcessNotStarted("The process could not be started: its shim was ended.")

    async def wait_exited(self) -> None:
        """Returns when the shim has reported, or is dead."""
        if self.exited is None and (line := await self._line()):
            _, status, killed, leftovers = line.split()
            self.exited = Exited(int(status), killed == "1", int(leftovers))

    async def _line(self) -> str:
        """What the shim says next; empty when it will say no more."""
        while b"\n" not in self._heard:
            try:
                heard = await self.stream.receive_some()
            except trio.BrokenResourceError:
                return ""
            if not heard:
                return ""
            self._heard += heard
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode(errors="replace")
