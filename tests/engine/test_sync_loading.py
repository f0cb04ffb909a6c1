"""Loading a script for its flows: calls of flows that stand in it do nothing, and say so."""

from __future__ import annotations

import pytest

from trioflow.engine.entrypoints import load_flow

SCRIPT = """
import trio
from trioflow import flow

ran = []

@flow
def sync_flow():
    ran.append("sync")
    return 1

@flow
async def async_flow():
    ran.append("async")
    return 1

answer = {call}
"""


@pytest.mark.behaviour("FL-06")
@pytest.mark.parametrize("call", ["sync_flow()", "trio.run(async_flow)", "sync_flow(return_state=True)"])
def test_a_flow_that_is_called_while_its_script_is_loaded_is_not_run(tmp_path, home, call):
    script = tmp_path / "flows_of_mine.py"
    script.write_text(SCRIPT.format(call=call), encoding="utf-8")
    told = r"^Script loading is in progress, flow '(a?sync)-flow' will not be executed\..*if __name__ == \"__main__\":"

    with pytest.warns(UserWarning, match=told):
        loaded = load_flow(f"{script}:sync_flow")

    module = loaded.fn.__globals__
    assert (module["ran"], module["answer"]) == ([], None)
    assert loaded() == 1
    assert module["ran"] == ["sync"]
