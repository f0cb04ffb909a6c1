"""SQLite: opening a database, safely, and the two stores that live in one.

A database in a file is in WAL mode. Its ``application_id`` says that it is ours, its ``user_version`` which
migrations it has seen. Both are looked at before anything is written, so that what is not ours, or too new, stays
as it is.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Lock
from typing import Final, final

import trio
from attrs import frozen

from trioflow.errors import HomeNotWritable, NotOurDatabase, SchemaTooNew
from trioflow.store.batch import newest_number
from trioflow.store.feed import Feed
from trioflow.store.file import FileStore
from trioflow.store.lock import FairLock
from trioflow.store.memory import MemoryStore
from trioflow.store.migrate import Migration, schema
from trioflow.store.pace import Tuning
from trioflow.store.periodic import Timetable
from trioflow.store.sqlite_connection import SqliteConnection
from trioflow.store.store import Durability, Store
from trioflow.store.writer import Writer

APPLICATION_ID: Final = int.from_bytes(b"trio")
"""What tells our files from those of other programs."""


async def open_sqlite(
    path: str | os.PathLike[str],
    *,
    migrations: Sequence[Migration] | None = None,
    now: Callable[[], float] = time.monotonic,
    vfs: str | None = None,
    tuning: Tuning | None = None,
) -> Store:
    """The store in that file. The file, and its folder, are made if they are not there, for their owner only.

    Args:
        path: where the database is.
        migrations: the schema; by default, trioflow's own.
        now: a monotonic clock, in seconds, for what is run periodically.
        vfs: the name of one of SQLite's file systems.
        tuning: what is to be other than usual.

    Raises:
        HomeNotWritable: the file cannot be opened or made there.
        NotOurDatabase: the file is something else.
        SchemaTooNew: a newer trioflow wrote it.
        StoreForked: the process that this one was forked from had it open.
        StoreError: the database cannot do it.
    """
    place = _Place(os.fspath(path), vfs, schema() if migrations is None else migrations, tuning)
    lock, connection, newest = await trio.to_thread.run_sync(place.open)
    feed = Feed(newest)
    return FileStore(Writer(connection, lock, feed, now), feed, place.connect)


def open_memory(
    *, migrations: Sequence[Migration] | None = None, now: Callable[[], float] = trio.current_time
) -> Store:
    """A store that is gone with its object. ``now``, in seconds, says when what is periodic is due."""
    connection = memory_connection(migrations)
    return MemoryStore(connection, Timetable(now, Lock()), Feed(newest_number(connection)))


def memory_connection(migrations: Sequence[Migration] | None = None) -> SqliteConnection:
    """A connection to a new database that is gone with it, in the newest version."""
    connection = SqliteConnection.to(":memory:")
    _migrate(connection, schema() if migrations is None else migrations)
    return connection


@final
@frozen
class _Place:
    """A file that holds a database, or shall."""

    path: str
    vfs: str | None
    migrations: Sequence[Migration]
    tuning: Tuning | None

    def open(self) -> tuple[FairLock, SqliteConnection, int]:
        """The home's lock, a connection to the database in its newest version, its newest change number."""
        try:
            Path(self.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_untouched()
            with ExitStack() as undo:
                lock = FairLock.beside(self.path)
                undo.callback(lock.close)
                with lock:
                    connection = self._connect_writer()
                undo.callback(connection.close)
                newest = newest_number(connection)
                undo.pop_all()
        except OSError as error:
            raise HomeNotWritable(
                f"{self.path} cannot be made ({error}): choose another place, or let this user write its folder"
            ) from error
        return lock, connection, newest

    def connect(self) -> SqliteConnection:
        """One more connection, for a reader."""
        return SqliteConnection.to(self.path, vfs=self.vfs, tuning=self.tuning)

    def _check_untouched(self) -> None:
        """Refuses what `_check` refuses before anything was written; what is not there yet is fine."""
        if Path(self.path).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.path)
        if Path(self.path).exists() and Path(self.path).stat().st_size:
            with closing(SqliteConnection.only_looking(self.path, vfs=self.vfs)) as connection:
                _check(connection, self.path, self.migrations)

    def _connect_writer(self) -> SqliteConnection:
        # SQLite would make the file readable for everyone. Its -wal and -shm files take over these rights.
        if not Path(self.path).exists():
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with ExitStack() as undo:
            connection = self.connect()
            undo.callback(connection.close)
            _check(connection, self.path, self.migrations)
            _use_wal(connection, self.path)
            _migrate(connection, self.migrations)
            undo.pop_all()
        return connection


def _check(connection: SqliteConnection, path: str, migrations: Sequence[Migration]) -> None:
    ((application,),) = connection.execute("PRAGMA application_id")
    ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_schema")
    version = connection.version
    if application != APPLICATION_ID and (application or version or tables):
        raise NotOurDatabase(f"{path} belongs to another program: choose another file")
    if version > len(migrations):
        raise SchemaTooNew(
            f"{path} has schema version {version}, and this trioflow knows versions up to {len(migrations)}:"
            " install the newer trioflow that wrote it"
        )


def _use_wal(connection: SqliteConnection, path: str) -> None:
    ((mode,),) = connection.execute("PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise HomeNotWritable(
            f"the file system of {path} has no shared memory for SQLite: choose a local disk"
        )


def _migrate(connection: SqliteConnection, migrations: Sequence[Migration]) -> None:
    """Applies what the database has not seen yet, each in a transaction of its own."""
    for step in migrations[connection.version :]:
        connection.begin(Durability.SYNCED)
        try:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(step.sql)
            connection.execute(f"PRAGMA user_version = {step.version}")
            connection.commit()
        finally:
            connection.abandon()
