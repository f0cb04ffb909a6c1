"""The environment of a run's process: how the runner says which run it is, and how its tree is found again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trioflow.core.leases import Owner
from trioflow.processes import EPOCH, FLOW_RUN_ID, HOME, RUNNER, this_process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from uuid import UUID


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
