"""Plans runs by the clock: what schedules will owe has its runs before it is due, and what nobody starts is late.

Knows: what is due to be planned, to be marked, and when there is more.
May import: orchestrator, store, wire, core, loops, errors.
Never: the runs' code, runners, clients; a state that no table has judged.
"""

from __future__ import annotations

from trioflow.scheduler.scheduler import run_scheduler

__all__ = ["run_scheduler"]
