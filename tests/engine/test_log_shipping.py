"""All that runs say reaches the store, in order, and nobody waits for it."""

from __future__ import annotations

import logging
import logging.config

import pytest
import trio
from attrs import define, field

from trioflow import clock
from trioflow.client.link_frames import LONGEST_FRAME
from trioflow.client.local import LocalClient
from trioflow.core.runs import FlowRun, TaskRun
from trioflow.engine.console import TOP
from trioflow.engine.log_shipping import LONGEST_MESSAGE, LogShipper
from trioflow.engine.logs import flow_run_logger, task_run_logger
from trioflow.errors import StoreError
from trioflow.orchestrator.orchestrator import Orchestrator
from trioflow.settings import Settings, use_settings
from trioflow.store.sqlite import open_memory
from trioflow.wire.converter import to_json
from trioflow.wire.endpoints import FIND_LOGS
from trioflow.wire.filters import LogFilter
from trioflow.wire.replies import Done
from trioflow.wire.requests import FindLogs

ROOT = clock.new_id()
FLOW_RUN = FlowRun(id=ROOT, flow_id=clock.new_id(), name="brave-otter", root_id=ROOT)
TASK_RUN = TaskRun(
    id=clock.new_id(), task_key="add", dynamic_key="0", name="add-0", flow_run_id=ROOT, root_id=ROOT
)


@pytest.fixture
def flow_logger():
    return flow_run_logger(FLOW_RUN, "audit")


@pytest.fixture
def task_logger(flow_logger):
    return task_run_logger(TASK_RUN, "add", flow_logger)


@pytest.fixture
async def client():
    orchestrator = Orchestrator(open_memory())
    await orchestrator.open()
    yield LocalClient(orchestrator)
    await orchestrator.store.aclose()


async def stored(client):
    found = await client.call(FIND_LOGS, FindLogs(filter=LogFilter()))
    return [
        (record.flow_run_id, record.task_run_id, record.level, record.message) for record in found.records
    ]


@pytest.mark.behaviour("LG-04")
@pytest.mark.promise("P16")
async def test_all_that_is_said_is_stored_in_order(client, flow_logger, task_logger):
    shipper = LogShipper(client, ROOT)

    for number in range(700):
        (task_logger if number % 3 else flow_logger).info("line %d", number)
    await shipper.flush()

    found = []
    while page := (await client.call(FIND_LOGS, FindLogs(filter=LogFilter(after=len(found))))).records:
        found.extend(page)
    assert [record.message for record in found] == [f"line {number}" for number in range(700)]
    assert (found[0].flow_run_id, found[0].task_run_id) == (ROOT, None)
    assert (found[1].flow_run_id, found[1].task_run_id) == (ROOT, TASK_RUN.id)


async def test_a_record_is_stored_a_moment_later_without_being_asked_for(client, flow_logger, autojump_clock):
    shipper = LogShipper(client, ROOT)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shipper.run)
        for expected in (["one"], ["one", "two"]):
            await trio.to_thread.run_sync(flow_logger.info, expected[-1])
            await trio.sleep(1)
            assert [message for *_, message in await stored(client)] == expected
        nursery.cancel_scope.cancel()


async def test_what_was_said_before_the_shipper_ran_is_not_forgotten(client, flow_logger, autojump_clock):
    shipper = LogShipper(client, ROOT)
    flow_logger.info("early")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shipper.run)
        await trio.sleep(1)
        assert len(await stored(client)) == 1
        nursery.cancel_scope.cancel()


async def test_each_root_run_has_a_shipper_of_its_own(client, flow_logger):
    other = clock.new_id()
    mine, others = LogShipper(client, ROOT), LogShipper(client, other)
    flow_logger.info("mine")

    await others.flush()
    assert await stored(client) == []
    await mine.flush()
    assert await stored(client) == [(ROOT, None, 20, "mine")]


async def test_a_batch_of_the_longest_messages_fits_into_a_frame_of_the_link(flow_logger):
    sizes = []

    class Weighing:
        async def call(self, endpoint, request):
            sizes.append((len(request.records), len(to_json(request))))

    shipper = LogShipper(Weighing(), ROOT)
    for _ in range(70):
        flow_logger.info("\x01" * LONGEST_MESSAGE)
    await shipper.flush()

    assert [records for records, _ in sizes] == [32, 32, 6]
    assert max(size for _, size in sizes) < LONGEST_FRAME / 4


@pytest.mark.behaviour("LG-03")
async def test_a_record_may_be_kept_from_the_store_or_marked(client, flow_logger, caplog):
    caplog.set_level(logging.INFO, "trioflow")
    shipper = LogShipper(client, ROOT)

    flow_logger.info("only here", extra={"send_to_api": False})
    flow_logger.info("Finished", extra={"state_message": True})
    await shipper.flush()

    assert await stored(client) == [(ROOT, None, 20, "Finished")]
    assert [getattr(record, "state_message", False) for record in caplog.records] == [False, True]
    assert [record.flow_run_name for record in caplog.records] == ["brave-otter"] * 2


async def test_tracebacks_are_stored(client, flow_logger):
    shipper = LogShipper(client, ROOT)
    try:
        raise ValueError("no")
    except ValueError:
        flow_logger.exception("Encountered exception during execution:")
    await shipper.flush()

    ((_, _, level, message),) = await stored(client)
    assert level == logging.ERROR
    assert message.startswith("Encountered exception during execution:\nTraceback")
    assert message.endswith("ValueError: no")


async def test_any_text_can_be_stored(client, flow_logger):
    shipper = LogShipper(client, ROOT)

    flow_logger.info("nul \0 half \ud800 é")
    flow_logger.info("x" * (LONGEST_MESSAGE + 7))
    await shipper.flush()

    first, second = [message for *_, message in await stored(client)]
    assert first == "nul \\x00 half \\ud800 é"
    assert second == "x" * LONGEST_MESSAGE + "… (7 more characters)"


@pytest.fixture
def level_restored():
    """Afterwards our loggers have the level that they had."""
    before = TOP.level
    yield
    TOP.setLevel(before)


async def test_only_what_reaches_the_level_of_the_settings_is_said(client, flow_logger, level_restored):
    for level in (logging.WARNING, logging.DEBUG, logging.INFO):
        with use_settings(Settings(log_level=level)):
            shipper = LogShipper(client, ROOT)
        flow_logger.debug("debug at %d", level)
        flow_logger.info("info at %d", level)
        await shipper.flush()

    assert [message for *_, message in await stored(client)] == ["debug at 10", "info at 10", "info at 20"]


async def test_a_level_that_the_program_set_stays(client, level_restored):
    TOP.setLevel(logging.CRITICAL)

    LogShipper(client, ROOT)

    assert TOP.level == logging.CRITICAL


async def test_logging_that_is_set_up_anew_does_not_silence_the_store(client, flow_logger):
    LogShipper(client, ROOT)
    handlers = logging.root.handlers[:]
    try:
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
        shipper = LogShipper(client, ROOT)
        flow_logger.info("still here")
        await shipper.flush()
    finally:
        logging.root.handlers[:] = handlers
        for logger in logging.root.manager.loggerDict.values():
            logger.disabled = False

    assert [message for *_, message in await stored(client)] == ["still here"]


# --- when the store does not take them


@define(eq=False)
class Moody:
    """A client whose store fails, or does not answer, while it is told to."""

    fails: bool = True
    hangs: bool = False
    said: list[str] = field(factory=list)

    async def call(self, _, request):
        await trio.lowlevel.checkpoint()
        if self.hangs:
            await trio.sleep_forever()
        if self.fails:
            raise StoreError("the disk is full")
        self.said.extend(record.message for record in request.records)
        return Done()


async def test_a_store_that_fails_is_asked_again_and_nothing_is_lost(flow_logger, autojump_clock, caplog):
    client = Moody()
    shipper = LogShipper(client, ROOT)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shipper.run)
        flow_logger.info("one")
        await trio.sleep(20)
        flow_logger.info("two")
        assert client.said == []
        client.fails = False
        await trio.sleep(60)
        assert client.said == ["one", "two"]
        nursery.cancel_scope.cancel()

    warned = [record.getMessage() for record in caplog.records if record.name == "trioflow.logs"]
    assert warned == [
        f"Logs cannot be stored, trying again in {seconds} s: the disk is full"
        for seconds in (1, 2, 4, 8, 16)
    ]


async def test_a_batch_that_was_cancelled_is_shipped_by_the_last_words(flow_logger, autojump_clock):
    client = Moody(fails=False, hangs=True)
    shipper = LogShipper(client, ROOT)
    flow_logger.info("one")

    with trio.move_on_after(5):
        await shipper.run()
    client.hangs = False
    await shipper.flush()

    assert client.said == ["one"]


@pytest.mark.parametrize(
    ("client", "why"), [(Moody(), "the disk is full"), (Moody(hangs=True), "there was no time left")]
)
async def test_what_the_last_words_cannot_store_is_counted_aloud(
    client, why, flow_logger, autojump_clock, caplog
):
    shipper = LogShipper(client, ROOT)
    flow_logger.info("one")
    flow_logger.info("two")

    with trio.move_on_after(5):
        await shipper.flush()

    assert caplog.messages[-1] == f"2 log records could not be stored: {why}"
