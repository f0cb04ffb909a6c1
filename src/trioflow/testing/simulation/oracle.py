"""The oracle: looks at the database after each commit, and at what became of everything at the end.

It believes no column that it can count by itself. The history tells it what happened; whether runs, leases and slots
say the same is what it checks: each commit shows each transition once, in order; who is active has a lease, who is not
has none; slots are the running task runs that need them, and no more than their limit; nothing starts early, twice for
one fire, or after it is over. Where no fault was done, nothing may be retried, crash, or be late.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import final
from uuid import UUID

from attrs import define, evolve, field, frozen

from trioflow import clock
from trioflow.core.leases import Owner
from trioflow.core.runs import FlowRun
from trioflow.core.states import StateType
from trioflow.store.queries import FLOW_RUNS
from trioflow.store.rows import flow_run_from
from trioflow.store.store import Row, Tx
from trioflow.testing.simulation.journal import Journal
from trioflow.testing.simulation.terms import Terms

_NEWS = (
    "SELECT number, run_id, root_id, is_flow_run, version, type, name, at, details, reason, message"
    " FROM states WHERE number > ? ORDER BY number"
)
_FLOW_RUN = (
    "SELECT version, attempt, epoch, state_type, expected_start, fire_key, deployment_id, tags,"
    " (SELECT epoch FROM leases WHERE leases.run_id = flow_runs.id) FROM flow_runs WHERE id = ?"
)
_TASK_RUN = "SELECT version, attempt, state_type, tags FROM task_runs WHERE id = ?"
_SLOTS = "SELECT tag, count(*) FROM slots GROUP BY tag"
_LEASES = "SELECT pid, started, host, count(*) FROM leases GROUP BY pid, started, host"

_COUNTS = {"leases": "SELECT count(*) FROM leases", "slots": "SELECT count(*) FROM slots"}

_HOLDERS = "SELECT run_id, host, pid, started FROM leases"
_SAID_BY_OWNER = frozenset({"RUNNING", "COMPLETED", "FAILED"})

_ACTIVE = frozenset({"PENDING", "RUNNING", "CANCELLING", "PAUSED"})
"""Types of root runs whose code some process may run: they have a lease."""
_FINAL = frozenset(type_.name for type_ in StateType if type_.is_final)
_TROUBLE = frozenset({"AwaitingRetry", "Crashed"})
_EARLY = timedelta(seconds=0.5)
"""The rule that waits for the scheduled time counts in whole seconds."""
_SLACK = timedelta(seconds=5)
"""So much later than it is due a run starts at the most, where nothing goes wrong and nothing is full."""


class Broken(AssertionError):
    """A promise is broken."""


@frozen
class _Seen:
    """A run as its history tells of it."""

    is_root: bool
    is_flow_run: bool
    version: int = 0
    type: str = "none"
    claims: int = 0
    """How often it entered PENDING."""
    due: datetime | None = None
    """When it may start, as its last SCHEDULED state says."""


@final
@define(eq=False)
class Oracle:
    """See the module."""

    _terms: Terms
    _journal: Journal
    transitions: int = 0
    visited: set[tuple[str, str]] = field(factory=set[tuple[str, str]])
    _last: int = 0
    """The number of the last transition that was seen."""
    _seen: dict[bytes, _Seen] = field(factory=dict[bytes, _Seen])
    """Runs that are not over."""
    _over: dict[bytes, _Seen] = field(factory=dict[bytes, _Seen])
    _holders: dict[bytes, Owner] = field(factory=dict[bytes, Owner])
    """Who had the lease of a run before this commit."""
    _fires: dict[str, bytes] = field(factory=dict[str, bytes])
    """Which run has begun for a fire."""

    # --- after each commit

    def committed(self, tx: Tx, writer: Owner | None) -> None:
        """See `trioflow.testing.simulation.database.Observer`.

        Raises:
            Broken: what is committed must not be.
        """
        news = tx.execute(_NEWS, (self._last,))
        for row in news:
            self._check_writer(row[1], row[5], writer)
            self._transition(row)
        for row in news:
            self._compare(tx, row[1])
        if news:
            self._check_slots(tx)
            self._check_leases(tx)
        self._holders = {
            run_id: Owner(host=host, pid=pid, started=started)
            for run_id, host, pid, started in tx.execute(_HOLDERS)
        }

    def _check_writer(self, run_id: bytes, type_: str, writer: Owner | None) -> None:
        """What only a run's own process can say comes from its owner, and from no owner of the past."""
        holder = self._holders.get(run_id)
        if type_ in _SAID_BY_OWNER and holder is not None and writer is not None and holder != writer:
            raise Broken(
                f"{_told(run_id)} is owned by process {holder.pid}, and process {writer.pid} made it {type_}"
            )

    def _transition(self, row: Row) -> None:
        number, run_id, root_id, is_flow_run, version, type_, name, at, details, reason, message = row
        self._last = number
        self.transitions += 1
        before = self._seen.get(run_id) or self._over.get(run_id)
        if before is None:
            before = _Seen(run_id == root_id, bool(is_flow_run))
        kind = "flow-run" if is_flow_run else "task-run"
        told = f" ({message})" if message and type_ in _FINAL else ""
        because = f" because {reason}" if reason else ""
        self._journal.line(
            datetime.fromisoformat(at),
            f"{number} {kind} {run_id.hex()[-12:]} v{version} {before.type} -> {type_} {name}{told}{because}",
        )
        if version != before.version + 1:
            raise Broken(f"{_told(run_id)}: version {version} follows version {before.version}")
        if before.type in _FINAL and not self._may_reopen(before, type_):
            raise Broken(f"{_told(run_id)} was over ({before.type}), and is {type_}")
        if is_flow_run:
            self.visited.add((before.type, type_))
        self._check_calm(run_id, name)
        after = self._after(before, version, type_, details)
        if type_ == "RUNNING":
            self._check_due(run_id, before, at)
        (self._over if type_ in _FINAL else self._seen)[run_id] = after
        (self._seen if type_ in _FINAL else self._over).pop(run_id, None)

    def _may_reopen(self, before: _Seen, type_: str) -> bool:
        """A task run that recorded nothing runs again in its flow run's next attempt; nobody asks for a rerun here."""
        return not before.is_flow_run and type_ == "RUNNING"

    def _after(self, before: _Seen, version: int, type_: str, details: str | None) -> _Seen:
        due = before.due
        if type_ == "SCHEDULED":
            told = json.loads(details)["scheduled_time"] if details else None
            due = datetime.fromisoformat(told) if told else None
        claims = before.claims + (type_ == "PENDING")
        return evolve(before, version=version, type=type_, due=due, claims=claims)

    def _check_due(self, run_id: bytes, before: _Seen, at: str) -> None:
        if before.due is not None and datetime.fromisoformat(at) + _EARLY < before.due:
            raise Broken(f"{_told(run_id)} started at {at}, before it was due at {before.due}")

    def _check_calm(self, run_id: bytes, name: str) -> None:
        if name in _TROUBLE and self._terms.is_calm:
            raise Broken(f"{_told(run_id)} is {name}, though nothing went wrong")

    # --- what the tables say

    def _compare(self, tx: Tx, run_id: bytes) -> None:
        seen = self._seen.get(run_id) or self._over[run_id]
        if seen.is_flow_run:
            self._compare_flow_run(tx, run_id, seen)
        else:
            self._compare_task_run(tx, run_id, seen)

    def _compare_flow_run(self, tx: Tx, run_id: bytes, seen: _Seen) -> None:
        found = tx.execute(_FLOW_RUN, (run_id,))
        if not found:
            raise Broken(f"{_told(run_id)} has a history and is not there")
        ((version, _, epoch, type_, due, fire, _, _, lease),) = found
        if (version, type_) != (seen.version, seen.type):
            raise Broken(
                f"{_told(run_id)} is {type_} v{version}; its history ends with {seen.type} v{seen.version}"
            )
        if seen.is_root and (seen.type in _ACTIVE) != (lease is not None) and seen.type != "SCHEDULED":
            raise Broken(f"{_told(run_id)} is {type_} and has {'no' if lease is None else 'a'} lease")
        if lease is not None and lease != epoch:
            raise Broken(f"{_told(run_id)} is of epoch {epoch}, and its lease of {lease}")
        if seen.is_root and epoch < seen.claims:
            raise Broken(f"{_told(run_id)} was claimed {seen.claims} times, and its epoch is {epoch}")
        self._check_fire(run_id, seen, fire)
        self._check_punctual(run_id, seen, due)

    def _check_fire(self, run_id: bytes, seen: _Seen, fire: str | None) -> None:
        if fire is None or not seen.claims:
            return
        if self._fires.setdefault(fire, run_id) != run_id:
            raise Broken(f"two runs for {fire}: {_told(self._fires[fire])} and {_told(run_id)}")

    def _check_punctual(self, run_id: bytes, seen: _Seen, due: str | None) -> None:
        if (
            self._terms.is_calm
            and seen.type == "RUNNING"
            and seen.claims == 1
            and due
            and self._terms.is_roomy
        ):
            late = clock.now() - datetime.fromisoformat(due)
            if late > _SLACK:
                raise Broken(f"{_told(run_id)} started {late} late, though nothing went wrong")

    def _compare_task_run(self, tx: Tx, run_id: bytes, seen: _Seen) -> None:
        found = tx.execute(_TASK_RUN, (run_id,))
        if not found:
            raise Broken(f"{_told(run_id)} has a history and is not there")
        ((version, _, type_, _),) = found
        if (version, type_) != (seen.version, seen.type):
            raise Broken(
                f"{_told(run_id)} is {type_} v{version}; its history ends with {seen.type} v{seen.version}"
            )

    def _check_slots(self, tx: Tx) -> None:
        for tag, taken in tx.execute(_SLOTS):
            limit = self._terms.limits.get(tag)
            if limit is not None and taken > limit:
                raise Broken(f"{taken} slots of {tag!r} are taken, and {limit} are the most")

    def _check_leases(self, tx: Tx) -> None:
        for pid, _, host, count in tx.execute(_LEASES):
            if count > self._terms.runner_limit:
                raise Broken(
                    f"process {pid} on {host} has {count} runs in hand, and {self._terms.runner_limit} are the most"
                )

    # --- at the end

    def open_runs(self, tx: Tx) -> str:
        """The runs that are not over and not waiting for a time to come, as a text; empty if there are none."""
        found = tx.execute(
            "SELECT id, state_type, state_name FROM flow_runs WHERE state_type NOT IN"
            " ('COMPLETED', 'FAILED', 'CANCELLED', 'CRASHED')"
        )
        return ", ".join(f"{_told(id_)} {type_} {name}" for id_, type_, name in found[:5])

    def begun_runs(self, tx: Tx) -> list[FlowRun]:
        """The flow runs that have begun, or are over; the oldest first."""
        found = [flow_run_from(row) for row in tx.execute(f"{FLOW_RUNS} ORDER BY expected_start, id")]
        return [run for run in found if run.version > 1]

    def ended(self, tx: Tx) -> None:
        """All is over.

        Raises:
            Broken: something is left.
        """
        for table, counting in _COUNTS.items():
            ((count,),) = tx.execute(counting)
            if count:
                raise Broken(f"{count} {table} are left when all is over")


def _told(run_id: bytes) -> str:
    return f"run {UUID(bytes=run_id).hex[-12:]}"
