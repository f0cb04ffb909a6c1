"""A home of one's own, command lines typed into this process, and runs that are there already."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import trio
from attrs import define, evolve, frozen

from trioflow import clock
from trioflow.cli.main import main
from trioflow.client.connect import current_client
from trioflow.core.states import Pending, State
from trioflow.settings import current_settings, use_settings
from trioflow.wire import endpoints, requests


@frozen
class Answer:
    """What a command line has led to."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@define(eq=False)
class Shell:
    """Types command lines, all at one home."""

    home: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> Answer:
        code = main(["--home", str(self.home), *words])
        return Answer(code, *self.capture.readouterr())

    def the_only_run(self) -> dict[str, Any]:
        """As `flow-run ls --json` tells it."""
        (run,) = self("flow-run", "ls", "--json").data
        return run

    def ask(self, *asked: tuple[endpoints.Endpoint[Any, Any], Any]) -> None:
        """Ask the home's store, one after the other, as another process would."""

        async def ask() -> None:
            client = await current_client()
            for endpoint, request in asked:
                await client.call(endpoint, request)

        with use_settings(evolve(current_settings(), home=self.home)):
            trio.run(ask)

    def flow_run(self, id: int, name: str, *states: State, flow: str = "greet", **fields: Any) -> UUID:
        """A run that nobody owns, which was in these states one after the other."""
        first, *others = states or (Pending(),)
        created = creation(id, name, first, flow, **fields)
        proposals = [
            requests.ProposeFlowRunState(run_id=created.id, state=state, transition_id=clock.new_id())
            for state in others
        ]
        self.ask(
            (endpoints.CREATE_FLOW_RUN, created),
            *((endpoints.PROPOSE_FLOW_RUN_STATE, proposal) for proposal in proposals),
        )
        return created.id


def creation(id: int, name: str, state: State, flow: str = "greet", **fields: Any) -> requests.CreateFlowRun:
    """The request that makes a flow run."""
    return requests.CreateFlowRun(
        id=UUID(int=id), flow_name=flow, name=name, state=state, transition_id=clock.new_id(), **fields
    )


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "home", capsys)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    """Writes a file with flows; its path."""

    def write(code: str) -> str:
        path = tmp_path / "flows.py"
        path.write_text(textwrap.dedent(code))
        return str(path)

    return write
