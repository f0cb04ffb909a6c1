"""Versions of the schema: applied once, in order; what is newer, or not ours, is left as it is."""

from __future__ import annotations

import apsw
import pytest

from tests.store.ledger import LEDGER, bytes_of, entered, entering
from trioflow.errors import NotOurDatabase, SchemaTooNew, StatementRefused, TrioflowBug
from trioflow.store.migrate import Migration, migrations_in, schema
from trioflow.store.sqlite import open_sqlite

NEWER = [
    *LEDGER,
    Migration(2, "colour", "ALTER TABLE ledger ADD COLUMN colour TEXT; CREATE TABLE extra (x);"),
]


async def filled(path, migrations):
    store = await open_sqlite(path, migrations=migrations)
    await store.transact(entering("a"))
    await store.aclose()


async def test_a_newer_schema_is_applied_to_what_is_there(path):
    await filled(path, LEDGER)
    for _ in range(2):
        store = await open_sqlite(path, migrations=NEWER)
        assert await store.read(lambda tx: tx.execute("SELECT name, colour FROM ledger")) == [("a", None)]
        assert await store.read(lambda tx: tx.execute("PRAGMA user_version")) == [(2,)]
        await store.aclose()


async def test_a_database_of_a_newer_trioflow_is_refused_and_not_touched(path):
    await filled(path, NEWER)
    before = bytes_of(path.parent)
    with pytest.raises(SchemaTooNew, match=f"{path} has schema version 2, .* up to 1"):
        await open_sqlite(path, migrations=LEDGER)
    assert bytes_of(path.parent) == before


async def test_nor_is_it_touched_while_its_newest_version_is_only_in_the_log(path):
    await filled(path, LEDGER)
    newer = await open_sqlite(path, migrations=NEWER)
    before = bytes_of(path.parent)
    assert before[f"{path.name}-wal"]
    with pytest.raises(SchemaTooNew):
        await open_sqlite(path, migrations=LEDGER)
    assert bytes_of(path.parent) == before
    await newer.aclose()


@pytest.mark.parametrize(
    "mark", ["CREATE TABLE t (x)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"]
)
async def test_another_programs_database_is_refused_and_not_touched(tmp_path, mark):
    path = tmp_path / "theirs.db"
    theirs = apsw.Connection(str(path))
    theirs.execute(mark).fetchall()
    theirs.close()
    before = bytes_of(tmp_path)
    with pytest.raises(NotOurDatabase, match=f"{path} belongs to another program"):
        await open_sqlite(path, migrations=LEDGER)
    assert bytes_of(tmp_path) == before


async def test_a_file_that_is_no_database_is_refused_and_not_touched(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("Buy milk. " * 1000)
    before = bytes_of(tmp_path)
    with pytest.raises(NotOurDatabase, match=f"{path} is no SQLite database"):
        await open_sqlite(path, migrations=LEDGER)
    assert bytes_of(tmp_path) == before


async def test_an_empty_file_becomes_a_database(tmp_path):
    path = tmp_path / "trioflow.db"
    path.touch()
    await filled(path, LEDGER)
    assert path.read_bytes().startswith(b"SQLite format 3")


async def test_a_migration_that_fails_leaves_the_version_before_it(path):
    await filled(path, LEDGER)
    broken = Migration(2, "broken", "CREATE TABLE extra (x); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(StatementRefused, match="nowhere"):
        await open_sqlite(path, migrations=[*LEDGER, broken])
    store = await open_sqlite(path, migrations=NEWER)
    assert await store.read(entered) == ["a"]
    await store.aclose()


def test_a_folder_of_migrations_is_read_in_order(tmp_path):
    for name, sql in {"0002_two.sql": "2", "0001_one.sql": "1", "README.md": "", "__init__.py": ""}.items():
        (tmp_path / name).write_text(sql)
    assert migrations_in(tmp_path) == [Migration(1, "one", "1"), Migration(2, "two", "2")]


@pytest.mark.parametrize(
    "names", [["0002_two.sql"], ["0001_one.sql", "0003_three.sql"], ["0001_a.sql", "0001_b.sql"]]
)
def test_a_gap_between_migrations_is_a_bug(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(TrioflowBug, match="numbered"):
        migrations_in(tmp_path)


async def test_trioflows_own_schema_has_a_change_feed(path):
    store = await open_sqlite(path, migrations=schema())
    assert await store.transact(lambda tx: tx.take_numbers(1)) == 1
    await store.aclose()
