"""One connection to an SQLite database: the statements that stores need, and what SQLite's errors mean for people."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, final
from weakref import WeakSet

import apsw
from attrs import define, field

from trioflow.errors import (
    ConstraintViolated,
    DatabaseCorrupt,
    DiskFailed,
    HomeNotWritable,
    NotOurDatabase,
    ReadOnlyTransaction,
    StatementRefused,
    StoreError,
    StoreForked,
    StoreFull,
    StoreGone,
)
from trioflow.store.batch import Transaction, newest_number
from trioflow.store.pace import Pace, Tuning
from trioflow.store.sqlite_hooks import Log, Patience
from trioflow.store.store import Durability, R, Row, Tx

_CACHED_STATEMENTS: Final = 256
_WAL_BYTES_KEPT: Final = 64 * 2**20
_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SYNCHRONOUS: Final = {Durability.SYNCED: "FULL", Durability.RELAXED: "NORMAL"}

_FULL: Final = "there is no space left for {path}: free some. Nothing is lost, and reading goes on"
_NOT_WRITABLE: Final = (
    "{path} cannot be opened or written ({error}): give this user the right to write the file and its folder"
)
_GONE: Final = (
    "{path} was deleted, moved or replaced while it was in use: nothing more is kept in it. Start again"
)
_CORRUPT: Final = (
    "{path} is damaged ({error}): stop every trioflow that uses it, keep a copy of it and of its -wal file, and"
    " restore a backup, or save what can be read with `sqlite3 {path} .recover`"
)
_MEANINGS: Final[Sequence[tuple[tuple[type[apsw.Error], ...], type[StoreError], str]]] = (
    ((apsw.ConstraintError,), ConstraintViolated, "{error}"),
    ((apsw.SQLError, apsw.BindingsError, apsw.MismatchError, apsw.TooBigError), StatementRefused, "{error}"),
    ((apsw.FullError,), StoreFull, _FULL),
    ((apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError), HomeNotWritable, _NOT_WRITABLE),
    ((apsw.CorruptError,), DatabaseCorrupt, _CORRUPT),
    ((apsw.NotADBError,), NotOurDatabase, "{path} is no SQLite database: choose another file"),
    ((apsw.IOError,), DiskFailed, "the disk refused to read or write {path} ({error}): see the system's log"),
)

logger = logging.getLogger("trioflow.store")


@final
@define(eq=False)
class SqliteConnection:
    """A `Connection` of SQLite's."""

    path: str
    _sqlite: Any
    """An `apsw.Connection`; its stubs name types that Python 3.11 does not have."""
    _log: Log = field(factory=Log)
    _pace: Pace = field(factory=Pace)
    """How quickly its commits come to the disk."""
    _patience: Patience = field(init=False)
    _durability: Durability | None = None
    """What ``PRAGMA synchronous`` is set to, if we have set it."""
    _writing: bool = False
    """Between `begin` and its end."""
    _reading: bool = False
    """Within `snapshot`."""
    _lost: StoreError | None = None
    """Why SQLite itself has rolled back the transaction in which we still are."""
    _data_version: int = field(default=-1, init=False)
    _file: tuple[int, int] | None = field(init=False)
    """Which file it has open; None where there is none of that name."""

    def __attrs_post_init__(self) -> None:
        # Neither hook knows this object: SQLite would keep it alive.
        self._patience = Patience(self.path)
        self._sqlite.set_busy_handler(self._patience)
        self._sqlite.set_wal_hook(self._log)
        self._file = _file_at(self.path)
        _connections.add(self)

    @classmethod
    def to(cls, path: str, *, vfs: str | None = None, tuning: Tuning | None = None) -> SqliteConnection:
        """A new connection to the database in that file, or in memory.

        Raises:
            StoreForked: this process inherited a connection to that file.
            StoreError: it cannot be opened.
        """
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        tuned = tuning or Tuning()
        log, pace = Log(tuned.log_pages), Pace(tuned.quick_seconds)
        connection = cls(path, _connect(path, path, flags, vfs), log, pace)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
        return connection

    @classmethod
    def only_looking(cls, path: str, *, vfs: str | None = None) -> SqliteConnection:
        """A new connection that leaves the file as it is, and makes none beside it; raises as `to` does."""
        # Without a log there is nobody who writes, and SQLite may be told not to make one to look for itself.
        lonely = not Path(f"{path}-wal").exists()
        name = f"{Path(path).absolute().as_uri()}?immutable={lonely:d}"
        return cls(path, _connect(path, name, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, vfs))

    def check_in_place(self) -> None:
        """See `Connection.check_in_place`: SQLite itself would go on in a file that was deleted."""
        if self._file is not None and _file_at(self.path) != self._file:
            raise StoreGone(_GONE.format(path=self.path))

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """See `Tx.execute`."""
        try:
            # apsw is lazy: without the fetch, only the first row of the first statement is run.
            rows: list[Row] = self._sqlite.execute(sql, parameters).fetchall()
        except apsw.Error as error:
            raise self._understood(error) from error
        return rows

    def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """See `Tx.executemany`."""
        try:
            self._sqlite.executemany(sql, rows).fetchall()
        except apsw.Error as error:
            raise self._understood(error) from error

    def begin(self, durability: Durability) -> None:
        """See `Connection.begin`."""
        if durability is not self._durability:
            self.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
            self._durability = durability
        self.execute("BEGIN IMMEDIATE")
        self._writing = True

    def begin_at_once(self, durability: Durability) -> bool:
        """See `Connection.begin_at_once`."""
        if durability is Durability.SYNCED and not self._pace.is_quick:
            return False
        self._patience.is_none = True
        try:
            pages, merged = self._sqlite.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
            # The first commit of a log syncs its head, however relaxed it is. A log that is merged begins anew.
            if pages == merged or self.log_is_long:
                return False
            self.begin(durability)
        except (StoreError, apsw.Error):
            return False  # whoever can wait meets the same again, or does not
        finally:
            self._patience.is_none = False
        return True

    def commit(self) -> None:
        """See `Connection.commit`."""
        self._check_not_lost()
        began = time.perf_counter()
        self.execute("COMMIT")
        if self._durability is Durability.SYNCED:
            self._pace.took(time.perf_counter() - began)
        self._writing = False

    def abandon(self) -> None:
        """See `Connection.abandon`."""
        self._writing, self._lost = False, None
        if self._sqlite.in_transaction:
            try:
                self.execute("ROLLBACK")
            except StoreError as error:
                logger.warning("rolling back: %s", error)

    def save(self) -> None:
        """See `Connection.save`."""
        self.execute("SAVEPOINT item")

    def keep(self) -> None:
        """See `Connection.keep`."""
        self._check_not_lost()
        self.execute("RELEASE item")

    def undo(self) -> None:
        """See `Connection.undo`."""
        self._check_not_lost()
        self.execute("ROLLBACK TO item")
        self.execute("RELEASE item")

    def sync(self) -> None:
        """See `Connection.sync`."""
        self.begin(Durability.SYNCED)
        # Only a commit that writes is synced, and this one writes a page even though it changes nothing.
        self.execute(f"PRAGMA user_version = {self.version}")
        self.commit()

    @property
    def log_is_long(self) -> bool:
        """See `Connection.log_is_long`."""
        return self._log.is_long

    def merge_log(self) -> None:
        """See `Connection.merge_log`."""
        try:
            ((_, pages, _),) = self.execute("PRAGMA wal_checkpoint(NOOP)")
            self._log.has(pages)
            if self._log.is_long:  # still: no other process has been quicker
                self._log.is_tried()
                self.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except StoreError as error:
            logger.warning("merging the log: %s", error)

    def snapshot(self, fn: Callable[[Tx], R]) -> R:
        """See `Connection.snapshot`."""
        self._reading = True
        try:
            self.execute("PRAGMA query_only = ON")
            self.execute("BEGIN")
            return fn(Transaction(self))
        finally:
            self._reading = False
            self.abandon()
            self.execute("PRAGMA query_only = OFF")

    def change_elsewhere(self) -> int:
        """See `Connection.change_elsewhere`."""
        ((version,),) = self.execute("PRAGMA data_version")
        if version == self._data_version:
            return 0
        self._data_version = version
        return newest_number(self)

    def close(self) -> None:
        """See `Connection.close`."""
        _connections.discard(self)
        try:
            self._sqlite.close()
        except apsw.Error as error:
            logger.warning("closing %s: %s", self.path, error)

    @property
    def version(self) -> int:
        """The number of the last migration that the database has seen."""
        ((version,),) = self.execute("PRAGMA user_version")
        return int(version)

    def _check_not_lost(self) -> None:
        if self._lost is not None:
            raise self._lost

    def _understood(self, error: apsw.Error) -> StoreError:
        if self._reading and isinstance(error, apsw.ReadOnlyError):
            return ReadOnlyTransaction()
        meaning = _meaning(self.path, error, self._sqlite.system_errno)
        if self._writing and self._lost is None and not self._sqlite.in_transaction:
            # A full or failing disk made SQLite roll back by itself. If the function that was running goes on
            # regardless, what it writes must be undone too, not committed statement by statement.
            self._lost = meaning
            self.execute("BEGIN")
        return meaning


def _connect(path: str, name: str, flags: int, vfs: str | None) -> apsw.Connection:
    if any(_is_same_file(orphan.path, path) for orphan in _orphans):
        raise StoreForked
    try:
        sqlite = apsw.Connection(name, flags, vfs, _CACHED_STATEMENTS)
    except apsw.Error as error:
        raise _meaning(path, error) from error
    # A name in double quotes that is no column is a mistake, not a text.
    sqlite.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
    sqlite.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
    # One plan for each statement: else one with a range and an order is planned anew each time that it is run.
    sqlite.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return sqlite


def _meaning(path: str, error: apsw.Error, system_errno: int = 0) -> StoreError:
    if isinstance(error, apsw.IOError) and system_errno in _NO_SPACE:
        return _meaning(path, apsw.FullError(str(error)))
    for kinds, ours, message in _MEANINGS:
        if isinstance(error, kinds):
            return ours(message.format(path=path, error=error))
    return StoreError(f"{path}: {type(error).__name__}: {error}")


_connections: WeakSet[SqliteConnection] = WeakSet()
_orphans: list[SqliteConnection] = []


def _file_at(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - before each transaction: a Path costs twice as much
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_same_file(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def _keep_after_fork() -> None:
    """Closing an inherited connection could wait for a thread that the child does not have: none is ever freed.

    Nor can the child open the same file: SQLite would believe that this process holds the parent's locks.
    """
    _orphans.extend(_connections)


os.register_at_fork(after_in_child=_keep_after_fork)
