"""A store in memory, and a client of it that flows speak through."""

from __future__ import annotations

import pytest

from trioflow.client.connect import serve_store, use_client
from trioflow.settings import Settings, use_settings
from trioflow.store.sqlite import open_memory


@pytest.fixture
async def store():
    return open_memory()


@pytest.fixture
async def client(nursery, store, tmp_path):
    with use_settings(Settings(home=tmp_path)):
        client = await nursery.start(serve_store, store)
        use_client(client)
        yield client
