"""The records of a root run that are not stored yet, in order: some in memory, more in a file, never too many."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections import deque
from datetime import datetime
from itertools import accumulate, islice
from math import inf
from typing import Any, final
from uuid import UUID

import orjson
from attrs import define, evolve, field

from trioflow.wire.requests import LogRecord

MEMORY_RECORDS = 10_000
SPOOL_BYTES = 64 * 1024 * 1024


@final
@define(eq=False)
class Backlog:
    """Takes from any thread, gives to one.

    Beyond ``memory_records`` records wait in a file without a name, which ends with the process. Beyond ``spool_bytes``
    they are only counted, until all that was said before is stored; then a record tells how many they were.
    """

    memory_records: int = MEMORY_RECORDS
    spool_bytes: int = SPOOL_BYTES
    taken: int = field(default=0, init=False)
    """Records that were accepted, ever; those that were only counted are one."""
    given: int = field(default=0, init=False)
    """Records that were stored, ever: never more than ``taken``."""
    _memory: deque[LogRecord] = field(factory=deque[LogRecord], init=False)
    """The oldest; all that is in the file was said later."""
    _spool: _Spool | None = field(default=None, init=False)
    _lost: int = field(default=0, init=False)
    """Records that were only counted; all of them were said after what is in the file."""
    _last_lost: LogRecord | None = field(default=None, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    """Held for microseconds: for a write into a buffered file, or to read a batch back."""

    @property
    def waiting(self) -> int:
        """Records that are not stored yet."""
        return self.taken - self.given

    def put(self, record: LogRecord) -> bool:
        """Takes a record; tells whether it is the first one that waits."""
        with self._lock:
            first = self.taken == self.given
            if self._spool is None and not self._lost and len(self._memory) < self.memory_records:
                self._memory.append(record)
                self.taken += 1
            elif not self._lost and self._spooled(record):
                self.taken += 1
            else:
                self.taken += not self._lost
                self._lost += 1
                self._last_lost = record
            return first

    def first(self, limit: int, characters: float = inf) -> tuple[LogRecord, ...]:
        """The oldest records that wait; they go on waiting until `forget`.

        At most ``limit`` of them, and no more than have ``characters`` in their messages; but one, in any case.
        """
        with self._lock:
            if not self._memory:
                self._refill(limit)
            found = tuple(islice(self._memory, limit))
        said = accumulate(len(record.message) for record in found)
        return found[: max(1, sum(total <= characters for total in said))]

    def forget(self, count: int) -> None:
        """The oldest ``count`` records are stored."""
        with self._lock:
            for _ in range(count):
                self._memory.popleft()
            self.given += count

    def _spooled(self, record: LogRecord) -> bool:
        try:
            self._spool = self._spool or _Spool()
            return self._spool.write(record, self.spool_bytes)
        except OSError:
            return False

    def _refill(self, limit: int) -> None:
        if self._spool is not None:
            self._memory.extend(self._spool.read(limit))
            if self._spool.is_read:
                self._spool.close()
                self._spool = None
        if self._last_lost is not None and self._spool is None:
            message = f"{self._lost} log records are missing here: the store did not keep up"
            self._memory.append(evolve(self._last_lost, level=logging.WARNING, message=message))
            self._lost, self._last_lost = 0, None


@final
class _Spool:
    """Lines in a file, written at its end and read from where the last read ended."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when it is read
        self._end = 0
        self._read = 0

    @property
    def is_read(self) -> bool:
        """Whether all that was written has been read."""
        return self._read == self._end

    def write(self, record: LogRecord, most_bytes: int) -> bool:
        """Adds a record, unless the file would grow beyond ``most_bytes``; tells whether it did."""
        line = orjson.dumps(_fields(record)) + b"\n"
        if self._end + len(line) > most_bytes:
            return False
        self._file.seek(self._end)
        self._file.write(line)
        self._end += len(line)
        return True

    def read(self, limit: int) -> list[LogRecord]:
        """The next records, at most ``limit``."""
        self._file.seek(self._read)
        records = [_record(orjson.loads(line)) for line in islice(self._file, limit)]
        self._read = self._file.tell()
        return records

    def close(self) -> None:
        """The file is gone."""
        self._file.close()


def _fields(record: LogRecord) -> list[Any]:
    return [
        record.flow_run_id,
        record.task_run_id,
        record.logger,
        record.level,
        record.message,
        record.at.isoformat(),
    ]


def _record(fields: list[Any]) -> LogRecord:
    flow_run_id, task_run_id, logger, level, message, at = fields
    return LogRecord(
        flow_run_id=UUID(flow_run_id) if flow_run_id else None,
        task_run_id=UUID(task_run_id) if task_run_id else None,
        logger=logger,
        level=level,
        message=message,
        at=datetime.fromisoformat(at),
    )
