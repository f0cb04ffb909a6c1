"""A schema and a judge for the store's tests: a ledger of names, whose rows count up in the order of their effects."""

from __future__ import annotations

from pathlib import Path

from trioflow.store.migrate import Migration

LEDGER = [
    Migration(
        1,
        "ledger",
        """
        CREATE TABLE feed (number INTEGER NOT NULL) STRICT;
        INSERT INTO feed VALUES (0);
        CREATE TABLE ledger (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            pad BLOB
        ) STRICT;
        """,
    )
]


class Refused(Exception):
    """What the tests' functions raise."""


def enter(tx, names):
    """A judge: writes each name and answers with its change number; a name that starts with ``bad`` is refused."""
    tx.executemany("INSERT INTO ledger (name) VALUES (?)", [(name,) for name in names])
    first = tx.take_numbers(len(names))
    if any(name.startswith("bad") for name in names):
        raise Refused(next(name for name in names if name.startswith("bad")))
    return range(first, first + len(names))


def enter_for_good(tx, names):
    """A judge that does the same, and tells nobody before it is on the disk."""
    tx.require_sync()
    return enter(tx, names)


def entering(*names):
    """A function for `transact` that does the same."""
    return lambda tx: list(enter(tx, names))


def entered(tx):
    """Every name, in the order of effects."""
    return [name for (name,) in tx.execute("SELECT name FROM ledger ORDER BY position")]


def wide(name, size):
    """A function for `transact` that writes a row of that many bytes."""
    return lambda tx: tx.execute("INSERT INTO ledger (name, pad) VALUES (?, zeroblob(?))", (name, size))


def bytes_of(folder: Path) -> dict[str, bytes]:
    """What a database's files contain, but for SQLite's index of its log, which holds no data."""
    return {
        file.name: file.read_bytes() for file in sorted(folder.iterdir()) if not file.name.endswith("-shm")
    }
