"""The fair lock of a home: which process may write now. Two files beside the database, locked with ``flock``.

Whoever wants to write queues on one file, and then, as the only one from the queue, waits for the other. So a
writer that comes straight back stands behind everybody who was waiting. The kernel frees both when a process dies,
however it dies. A forked child would keep its dead parent's locks, so it loses the descriptors at birth.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from types import TracebackType
from typing import Final, final
from weakref import WeakSet

from attrs import define, field

PATIENCE: Final = 10.0
"""Seconds after which whoever holds the lock is named in the log."""

_PID_LENGTH: Final = 16

logger = logging.getLogger("trioflow.store")


@final
@define(eq=False)
class FairLock:
    """A context manager: within it, no other process and no other `FairLock` of this one is inside.

    Used by one thread at a time. The holder's process id stands in the lock file.
    """

    _database: str
    _patience: float
    _queue: int
    _turn: int
    forked: bool = False
    """This is a forked child's copy: its descriptors are closed."""
    _waiting_since: float | None = None
    _closed: threading.Event = field(factory=threading.Event)
    _watch: threading.Thread | None = None
    """Names who keeps the lock for too long; started by the first wait."""

    @classmethod
    def beside(cls, database: str, *, patience: float = PATIENCE) -> FairLock:
        """The lock of that database file, made if need be.

        Raises:
            OSError: the files can neither be opened nor made.
        """
        queue = _open(f"{database}.queue")
        turn = _open(f"{database}.lock")
        lock = cls(database, patience, queue, turn)
        _locks.add(lock)
        return lock

    def __enter__(self) -> None:
        if not self._enter_at_once():
            self._wait()
        self._entered()

    def enter_nowait(self) -> bool:
        """Enter, as ``with`` does, if nobody is in the way; otherwise stay outside, and say so."""
        if self._enter_at_once():
            self._entered()
            return True
        fcntl.flock(self._queue, fcntl.LOCK_UN)
        return False

    def leave(self) -> None:
        """Let the next one in."""
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()

    def holder(self) -> str:
        """Who holds the lock, or held it last, for people to read."""
        pid = os.pread(self._turn, _PID_LENGTH, 0).decode(errors="replace").strip()
        return f"process {pid}" if pid else "an unknown process"

    def close(self) -> None:
        """Frees the descriptors; closing twice does nothing."""
        _locks.discard(self)
        self._closed.set()
        if self._watch is not None:
            self._watch.join()
        self._close_files()

    def forget(self) -> None:
        """In a forked child: lets go of what is the parent's."""
        self.forked = True
        self._close_files()

    def _enter_at_once(self) -> bool:
        """True if nobody was in the way. If not, the queue may be ours by now, and asking again keeps it."""
        try:
            fcntl.flock(self._queue, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _entered(self) -> None:
        fcntl.flock(self._queue, fcntl.LOCK_UN)
        with contextlib.suppress(OSError):  # a full disk must not keep anyone from making space
            os.pwrite(self._turn, b"%-*d\n" % (_PID_LENGTH, os.getpid()), 0)

    def _wait(self) -> None:
        if self._watch is None:
            self._watch = threading.Thread(target=self._look, name="trioflow-lock-watch", daemon=True)
            self._watch.start()
        self._waiting_since = time.monotonic()
        try:
            fcntl.flock(self._queue, fcntl.LOCK_EX)
            fcntl.flock(self._turn, fcntl.LOCK_EX)
        finally:
            self._waiting_since = None

    def _look(self) -> None:
        """Runs beside the first wait and ever after, for nothing can interrupt ``flock``."""
        while not self._closed.wait(self._patience):
            since = self._waiting_since
            waited = 0.0 if since is None else time.monotonic() - since
            if waited >= self._patience:
                logger.warning(
                    "%s keeps the write lock of %s for %.0f s", self.holder(), self._database, waited
                )

    def _close_files(self) -> None:
        if self._queue >= 0:
            os.close(self._queue)
            os.close(self._turn)
            self._queue = self._turn = -1


_locks: WeakSet[FairLock] = WeakSet()


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _forget_after_fork() -> None:
    for lock in list(_locks):
        lock.forget()
    _locks.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
