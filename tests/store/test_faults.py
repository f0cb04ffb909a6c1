"""What goes wrong with disks: each fault is an error of ours that names the file. Nothing is lost or half done."""

from __future__ import annotations

import contextlib
import resource
import threading

import apsw
import pytest
import trio

from tests.store.ledger import LEDGER, enter, entered, entering, wide
from trioflow.errors import DatabaseCorrupt, DiskFailed, HomeNotWritable, StoreFull
from trioflow.store.sqlite import open_sqlite


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


class FailingFile(apsw.VFSFile):
    def __init__(self, name, flags, broken):
        super().__init__("", name, flags)
        self.broken = broken

    def xSync(self, flags):  # noqa: N802 - apsw's name
        if self.broken.is_set():
            raise apsw.IOError
        super().xSync(flags)


class FailingDisk(apsw.VFS):
    """A disk that cannot be synced while it is broken."""

    def __init__(self):
        self.broken = threading.Event()
        super().__init__("failing", "")

    def xOpen(self, name, flags):  # noqa: N802 - apsw's name
        return FailingFile(name, flags, self.broken)


async def test_a_failing_disk_is_named_and_the_store_works_again_once_it_is_mended(path):
    disk = FailingDisk()
    store = await open_sqlite(path, migrations=LEDGER, vfs="failing")
    disk.broken.set()
    with pytest.raises(DiskFailed, match=f"read or write {path}"):
        await store.transact(entering("a"))
    disk.broken.clear()
    assert await store.transact(entering("b")) == [1]
    assert await store.read(entered) == ["b"]
    await store.aclose()
    disk.unregister()


async def test_a_program_that_does_not_know_our_lock_is_waited_for(file_store, path):
    stranger = apsw.Connection(str(path))
    stranger.execute("BEGIN IMMEDIATE")
    begun = threading.Event()

    def end():
        assert begun.wait(60)
        stranger.execute("ROLLBACK")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(file_store.transact, entering("a"))
        nursery.start_soon(trio.to_thread.run_sync, end)
        await trio.testing.wait_all_tasks_blocked(0.03)
        begun.set()
    stranger.close()
    assert await file_store.read(entered) == ["a"]
