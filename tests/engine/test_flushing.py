"""Whoever wants to know that what a run has said is stored can wait for that, in either colour."""

from __future__ import annotations

import pytest

import trioflow
from trioflow import aflush_logs, flow, flush_logs, get_run_logger, task
from trioflow.errors import DiskFailed, OutsideFlow, WrongColour
from trioflow.wire.endpoints import APPEND_LOGS


@pytest.fixture
def stored(books):
    """What was stored when the flow's code looked."""
    return []


@pytest.mark.behaviour("LG-04")
async def test_async_code_flushes(books, stored):
    @task
    async def talks():
        get_run_logger().info("said in a task")
        await aflush_logs()
        stored.extend(await books.said())

    @flow
    async def main():
        get_run_logger().info("said in the flow")
        await talks()

    await main()

    assert stored[-2:] == ["said in the flow", "said in a task"]


@pytest.mark.behaviour("LG-04")
async def test_sync_code_flushes(books, stored):
    @task
    async def look():
        stored.extend(await books.said())

    @flow
    def main():
        get_run_logger().info("said in the flow")
        flush_logs()
        look.submit().result()

    await trioflow.run(main)

    assert stored[-1] == "said in the flow"


async def test_what_cannot_be_stored_now_is_told_and_stored_later(client, books, autojump_clock):
    inner, broken = client.inner, [True]

    class FullDisk:
        async def call(self, endpoint, request):
            if endpoint is APPEND_LOGS and broken:
                raise DiskFailed("no space")
            return await inner.call(endpoint, request)

        changes, now = inner.changes, inner.now

    client.inner = FullDisk()

    @flow
    async def main():
        get_run_logger().info("said")
        with pytest.raises(DiskFailed, match="no space"):
            await aflush_logs()
        broken.clear()

    await main()

    assert (await books.said()).count("said") == 1


async def test_sync_flushing_in_async_code_names_the_right_call(client):
    @flow
    async def main():
        with pytest.raises(WrongColour, match=r"call `await trioflow\.aflush_logs\(\)`"):
            flush_logs()

    await main()


async def test_there_is_nothing_to_flush_outside_of_a_run():
    with pytest.raises(OutsideFlow, match="needs a flow run or a task run around it"):
        await aflush_logs()


def test_there_is_nothing_to_flush_in_a_script():
    with pytest.raises(OutsideFlow, match="needs a flow run or a task run around it"):
        flush_logs()
