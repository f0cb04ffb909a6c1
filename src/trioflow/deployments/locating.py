"""Where another process finds a flow: its file, and the name that it has there."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trioflow.errors import DeploymentError

if TYPE_CHECKING:
    from trioflow.engine.flows import Flow


def entrypoint_of(flow: Flow[..., Any]) -> str:
    """``path.py:name``, under which exactly this flow is found.

    Raises:
        DeploymentError: it is at no prompt's, notebook's or function's outside, or no name of its file stands for it.
    """
    fn: Any = inspect.unwrap(flow.fn)
    file = Path(fn.__code__.co_filename) if hasattr(fn, "__code__") else Path()
    if file.suffix != ".py" or not file.is_file():
        raise DeploymentError(
            f"flow {flow.name!r} is in no Python file, as at a prompt or in a notebook, so no other process can "
            "load it: write it into a file, and deploy it from there"
        )
    names = [name for name, value in fn.__globals__.items() if value is flow]
    if not names:
        raise DeploymentError(
            f"no other process can load flow {flow.name!r}, since {_whereabouts(fn)}: "
            f"give it a name at the top of {file.name}"
        )
    return f"{file.absolute()}:{fn.__name__ if fn.__name__ in names else names[0]}"


def _whereabouts(fn: Any) -> str:
    around, defined_inside, _ = fn.__qualname__.rpartition(".<locals>.")
    if defined_inside:
        return f"it is defined inside of {around}()"
    return "no name of its file stands for it"
