"""A runner that adopts: has a tree whose shim is killed, and says what is left of it then.

python adopting_runner.py HOME RUN_ID SCRIPT
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import trio

from trioflow.infrastructure.adoption import FAMILY
from trioflow.infrastructure.environment import flow_run_environment
from trioflow.infrastructure.infrastructure import Command, OutputLine
from trioflow.infrastructure.process import ProcessInfrastructure
from trioflow.infrastructure.shim import children

GRACE = 0.2


async def main(home: str, run_id: str, script: str) -> None:
    FAMILY.adopt()
    stands = trio.Event()

    async def hear(lines: Sequence[OutputLine]) -> None:
        if "ready" in [line.text for line in lines]:
            stands.set()

    async with trio.open_nursery() as nursery:
        environment = flow_run_environment(UUID(run_id), 1, Path(home))
        command = Command(argv=("sh", "-c", script), environment=environment)
        process = await nursery.start(ProcessInfrastructure(grace_seconds=GRACE).run, command, hear)
        await stands.wait()
        (shim,) = children(os.getpid())
        os.kill(shim, signal.SIGKILL)
        report = await process.wait()
    sys.stdout.write(f"{report.status} {children(os.getpid())}\n")


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
