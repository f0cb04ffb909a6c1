"""A runner to be killed: starts the scripts that it is given, and says what they say. Then it forks.

The forked copy has all that the runner had open, and lives until their input ends.

python runner.py HOME GRACE RUN_ID SCRIPT [RUN_ID SCRIPT ...]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import trio

from trioflow.infrastructure.environment import flow_run_environment
from trioflow.infrastructure.infrastructure import Command, OutputLine
from trioflow.infrastructure.process import ProcessInfrastructure


def write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def say(lines: Sequence[OutputLine]) -> None:
    for line in lines:
        write(line.text)


async def main(home: str, grace: str, *runs: str) -> None:
    infrastructure = ProcessInfrastructure(grace_seconds=float(grace))
    async with trio.open_nursery() as nursery:
        write("starting")
        for run_id, script in zip(runs[::2], runs[1::2], strict=True):
            environment = flow_run_environment(UUID(run_id), 1, Path(home))
            command = Command(argv=("sh", "-c", script), environment=environment)
            await nursery.start(infrastructure.run, command, say)
        if os.fork() == 0:
            os.read(0, 1)
            os._exit(0)
        write("forked")


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
