"""The schema and its versions: numbered SQL files, applied forward only, each in a transaction of its own.

A file is called ``0001_initial.sql``. Its version is its number, versions count up from 1 without a gap, and once
it was released it never changes. The database remembers its version itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from attrs import frozen

from trioflow.errors import TrioflowBug

_FILE_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")


@frozen
class Migration:
    """One step of the schema: from the version before it to its own."""

    version: int
    name: str
    sql: str


def schema() -> Sequence[Migration]:
    """Every migration of trioflow's own schema, in order."""
    return migrations_in(files("trioflow.store") / "schema")


def migrations_in(folder: Traversable) -> Sequence[Migration]:
    """The migrations of a folder, in order; other files are passed over.

    Raises:
        TrioflowBug: a version is missing, or there twice.
    """
    found = sorted(
        (
            Migration(int(match[1]), match[2], file.read_text("utf-8"))
            for file, match in _named_as_migrations(folder)
        ),
        key=lambda migration: migration.version,
    )
    versions = [migration.version for migration in found]
    if versions != list(range(1, len(found) + 1)):
        raise TrioflowBug(f"the migrations in {folder} are numbered {versions}")
    return found


def _named_as_migrations(folder: Traversable) -> Sequence[tuple[Traversable, re.Match[str]]]:
    matches = ((file, _FILE_NAME.fullmatch(file.name)) for file in folder.iterdir())
    return [(file, match) for file, match in matches if match]
