"""The environment of a run's process: how the runner says which run it is, and how its tree is found again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trioflow.core.leases import Owner
from trioflow.processes import this_process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from uuid import UUID

FLOW_RUN_ID = "TRIOFLOW__FLOW_RUN_ID"
"""The run, as 32 hex digits."""
EPOCH = "TRIOFLOW__EPOCH"
"""The token that the run's proposals carry, in decimal."""
LINK_FD = "TRIOFLOW__LINK_FD"
"""The file descriptor of the process's end of the link, in decimal."""
HOME = "TRIOFLOW__HOME"
"""The home whose run it is."""
RUNNER = "TRIOFLOW__RUNNER"
"""The process that started it: pid, start and host, between colons."""


def flow_run_environment(
    run_id: UUID,
    epoch: int,
    home: Path,
    settings: Mapping[str, str] | None = None,
    base: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The environment of a run's process: ``base``, then ``settings``, then what names the run.

    ``base`` is this process's environment unless another one is given; ``{}`` makes a clean one.
    """
    return {
        **(os.environ if base is None else base),
        **(settings or {}),
        HOME: str(home),
        RUNNER: spell_owner(this_process()),
        FLOW_RUN_ID: run_id.hex,
        EPOCH: str(epoch),
    }


def spell_owner(owner: Owner) -> str:
    """An owner as the text that `read_owner` reads."""
    return f"{owner.pid}:{owner.started}:{owner.host}"


def read_owner(text: str) -> Owner | None:
    """The owner that `spell_owner` spelt; None if it is none."""
    pid, _, rest = text.partition(":")
    started, _, host = rest.partition(":")
    if not (pid.isdecimal() and started.isdecimal() and host):
        return None
    return Owner(host=host, pid=int(pid), started=int(started))
