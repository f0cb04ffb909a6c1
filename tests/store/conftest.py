"""Both stores, for the tests of what every store promises; and the file store alone."""

from __future__ import annotations

import contextlib

import pytest

from tests.store.disk import WatchedDisk, slow, work
from tests.store.ledger import LEDGER
from trioflow.store.lock import FairLock
from trioflow.store.sqlite import open_memory, open_sqlite


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "trioflow.db"


@pytest.fixture(params=["file", "memory"])
async def store(request, path):
    store = (
        await open_sqlite(path, migrations=LEDGER)
        if request.param == "file"
        else open_memory(migrations=LEDGER)
    )
    yield store
    await store.aclose()


@pytest.fixture
async def file_store(path):
    store = await open_sqlite(path, migrations=LEDGER, tuning=slow())
    yield store
    await store.aclose()


@pytest.fixture
def elsewhere(path, file_store):
    """Another process, as far as the file store can tell: while it is entered, nobody else writes."""
    with contextlib.closing(FairLock.beside(str(path))) as lock:
        yield lock


@pytest.fixture
def watched_disk():
    disk = WatchedDisk()
    yield disk
    disk.on_sync = work
    disk.unregister()
