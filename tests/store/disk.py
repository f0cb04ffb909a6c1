"""A disk that a test can watch, stop and break: the usual one, but for what it does before each sync."""

from __future__ import annotations

import apsw

from trioflow.store.pace import LOG_PAGES, Tuning


def work():
    """What a disk does before a sync if nobody has told it otherwise."""


class WatchedFile(apsw.VFSFile):
    def __init__(self, name, flags, disk):
        super().__init__("", name, flags)
        self.disk = disk

    def xSync(self, flags):  # noqa: N802 - apsw's name
        self.disk.on_sync()
        super().xSync(flags)


class WatchedDisk(apsw.VFS):
    """Calls ``on_sync`` before each sync, in whichever thread that is."""

    name = "watched"

    def __init__(self):
        self.on_sync = work
        super().__init__(self.name, "")

    def xOpen(self, name, flags):  # noqa: N802 - apsw's name
        return WatchedFile(name, flags, self)


def slow(log_pages: int = LOG_PAGES) -> Tuning:
    """For a disk that the event loop never waits for."""
    return Tuning(log_pages=log_pages, quick_seconds=0)


def quick(log_pages: int = LOG_PAGES) -> Tuning:
    """For a disk that, once tried, it does."""
    return Tuning(log_pages=log_pages, quick_seconds=3600)
