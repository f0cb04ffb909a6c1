"""A connection, as the stores see it: which statements a database is asked for besides those of judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from trioflow.store.store import Durability, R, Row, Tx


class Connection(Protocol):
    """What a store needs of a database. Used by one thread at a time; raises errors of ours only."""

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """See `Tx.execute`."""
        ...

    def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """See `Tx.executemany`."""
        ...

    def check_in_place(self) -> None:
        """Passes while what it writes to is what others find there.

        Raises:
            StoreGone: all that it is told from now on would be lost.
        """
        ...

    def begin(self, durability: Durability) -> None:
        """Opens a transaction that writes."""
        ...

    def begin_at_once(self, durability: Durability) -> bool:
        """Opens a transaction, unless it or its commit might wait for anyone, or long for the disk. Never raises."""
        ...

    def commit(self) -> None:
        """Makes it last, as durably as `begin` was told."""
        ...

    def abandon(self) -> None:
        """Undoes the open transaction, if there still is one. Never raises."""
        ...

    def save(self) -> None:
        """Sets a savepoint."""
        ...

    def keep(self) -> None:
        """Forgets the savepoint and keeps what was written since."""
        ...

    def undo(self) -> None:
        """Forgets the savepoint and what was written since."""
        ...

    def sync(self) -> None:
        """Outside a transaction: returns once all that was committed before is on the disk."""
        ...

    @property
    def log_is_long(self) -> bool:
        """Time for `merge_log`."""
        ...

    def merge_log(self) -> None:
        """Outside a transaction: moves into the database what readers do not need in its log. Never raises."""
        ...

    def snapshot(self, fn: Callable[[Tx], R]) -> R:
        """What ``fn`` returned, looking at one consistent state. It cannot write."""
        ...

    def change_elsewhere(self) -> int:
        """The newest change number if another connection has committed since this was last asked, else 0."""
        ...

    def close(self) -> None:
        """Frees it. Never raises."""
        ...
