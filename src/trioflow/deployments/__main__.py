"""``python -m trioflow.deployments FD FILE [NAME ...]``: tells a descriptor which deployments a file makes.

The file is the user's: it may print, start threads and processes, or never come to an end. What it prints is kept apart
from what is told; the process leads a session of its own, and takes everything in it along when it ends.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from trioflow.deployments.answers import Answer
from trioflow.deployments.listing import deployments_in
from trioflow.errors import DeploymentError, EntrypointError
from trioflow.settings import current_settings

_LATE_SECONDS = 1.0


def main(fd: int, file: str, names: Sequence[str]) -> None:
    """Tell what is in the file, and end."""
    os.set_inheritable(fd, False)  # noqa: FBT003 - it takes no keyword
    # Whoever asked ends this in time; the alarm does, should they be gone by then.
    signal.setitimer(signal.ITIMER_REAL, current_settings().start_seconds + _LATE_SECONDS)
    try:
        answer = Answer(deployments=tuple(deployments_in(file, names)))
    except (DeploymentError, EntrypointError) as error:
        answer = Answer.refused(error)
    with suppress(BrokenPipeError), os.fdopen(fd, "wb") as told:  # Nobody may be there any more.
        told.write(answer.spelt())
    sys.stdout.flush()
    if os.getpgrp() == os.getpid():  # Else the group is that of whoever has started it.
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
