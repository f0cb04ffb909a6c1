"""What a power cut leaves of the store's real writes: everything that was answered as SYNCED, and nothing half done."""

from __future__ import annotations

import contextlib
import random
from functools import partial

import apsw
import pytest
import trio
import trio.testing

from tests.store.disk import quick
from tests.store.ledger import LEDGER, entered, entering
from tests.store.power_cut import Answered, Disk, Sync, images
from tests.tiers import in_both_tiers
from trioflow.store.lock import FairLock
from trioflow.store.sqlite import open_sqlite
from trioflow.store.store import Durability

IMAGES = 5_000


def judge(tx, items):
    """Items are (name, bytes of padding, whether it is final): what is final waits for the disk."""
    tx.executemany(
        "INSERT INTO ledger (name, pad) VALUES (?, zeroblob(?))", [(name, size) for name, size, _ in items]
    )
    tx.take_numbers(len(items))
    if any(final for _, _, final in items):
        tx.require_sync()
    return items


async def work(store, events, chance):
    """Groups of items that arrive together, of all kinds; tells ``events`` what was answered."""
    names = iter(range(1_000_000))

    async def ask(kind):
        name = f"{next(names)}"
        durability = Durability.SYNCED if kind == "synced" else Durability.RELAXED
        await store.coalesce(judge, (name, chance.randrange(2_000), kind == "final"), durability=durability)
        events.append(Answered(name, is_safe=kind != "relaxed"))

    for _ in range(150):
        kinds = chance.choice([["synced"], ["relaxed"], ["final"], ["synced", "relaxed", "final"]])
        async with trio.open_nursery() as nursery:
            for _ in range(chance.choice([1, 1, 5])):
                nursery.start_soon(ask, chance.choice(kinds))


def left_in(database):
    """The names that are there after the power came back; raises if anything is damaged or half done."""
    with contextlib.closing(apsw.Connection(str(database))) as connection:
        connection.execute(
            "PRAGMA synchronous = OFF"
        ).fetchall()  # the image itself need not survive anything
        rows = connection.execute("SELECT position, name FROM ledger ORDER BY position").fetchall()
        assert [position for position, _ in rows] == list(range(1, len(rows) + 1))
        assert connection.execute("SELECT number FROM feed").fetchall() == [(len(rows),)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {name for _, name in rows}


@in_both_tiers(quick=1, nightly=19)
async def test_in_five_thousand_power_cuts_nothing_is_lost_that_was_answered_as_synced(
    tmp_path, disk, round_
):
    chance, events = random.Random(round_), disk.recorder.events
    store = await open_sqlite(
        tmp_path / "trioflow.db",
        migrations=LEDGER,
        vfs=disk.name,
        tuning=quick(50),
    )
    start = Disk.holding(tmp_path / "trioflow.db")
    events.clear()
    await work(store, events, chance)
    recorded = list(events)
    await store.aclose()
    checkpoints = sum(event == Sync("") for event in recorded)
    assert checkpoints > 5, "the log was never merged into the database, so no cut could hit that"

    image, lost, left = tmp_path / "image.db", set(), set()
    for answered in images(start, recorded, IMAGES, chance, image):
        left = left_in(image)
        assert {each.name for each in answered if each.is_safe} <= left
        lost |= {each.name for each in answered} - left
    assert lost, "the cuts were too gentle to show anything: even what was RELAXED survived them all"
    assert await opens_and_works(image) == left | {"afterwards"}


async def opens_and_works(database):
    store = await open_sqlite(database, migrations=LEDGER)
    await store.transact(entering("afterwards"))
    names = await store.read(entered)
    await store.aclose()
    return set(names)


@pytest.mark.parametrize(
    ("final", "durability", "syncs"),
    [(False, Durability.SYNCED, 1), (False, Durability.RELAXED, 0), (True, Durability.RELAXED, 1)],
)
async def test_an_answer_costs_one_sync_if_it_must_and_none_if_it_need_not(
    tmp_path, disk, final, durability, syncs
):
    store = await open_sqlite(tmp_path / "trioflow.db", migrations=LEDGER, vfs=disk.name)
    for durability_before in Durability:
        await store.transact(entering(f"{durability_before}"), durability=durability_before)
    before = disk.recorder.syncs()
    await store.coalesce(judge, ("a", 1, final), durability=durability)
    assert disk.recorder.syncs() - before == syncs
    await store.aclose()


async def test_one_strict_item_makes_its_whole_batch_wait_for_the_disk(tmp_path, disk):
    store = await open_sqlite(tmp_path / "trioflow.db", migrations=LEDGER, vfs=disk.name)
    before = disk.recorder.syncs()
    async with trio.open_nursery() as nursery:
        with contextlib.closing(FairLock.beside(str(tmp_path / "trioflow.db"))) as elsewhere, elsewhere:
            for name, durability in zip(
                "abc", [Durability.RELAXED, Durability.SYNCED, Durability.RELAXED], strict=True
            ):
                nursery.start_soon(partial(store.coalesce, judge, (name, 1, False), durability=durability))
            await trio.testing.wait_all_tasks_blocked()
    assert disk.recorder.syncs() - before == 1
    await store.aclose()
