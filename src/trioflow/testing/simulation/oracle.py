"""The oracle: looks at the database after each commit, and at what became of everything at the end.

It believes no column that it can count by itself. The history tells it what happened; whether runs, leases and slots
say the same is what it checks: each commit shows each transition once, in order; attempts and claims are as many as
the history has; who is active has a lease, who is over has none, and nobody takes a run from who owns it; slots are
the running task runs that need them, and no more than their limit; nothing starts early, twice for one fire, or after
it is over; no retry that is left is lost; who is to be cancelled is, in time. Where no fault was done, nothing may be
retried, crash, or be late, and each fire has its run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, final

import trio
from attrs import define, field

from trioflow import clock
from trioflow.core.leases import Owner
from trioflow.core.runs import FlowRun
from trioflow.store.queries import FLOW_RUNS
from trioflow.store.rows import flow_run_from, instant_text
from trioflow.store.store import Tx
from trioflow.testing.simulation.fires import Fires
from trioflow.testing.simulation.holdings import Holdings
from trioflow.testing.simulation.journal import Journal
from trioflow.testing.simulation.seen import Broken, Seen, Step, steps_after, told
from trioflow.testing.simulation.sometimes import in_step
from trioflow.testing.simulation.terms import Terms

_FLOW_RUN = (
    "SELECT version, attempt, epoch, state_type, expected_start, fire_key, deployment_id,"
    " (SELECT epoch FROM leases WHERE leases.run_id = flow_runs.id) FROM flow_runs WHERE id = ?"
)
_TASK_RUN = "SELECT version, attempt, state_type FROM task_runs WHERE id = ?"
_FLOW_RETRY = "SELECT retry, NULL FROM flow_runs WHERE id = ?"
_TASK_RETRY = "SELECT retry, flow_run_id FROM task_runs WHERE id = ?"
_FLOW_OF_TASK = "SELECT flow_run_id FROM task_runs WHERE id = ?"
_LEFT = {
    "leases": "SELECT count(*) FROM leases",
    "slots": "SELECT count(*) FROM slots",
    "owed hooks": "SELECT count(*) FROM owed_hooks",
}
_HISTORIES = (
    "SELECT id, version, (SELECT count(*) FROM states WHERE run_id = runs.id) FROM"
    " (SELECT id, version FROM flow_runs UNION ALL SELECT id, version FROM task_runs) AS runs"
)
_SAID_BY_OWNER = frozenset({"RUNNING", "COMPLETED", "FAILED"})
_TROUBLE = frozenset({"AwaitingRetry", "Crashed"})
_EARLY = timedelta(seconds=0.5)
"""The rule that waits for the scheduled time counts in whole seconds."""
_SLACK = timedelta(seconds=5)
"""So much later than it is due a run starts at the most, where nothing goes wrong and nothing is full."""

_LONG = timedelta(seconds=900)
"""So much later it starts, whatever goes wrong: outages and stops end, and others take over."""
_OVERDUE = (
    "SELECT id, next_scheduled_start FROM flow_runs WHERE state_type = 'SCHEDULED' AND next_scheduled_start < ?"
    " AND id NOT IN (SELECT run_id FROM leases)"
)


@final
@define(eq=False)
class Oracle:
    """See the module."""

    _terms: Terms
    _journal: Journal
    transitions: int = 0
    visited: set[tuple[str, str]] = field(factory=set[tuple[str, str]])
    is_over: Callable[[Owner], bool] = lambda _: False
    """Whether that process has ended."""
    _last: int = 0
    """The number of the last step that was seen."""
    _seen: dict[bytes, Seen] = field(factory=dict[bytes, Seen])
    _parents: dict[bytes, bytes | None] = field(factory=dict[bytes, "bytes | None"])
    """Task runs that are not over: their flow runs."""
    _holdings: Holdings = field(init=False)
    _fires: Fires = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._holdings = Holdings(self._terms)
        self._fires = Fires(self._terms)

    # --- after each commit

    def committed(self, tx: Tx, writer: Owner | None) -> None:
        """See `trioflow.testing.simulation.database.Observer`.

        Raises:
            Broken: what is committed must not be.
        """
        steps = steps_after(tx, self._last)
        for step in steps:
            self._check_writer(step, writer)
            self._take(tx, step)
        for step in steps:
            self._compare(tx, step.run_id)
        self._holdings.look(tx)
        if steps:
            self._holdings.check()

    def _check_writer(self, step: Step, writer: Owner | None) -> None:
        """What only a run's own process can say comes from its owner, and from no owner of the past."""
        lease = self._holdings.leases.get(step.run_id)
        if lease is None or writer is None or lease.owner == writer:
            return
        if step.type in _SAID_BY_OWNER:
            raise Broken(
                f"{told(step.run_id)} is owned by process {lease.owner.pid}, "
                f"and process {writer.pid} made it {step.type}"
            )
        if (
            step.type == "PENDING"
            and step.at < lease.expires
            and not self._is_known_dead(lease.owner, writer)
        ):
            raise Broken(
                f"{told(step.run_id)} is owned by process {lease.owner.pid}, and process {writer.pid} has claimed it"
            )

    def _is_known_dead(self, owner: Owner, writer: Owner) -> bool:
        return owner.host == writer.host and self.is_over(owner)

    # --- steps

    def _take(self, tx: Tx, step: Step) -> None:
        self._last = step.number
        self.transitions += 1
        before = self._seen.get(step.run_id) or Seen.new(step)
        self._journal.line(step.at, str(step).format(before.type))
        self._check_step(tx, step, before)
        after = before.after(step, trio.current_time(), self._parent_attempts(tx, step))
        self._seen[step.run_id] = after
        self._holdings.entered(tx, step, after)
        if step.is_flow_run:
            self.visited.add((before.type, step.type))
        for what in in_step(step, before):
            self._journal.note(what)

    def _check_step(self, tx: Tx, step: Step, before: Seen) -> None:
        if step.version != before.version + 1:
            raise Broken(f"{told(step.run_id)}: version {step.version} follows version {before.version}")
        if before.is_over and not self._may_reopen(before, step.type):
            raise Broken(f"{told(step.run_id)} was over ({before.type}), and is {step.type}")
        if step.name in _TROUBLE and self._terms.is_calm:
            raise Broken(f"{told(step.run_id)} is {step.name}, though nothing went wrong")
        if before.type == "CANCELLING":
            self._check_cancelled(step, before)
        if step.type == "RUNNING":
            self._check_due(step, before)
        if before.type == "RUNNING" and not before.is_mirror:
            self._check_retries(tx, step, before)

    def _may_reopen(self, before: Seen, type_: str) -> bool:
        """A task run that recorded nothing runs again in its flow run's next attempt; a rerun is for who may order."""
        if before.is_flow_run:
            return type_ == "SCHEDULED" and bool(self._terms.faults.orders)
        return type_ == "RUNNING" or before.is_mirror

    def _check_cancelled(self, step: Step, before: Seen) -> None:
        if step.type != "CANCELLED":
            raise Broken(f"{told(step.run_id)} was to be cancelled, and is {step.type}")
        took = trio.current_time() - before.since
        if took > self._terms.most_cancel_seconds:
            raise Broken(f"{told(step.run_id)} took {took:.1f} s to be cancelled")

    def _check_due(self, step: Step, before: Seen) -> None:
        if before.due is None:
            return
        if step.at + _EARLY < before.due:
            raise Broken(f"{told(step.run_id)} started at {step.at}, before it was due at {before.due}")
        late = step.at - before.due
        if late > _SLACK and self._terms.is_roomy and not self._terms.faults.is_any:
            raise Broken(f"{told(step.run_id)} started {late} late, though nothing went wrong")

    def _check_retries(self, tx: Tx, step: Step, before: Seen) -> None:
        """Whether one that is left was used, and none was that was not left."""
        if not (step.awaits_retry or step.type in ("FAILED", "CRASHED")):
            return
        ((text, flow_run_id),) = tx.execute(_FLOW_RETRY if step.is_flow_run else _TASK_RETRY, (step.run_id,))
        policy = json.loads(text) if text else {"retries": 0, "on_crash": False}
        if step.awaits_retry and before.retries >= policy["retries"]:
            raise Broken(f"{told(step.run_id)} is tried again, and had {policy['retries']} retries")
        if before.retries < policy["retries"] and self._is_to_be_retried(step, policy, flow_run_id):
            raise Broken(
                f"{told(step.run_id)} is {step.type} after {before.retries} of {policy['retries']} retries"
            )

    def _is_to_be_retried(self, step: Step, policy: Mapping[str, Any], flow_run_id: bytes | None) -> bool:
        if step.is_flow_run:
            return step.type == "FAILED" or (
                step.type == "CRASHED" and policy["on_crash"] and step.run_id == step.root_id
            )
        parent = self._seen.get(flow_run_id) if flow_run_id else None
        goes_on = parent is None or parent.type == "RUNNING"
        return step.type == "FAILED" and goes_on and step.details.get("retriable") is not False

    def _parent_attempts(self, tx: Tx, step: Step) -> int:
        """In which attempt the flow run of a task run is."""
        if step.is_flow_run:
            return 0
        if step.run_id not in self._parents:
            ((self._parents[step.run_id],),) = tx.execute(_FLOW_OF_TASK, (step.run_id,))
        parent = self._parents[step.run_id]
        return self._seen[parent].attempts if parent in self._seen else 0

    # --- what the tables say

    def _compare(self, tx: Tx, run_id: bytes) -> None:
        seen = self._seen[run_id]
        found = tx.execute(_FLOW_RUN if seen.is_flow_run else _TASK_RUN, (run_id,))
        if not found:
            raise Broken(f"{told(run_id)} has a history and is not there")
        version, attempt, *_ = found[0]
        type_ = found[0][3 if seen.is_flow_run else 2]
        if (version, type_) != (seen.version, seen.type):
            raise Broken(
                f"{told(run_id)} is {type_} v{version}; its history ends with {seen.type} v{seen.version}"
            )
        if attempt != seen.attempts and not seen.is_mirror:
            raise Broken(
                f"{told(run_id)} says that it had {attempt} attempts, and began {seen.attempts} times"
            )
        if seen.is_flow_run and seen.is_root:
            _, _, epoch, _, due, fire, deployment, lease = found[0]
            self._compare_claims(run_id, seen, epoch, lease)
            if fire is not None and seen.claims:
                self._fires.begun(run_id, deployment, due)

    def _compare_claims(self, run_id: bytes, seen: Seen, epoch: int, lease: int | None) -> None:
        if lease is not None and lease != epoch:
            raise Broken(f"{told(run_id)} is of epoch {epoch}, and its lease of {lease}")
        if epoch < seen.claims:
            raise Broken(f"{told(run_id)} was claimed {seen.claims} times, and its epoch is {epoch}")
        if self._terms.is_calm and seen.type == "RUNNING" and not seen.attempts == seen.claims == epoch:
            raise Broken(
                f"{told(run_id)} began {seen.attempts} times in epoch {epoch}, and was claimed {seen.claims} times"
            )

    # --- at the end

    def open_runs(self, tx: Tx) -> str:
        """What is not over, as a text; empty if all is."""
        found = tx.execute(
            "SELECT id, state_type, state_name FROM flow_runs WHERE state_type NOT IN"
            " ('COMPLETED', 'FAILED', 'CANCELLED', 'CRASHED')"
        )
        owed = tx.execute("SELECT run_id FROM owed_hooks")
        runs = [f"{told(id_)} {type_} {name}" for id_, type_, name in found[:5]]
        return ", ".join([*runs, *(f"hooks of {told(id_)}" for (id_,) in owed[:5])])

    def begun_runs(self, tx: Tx) -> list[FlowRun]:
        """The flow runs that have begun, or are over; the oldest first."""
        found = [flow_run_from(row) for row in tx.execute(f"{FLOW_RUNS} ORDER BY expected_start, id")]
        return [run for run in found if run.version > 1]

    def check_fires(self, tx: Tx) -> None:
        """The time in which schedules fire is over.

        Raises:
            Broken: a fire has no run, or two, or one that was due and nobody has started.
        """
        self._fires.check(tx)
        if self._terms.faults.clock_jumps:
            return
        is_easy = self._terms.is_roomy and not self._terms.faults.is_any
        since = clock.now() - (_SLACK if is_easy else _LONG)
        for run_id, due in tx.execute(_OVERDUE, (instant_text(since),)):
            raise Broken(f"{told(run_id)} was due at {due}, and nobody has started it")

    def ended(self, tx: Tx) -> None:
        """All is over.

        Raises:
            Broken: something is left, or lost.
        """
        for what, counting in _LEFT.items():
            ((count,),) = tx.execute(counting)
            if count:
                raise Broken(f"{count} {what} are left when all is over")
        for run_id, version, count in tx.execute(_HISTORIES):
            if version != count:
                raise Broken(f"{told(run_id)} is at version {version}, and its history has {count} rows")
