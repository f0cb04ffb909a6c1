"""A flow that serves itself: from a script, in a nursery, and while its file is being loaded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from functools import partial

import pytest
import trio

from trioflow import flow, serve
from trioflow.deployments.finding import find_deployments
from trioflow.engine.loading import block_code_execution
from trioflow.settings import Settings, use_settings


@flow
def plain() -> None: ...


@pytest.fixture
def settings(tmp_path):
    with use_settings(Settings(home=tmp_path / "home")) as settings:
        yield settings


@pytest.mark.behaviour("RN-10")
@pytest.mark.parametrize(
    ("given", "name"),
    [(None, "plain"), ("nightly", "nightly"), ("/srv/nightly.py", "nightly"), ("v1.2", "v1.2")],
)
async def test_in_a_nursery_it_is_served_under_a_name_or_the_stem_of_a_path(settings, given, name):
    async with trio.open_nursery() as nursery:
        serving = await nursery.start(partial(plain.aserve, given, limit=3, tags=["a"], cron="@daily"))
        (deployment,) = (await find_deployments(serving.client)).deployments
        nursery.cancel_scope.cancel()

    assert (deployment.full_name, deployment.tags) == (f"plain/{name}", {"a"})
    assert serving.deployment_ids == (deployment.id,)


@pytest.mark.behaviour("RN-10")
def test_a_script_serves_its_flow_until_a_signal_and_says_under_which_name(tmp_path, settings):
    script = tmp_path / "nightly.py"
    script.write_text(
        textwrap.dedent("""
        from trioflow import flow, serve

        @flow
        def plain() -> None: ...

        if __name__ == "__main__":
            plain.serve(__file__, interval=3600)
        """)
    )
    environment = {**os.environ, **settings.as_environment()}

    with subprocess.Popen(
        [sys.executable, script],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        said = next(line for line in process.stdout if "plain/" in line)
        process.send_signal(signal.SIGINT)

    assert "plain/nightly" in said
    assert process.returncode == 0


@pytest.mark.parametrize("call", [partial(plain.serve, interval=-1), serve])
def test_while_its_file_is_loaded_it_does_nothing_but_warn_that_nothing_is_served(settings, call):
    with block_code_execution(), pytest.warns(UserWarning, match="nothing will be served") as caught:
        call()

    assert [warning.filename for warning in caught] == [__file__]

    assert not settings.home.exists()
