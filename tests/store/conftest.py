"""All our stores, for the tests of what every store promises; and the file store alone."""

from __future__ import annotations

import contextlib
import random

import pytest

from tests.store.disk import WatchedDisk, slow, work
from tests.store.ledger import LEDGER
from tests.store.power_cut import RecordingDisk
from trioflow.store.lock import FairLock
from trioflow.store.sqlite import memory_connection, open_memory, open_sqlite
from trioflow.testing.faults import SOUND, FaultyStore
from trioflow.testing.simulation.database import Database, View
from trioflow.testing.simulation.faults import NO_FAULTS
from trioflow.testing.simulation.journal import Journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "trioflow.db"


async def in_file(path):
    return await open_sqlite(path, migrations=LEDGER)


async def in_memory(path):
    return open_memory(migrations=LEDGER)


async def simulated(path):
    """As a process of a simulation without faults sees its database."""
    database = Database(
        Journal(), random.Random(1), NO_FAULTS, pytest.fail, connection=memory_connection(LEDGER)
    )
    return View(database, None)


async def faulty(path):
    """One that could fail, and does not."""
    return FaultyStore(await in_memory(path), lambda number, kind: SOUND)


@pytest.fixture(params=[in_file, in_memory, simulated, faulty], ids=lambda make: make.__name__)
async def store(request, path):
    store = await request.param(path)
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


@pytest.fixture
def disk():
    disk = RecordingDisk()
    yield disk
    disk.unregister()
