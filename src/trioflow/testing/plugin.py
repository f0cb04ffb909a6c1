"""The pytest plugin: fixtures for tests of flows, schedules and whatever speaks to a store.

Pytest loads it in every run, of whatever project trioflow is installed beside; so nothing of ours is imported before a
fixture is asked for. Async fixtures are for tests that run under Trio (``pytest-trio``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from trioflow.client.client import Client
    from trioflow.store.store import Store
    from trioflow.testing.simulation.terms import Outcome


@pytest.fixture
def in_memory_store() -> Store:
    """A store of this test's own, with the current schema and nothing in it. It needs no file and no thread."""
    from trioflow.store.sqlite import open_memory

    return open_memory()


@pytest.fixture
async def flow_client(in_memory_store: Store, tmp_path: Path) -> AsyncIterator[Client]:
    """The client that every flow and task of this test speaks through, on ``in_memory_store``.

    The home is the test's ``tmp_path``. The wall clock goes with Trio's: under ``autojump_clock``, a retry in an hour
    takes no time.
    """
    import trio

    from trioflow import clock
    from trioflow.client.connect import serve_store, use_client
    from trioflow.settings import Settings, use_settings
    from trioflow.testing.plugin_world import LoopWorld

    with use_settings(Settings(home=tmp_path)), clock.use(LoopWorld()):
        async with trio.open_nursery() as nursery:
            client = await nursery.start(serve_store, in_memory_store)
            use_client(client)
            yield client
            nursery.cancel_scope.cancel()


@pytest.fixture
def simulation() -> Callable[..., Outcome]:
    """`trioflow.testing.simulation.simulate`, for a test that is not itself run under Trio.

    A failure prints the command that simulates the same seed again.
    """
    from trioflow.testing.simulation.simulate import simulate

    return simulate
