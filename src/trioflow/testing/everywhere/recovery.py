"""Recovery: after one process was killed, another one opens the same store, and takes up what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

import trio

from trioflow.client.connect import use_client
from trioflow.core.leases import LEASE_SECONDS
from trioflow.core.states import StateType
from trioflow.engine.roots import rerun_flow
from trioflow.errors import TrioflowError
from trioflow.testing.everywhere.audit import audit_at_rest, audit_slots
from trioflow.testing.everywhere.process import run_process

if TYPE_CHECKING:
    from trioflow.engine.flows import Flow
    from trioflow.store.store import Store, Tx

Ends: TypeAlias = Mapping[UUID, tuple[str, StateType]]
"""The name and the last state of every run."""

Recorded: TypeAlias = Mapping[bytes, tuple[str, int]]
"""Task runs whose result is recorded: the name, and the version, of each."""

_RUNS = """
    SELECT id, name, state_type FROM flow_runs WHERE state_type IS NOT NULL UNION ALL
    SELECT id, name, state_type FROM task_runs WHERE state_type IS NOT NULL
"""
_ROOTS = """
    SELECT flow_runs.id, flow_runs.name, flows.name, state_type
    FROM flow_runs JOIN flows ON flows.id = flow_id WHERE parent_task_run_id IS NULL
"""
_RECORDED = (
    "SELECT id, name, version FROM task_runs WHERE state_type = 'COMPLETED' AND state_data IS NOT NULL"
)


async def recover(
    services: trio.Nursery, store: Store, flows: Mapping[str, Flow[..., Any]], expected: Ends
) -> list[str]:
    """Open the store once the leases of the dead have run out, and rerun what the death has ended.

    Args:
        services: where the second process runs.
        store: what the first one has left.
        flows: those that can be rerun, by name.
        expected: how runs end when nobody is killed; a run that is rerun ends so too.

    Returns:
        What is wrong, in sentences.
    """
    recorded = await store.read(_recorded)
    await trio.sleep(LEASE_SECONDS + 1)
    in_passing: dict[str, None] = {}

    def look(tx: Tx) -> None:
        in_passing.update(dict.fromkeys(audit_slots(tx)))

    second = await services.start(run_process, store, look)
    use_client(second.client)
    wrong = [f"after the next process has reaped: {fault}" for fault in await store.read(audit_at_rest)]
    for id_, name, flow_name, type_ in await store.read(lambda tx: tx.execute(_ROOTS)):
        run_id = UUID(bytes=id_)
        wanted = expected[run_id][1] if run_id in expected else None
        if wanted is None or type_ == wanted or flow_name not in flows:
            continue
        try:
            state = await rerun_flow(flows[flow_name], run_id)
        except TrioflowError as error:
            wrong.append(f"flow run {name!r} cannot be rerun: {type(error).__name__}: {error}")
            continue
        if state.type is not wanted:
            wrong.append(f"rerun, flow run {name!r} is {state.type} ({state.message}), and not {wanted}")
    second.kill()
    return [*wrong, *in_passing, *await store.read(lambda tx: _computed_again(tx, recorded))]


def ends_of(tx: Tx) -> dict[UUID, tuple[str, StateType]]:
    """How every run has ended, or where it stands."""
    return {UUID(bytes=id_): (name, StateType(type_)) for id_, name, type_ in tx.execute(_RUNS)}


def _recorded(tx: Tx) -> Recorded:
    return {id_: (name, version) for id_, name, version in tx.execute(_RECORDED)}


def _computed_again(tx: Tx, recorded: Recorded) -> list[str]:
    now: dict[bytes, int] = dict(tx.execute("SELECT id, version FROM task_runs"))
    return [
        f"the recorded result of task run {name!r} was computed again"
        for id_, (name, version) in recorded.items()
        if now.get(id_) != version
    ]
