"""What goes wrong with disks: each fault is an error of ours that names the file. Nothing is lost or half done."""

from __future__ import annotations

import contextlib
import resource
from functools import partial

import apsw
import pytest
import trio
import trio.testing

from tests.store.disk import slow, work
from tests.store.ledger import LEDGER, enter, enter_for_good, entered, entering, wide
from trioflow.errors import DatabaseCorrupt, DiskFailed, HomeNotWritable, StoreFull, StoreGone
from trioflow.store.sqlite import open_sqlite
from trioflow.store.store import Durability


@contextlib.contextmanager
def no_file_grows_beyond(size):
    """The operating system refuses to write further than that, as it does when a disk or a quota is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_loses_nothing_and_the_store_works_again_once_there_is_space(file_store, path):
    await file_store.transact(entering("a"))
    with no_file_grows_beyond(300_000):
        with pytest.raises(StoreFull, match=f"no space left for {path}"):
            await file_store.transact(wide("b", 1_000_000))
        assert await file_store.read(entered) == ["a"]
        assert await file_store.transact(entering("c")) == [2]
    await file_store.transact(wide("d", 1_000_000))
    assert await file_store.read(entered) == ["a", "c", "d"]
    assert await file_store.read(lambda tx: tx.execute("PRAGMA integrity_check")) == [("ok",)]


@pytest.mark.parametrize("becomes", ["deleted", "replaced"])
async def test_a_database_that_is_deleted_or_replaced_takes_and_tells_nothing_more(file_store, path, becomes):
    await file_store.transact(entering("a"))
    path.unlink()
    if becomes == "replaced":
        path.write_bytes(b"")
    for ask in (file_store.transact, file_store.read):
        with pytest.raises(StoreGone, match=f"{path} was deleted, moved or replaced"):
            await ask(entering("b"))
    with pytest.raises(StoreGone):
        await file_store.coalesce(enter, "c", durability=Durability.RELAXED)


async def test_whoever_shares_the_transaction_that_did_not_fit_is_told_and_nothing_of_it_is_there(
    file_store, elsewhere
):
    errors = []

    async def ask(call):
        with pytest.raises(StoreFull) as raised:
            await call()
        errors.append(raised.value)

    with no_file_grows_beyond(300_000):
        async with trio.open_nursery() as nursery:
            with elsewhere:
                nursery.start_soon(ask, lambda: file_store.coalesce(enter, "a"))
                nursery.start_soon(ask, lambda: file_store.transact(wide("b", 1_000_000)))
                nursery.start_soon(ask, lambda: file_store.coalesce(enter, "c"))
                await trio.testing.wait_all_tasks_blocked()
    assert len(set(errors)) == 3
    assert await file_store.read(entered) == []
    assert await file_store.transact(entering("d")) == [1]


async def test_what_is_written_after_sqlite_has_rolled_back_by_itself_is_undone_too(file_store):
    def goes_on_regardless(tx):
        tx.execute("PRAGMA cache_size = 10")  # pages go to the disk before the commit
        with contextlib.suppress(StoreFull):
            for number in range(100):
                wide(f"{number}", 100_000)(tx)
        return enter(tx, ["after"])

    with no_file_grows_beyond(300_000), pytest.raises(StoreFull):
        await file_store.transact(goes_on_regardless)
    assert await file_store.read(entered) == []
    assert await file_store.transact(entering("b")) == [1]


async def test_a_page_limit_spares_who_fits(file_store):
    await file_store.transact(lambda tx: tx.execute("PRAGMA max_page_count = 20"))
    with pytest.raises(StoreFull):
        await file_store.transact(wide("a", 1_000_000))
    assert await file_store.transact(entering("b")) == [1]


@pytest.mark.parametrize("place", ["file/trioflow.db", "file/deeper/trioflow.db", "folder.db"])
async def test_a_place_where_nothing_can_be_made_is_named(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(HomeNotWritable, match=str(tmp_path / place)):
        await open_sqlite(tmp_path / place, migrations=LEDGER)


async def test_home_and_files_are_for_their_owner_only(file_store, path):
    await file_store.transact(entering("a"))
    await file_store.read(entered)
    modes = {file.name.removeprefix(path.name): file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(["", "-wal", "-shm", ".lock", ".queue"], 0o600)
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_damaged_page_is_named_and_what_is_beside_it_can_be_read(path):
    store = await open_sqlite(path, migrations=LEDGER)
    await store.transact(wide("a", 100_000))
    ((root,),) = await store.read(
        lambda tx: tx.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'ledger'")
    )
    await store.aclose()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    store = await open_sqlite(path, migrations=LEDGER)
    with pytest.raises(DatabaseCorrupt, match=rf"{path} is damaged .*\.recover"):
        await store.read(entered)
    with pytest.raises(DatabaseCorrupt):
        await store.transact(entering("b"))
    assert await store.transact(lambda tx: tx.take_numbers(1)) == 1
    await store.aclose()


def fail():
    raise apsw.IOError


async def test_a_failing_disk_is_named_and_the_store_works_again_once_it_is_mended(path, watched_disk):
    store = await open_sqlite(path, migrations=LEDGER, vfs=watched_disk.name)
    watched_disk.on_sync = fail
    with pytest.raises(DiskFailed, match=f"read or write {path}"):
        await store.transact(entering("a"))
    watched_disk.on_sync = work
    assert await store.transact(entering("b")) == [1]
    assert await store.read(entered) == ["b"]
    await store.aclose()


async def test_if_it_fails_to_sync_what_was_committed_its_callers_are_told(path, watched_disk):
    """This is the one error after which something has changed."""
    store = await open_sqlite(path, migrations=LEDGER, vfs=watched_disk.name)
    await store.transact(entering("a"))
    errors = []

    async def ask(name):
        with pytest.raises(DiskFailed) as raised:
            await store.coalesce(enter_for_good, name, durability=Durability.RELAXED)
        errors.append(raised.value)

    watched_disk.on_sync = fail
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "b")
        nursery.start_soon(ask, "c")
    assert len(set(errors)) == 2
    assert store.last_change() == 1
    watched_disk.on_sync = work
    assert set(await store.read(entered)) == {"a", "b", "c"}
    assert await store.coalesce(enter_for_good, "d", durability=Durability.RELAXED) == 4
    await store.aclose()


async def test_a_log_that_cannot_be_merged_is_told_of_and_keeps_nobody_from_writing(
    path, watched_disk, caplog
):
    store = await open_sqlite(path, migrations=LEDGER, vfs=watched_disk.name, tuning=slow(20))
    await store.transact(entering("first"))
    watched_disk.on_sync = fail
    for number in range(30):
        await store.coalesce(enter, f"{number}", durability=Durability.RELAXED)
    watched_disk.on_sync = work
    assert len(await store.transact(entered)) == 31
    assert f"merging the log: the disk refused to read or write {path}" in caplog.text
    await store.aclose()


@pytest.mark.parametrize("durability", Durability)
async def test_a_program_that_does_not_know_our_lock_is_waited_for_and_the_loop_goes_on(
    file_store, path, durability
):
    await file_store.transact(entering("a"))
    with contextlib.closing(apsw.Connection(str(path))) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(file_store.coalesce, enter, "b", durability=durability))
            await trio.testing.wait_all_tasks_blocked(0.03)
            stranger.execute("ROLLBACK")
    assert await file_store.read(entered) == ["a", "b"]
