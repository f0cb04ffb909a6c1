"""Requests that need no judge: one file for each noun.

Knows: the SQL of its noun's reads and plain writes.
May import: store, wire, core, errors.
Never: runs' states (those are judged).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trioflow.orchestrator.handlers import deployments, limits, logs, owed_hooks, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trioflow.store.store import Tx

READS: Mapping[str, Callable[[Tx, Any], Any]] = {
    "read_flow_run": runs.read_flow_run,
    "read_task_run": runs.read_task_run,
    "read_history": runs.read_history,
    "find_flow_runs": runs.find_flow_runs,
    "find_task_runs": runs.find_task_runs,
    "find_logs": logs.find_logs,
    "find_concurrency_limits": limits.find_concurrency_limits,
    "read_deployment": deployments.read_deployment,
    "find_deployments": deployments.find_deployments,
}
"""Endpoint name -> what answers it from a snapshot."""

WRITES: Mapping[str, Callable[[Tx, Any], Any]] = {
    "set_concurrency_limit": limits.set_concurrency_limit,
    "settle_hooks": owed_hooks.settle_hooks,
}
"""Endpoint name -> what takes effect in a transaction of its own."""
