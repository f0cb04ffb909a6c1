"""Asking for the deployments of a file, which a child loads: code of the user's never runs in a process that serves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial

import trio

from trioflow.deployments.answers import Answer
from trioflow.deployments.deployment import FlowDeployment
from trioflow.engine.edges import own_nursery
from trioflow.errors import EntrypointError
from trioflow.settings import current_settings

_STDERR = 2


async def described(file: str, names: Sequence[str] = ()) -> list[FlowDeployment]:
    """The deployments that a file makes at its top level; of any other file, one for each flow.

    What the file prints goes to stderr.

    Args:
        file: its path; ``path.py:name`` is one name more.
        names: which of them; all, unless given. See `trioflow.deployments.listing.deployments_in`.

    Raises:
        DeploymentError: a flow of it cannot be deployed.
        EntrypointError: there is no such file, importing it fails or takes longer than ``start_seconds``, or there is
            nothing of that name in it.
    """
    seconds = current_settings().start_seconds
    with trio.move_on_after(seconds):
        return (await _answer(file, names)).given()
    raise EntrypointError(
        f"importing {file} took longer than {seconds:g} seconds: put what takes long into a flow, "
        "or set TRIOFLOW_START_SECONDS"
    )


async def _answer(file: str, names: Sequence[str]) -> Answer:
    heard, told = os.pipe()
    command = [sys.executable, "-m", "trioflow.deployments", str(told), file, *names]
    start = partial(
        trio.run_process,
        command,
        check=False,
        deliver_cancel=_kill,
        env={**os.environ, **current_settings().as_environment()},
        pass_fds=(told,),
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=_STDERR,
    )
    async with trio.lowlevel.FdStream(heard) as stream, own_nursery() as nursery:
        try:
            process: trio.Process = await nursery.start(start)
        finally:
            os.close(told)
        line = await _first_line(stream)
        if line.endswith(b"\n"):
            return Answer.read(line)
        code = await process.wait()
    raise EntrypointError(f"importing {file} ended its process with {_spoken(code)}")


async def _kill(process: trio.Process) -> None:
    if process.poll() is None:  # Then nobody else can have its id; and it leads a session.
        os.killpg(process.pid, signal.SIGKILL)


async def _first_line(stream: trio.abc.ReceiveStream) -> bytes:
    """What comes until the first newline, or until there is nobody who could write one."""
    line = bytearray()
    while not line.endswith(b"\n") and (part := await stream.receive_some()):
        line += part
    return bytes(line)


def _spoken(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
