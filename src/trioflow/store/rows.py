"""How runs, states and leases stand in rows: one pair of functions each way, and the columns in their order.

Hand-written, for this is the hot path; empty collections and absent details are NULL.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from attrs import asdict, fields

from trioflow.core.leases import Lease, Owner
from trioflow.core.recorded import RecordedResult
from trioflow.core.runs import NO_RETRIES, FlowRun, RetryPolicy, RunTimes, TaskRun
from trioflow.core.states import NO_DETAILS, State, StateDetails, StateType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trioflow.wire.requests import LogRecord

Row = tuple[Any, ...]

_STATE = ("state_type", "state_name", "state_message", "state_details", "state_data", "state_id", "state_at")
_TIMES = ("retry", "expected_start", "next_scheduled_start", "started", "ended", "running")

FLOW_RUN_COLUMNS = (
    *("id", "flow_id", "root_id", "name", "version", "epoch", "attempt", "retries_used"),
    *_STATE,
    *_TIMES,
    *(
        "parameters",
        "tags",
        "parent_task_run_id",
        "deployment_id",
        "infrastructure_pid",
        "pause_keys",
        "resuming",
    ),
    *("entrypoint", "flow_version", "created"),
    *("fire_key", "hooked", "timeout"),
)
TASK_RUN_COLUMNS = (
    *(
        "id",
        "flow_run_id",
        "root_id",
        "task_key",
        "dynamic_key",
        "name",
        "version",
        "attempt",
        "retries_used",
    ),
    "flow_run_attempt",
    *_STATE,
    *_TIMES,
    *("tags", "inputs", "created"),
)
STATE_COLUMNS = (
    *("number", "id", "run_id", "root_id", "is_flow_run", "version"),
    *("type", "name", "message", "details", "at", "reason"),
)
CACHE_COLUMNS = ("key", "expiration", *_STATE)
LEASE_COLUMNS = ("run_id", "epoch", "host", "pid", "started", "expires")
OWED_COLUMNS = ("run_id", "version", "state_type", "host", "pid", "started", "tries")
LOG_COLUMNS = ("number", "flow_run_id", "task_run_id", "logger", "level", "message", "at")

_INSTANTS_KEPT = 1024
"""Each transition of a run writes all of its instants once more, and a batch its own one for each row."""


def flow_run_row(run: FlowRun) -> Row:
    """The row of a flow run, in the order of `FLOW_RUN_COLUMNS`."""
    return (
        run.id.bytes,
        run.flow_id.bytes,
        run.root_id.bytes,
        run.name,
        run.version,
        run.epoch,
        run.attempt,
        run.retries_used,
        *_state_columns(run.state),
        *_times_columns(run),
        json_text(run.parameters),
        set_text(run.tags),
        _bytes(run.parent_task_run_id),
        _bytes(run.deployment_id),
        run.infrastructure_pid,
        set_text(run.pause_keys),
        run.resuming,
        run.entrypoint,
        run.flow_version,
        instant_text(run.created),
        run.fire_key,
        set_text(run.hooked),
        run.timeout,
    )


def flow_run_from(row: Sequence[Any]) -> FlowRun:
    """The flow run that stands in a row."""
    return FlowRun(
        id=UUID(bytes=row[0]),
        flow_id=UUID(bytes=row[1]),
        root_id=UUID(bytes=row[2]),
        name=row[3],
        version=row[4],
        epoch=row[5],
        attempt=row[6],
        retries_used=row[7],
        state=_state_from(row[8:15]),
        retry=retry_from(row[15]),
        times=_times_from(row[16:21]),
        parameters=orjson.loads(row[21]),
        tags=set_from(row[22]),
        parent_task_run_id=_uuid(row[23]),
        deployment_id=_uuid(row[24]),
        infrastructure_pid=row[25],
        pause_keys=set_from(row[26]),
        resuming=bool(row[27]),
        entrypoint=row[28],
        flow_version=row[29],
        created=_instant(row[30]),
        fire_key=row[31],
        hooked=types_from(row[32]),
        timeout=row[33],
    )


def task_run_row(run: TaskRun) -> Row:
    """The row of a task run, in the order of `TASK_RUN_COLUMNS`."""
    return (
        run.id.bytes,
        _bytes(run.flow_run_id),
        (run.root_id or run.id).bytes,
        run.task_key,
        run.dynamic_key,
        run.name,
        run.version,
        run.attempt,
        run.retries_used,
        run.flow_run_attempt,
        *_state_columns(run.state),
        *_times_columns(run),
        set_text(run.tags),
        json_text(run.inputs) if run.inputs else None,
        instant_text(run.created),
    )


def task_run_from(row: Sequence[Any]) -> TaskRun:
    """The task run that stands in a row."""
    return TaskRun(
        id=UUID(bytes=row[0]),
        flow_run_id=_uuid(row[1]),
        root_id=UUID(bytes=row[2]),
        task_key=row[3],
        dynamic_key=row[4],
        name=row[5],
        version=row[6],
        attempt=row[7],
        retries_used=row[8],
        flow_run_attempt=row[9],
        state=_state_from(row[10:17]),
        retry=retry_from(row[17]),
        times=_times_from(row[18:23]),
        tags=set_from(row[23]),
        inputs=orjson.loads(row[24]) if row[24] else {},
        created=_instant(row[25]),
    )


def lease_row(lease: Lease) -> Row:
    """The row of a lease, in the order of `LEASE_COLUMNS`."""
    owner = lease.owner
    return lease.run_id.bytes, lease.epoch, owner.host, owner.pid, owner.started, instant_text(lease.expires)


def lease_from(row: Sequence[Any]) -> Lease:
    """The lease that stands in a row."""
    owner = Owner(host=row[2], pid=row[3], started=row[4])
    return Lease(run_id=UUID(bytes=row[0]), epoch=row[1], owner=owner, expires=datetime.fromisoformat(row[5]))


def owed_row(run: FlowRun, state: State, holder: Owner | None) -> Row:
    """The row of hooks that are owed for the state that ``run`` is in, in the order of `OWED_COLUMNS`."""
    held = (holder.host, holder.pid, holder.started) if holder else (None, None, None)
    return run.id.bytes, run.version, state.type.value, *held, 0


def history_row(number: int, run: FlowRun | TaskRun, state: State, reason: str | None) -> Row:
    """The row of one transition, in the order of `STATE_COLUMNS`; ``run`` is as it is after it."""
    return (
        number,
        _bytes(state.id),
        run.id.bytes,
        (run.root_id or run.id).bytes,
        isinstance(run, FlowRun),
        run.version,
        state.type.value,
        state.name,
        state.message,
        _details_text(state.details),
        instant_text(state.timestamp),
        reason,
    )


def history_state_from(row: Sequence[Any]) -> State:
    """The state in columns type, name, message, details, at, id; without its result."""
    type_, name, message, details, at, id_ = row
    return State(
        type=StateType(type_),
        name=name,
        message=message,
        details=_details_from(details),
        timestamp=_instant(at),
        id=_uuid(id_),
    )


def log_row(number: int, record: LogRecord) -> Row:
    """The row of a log record, in the order of `LOG_COLUMNS`."""
    return (
        number,
        _bytes(record.flow_run_id),
        _bytes(record.task_run_id),
        record.logger,
        record.level,
        record.message,
        instant_text(record.at),
    )


def cache_row(key: str, state: State) -> Row:
    """The row of a cache entry, in the order of `CACHE_COLUMNS`."""
    return key, instant_text(state.details.cache_expiration), *_state_columns(state)


def cached_state_from(row: Sequence[Any]) -> State | None:
    """The state that stands in a cache entry."""
    return _state_from(row[2:])


def instant_text(instant: datetime | None) -> str | None:
    """ISO 8601 in UTC with microseconds: text order is time order."""
    return None if instant is None else _spelt(instant)


@lru_cache(_INSTANTS_KEPT)
def _spelt(instant: datetime) -> str:
    # Two instants that are equal share an entry here, and so a spelling, whatever zones they are told in.
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def json_text(value: Any) -> str:
    """Compact JSON."""
    return orjson.dumps(value).decode()


def _state_columns(state: State | None) -> Row:
    if state is None:
        return (None,) * 7
    return (
        state.type.value,
        state.name,
        state.message,
        _details_text(state.details),
        _data_text(state.data),
        _bytes(state.id),
        instant_text(state.timestamp),
    )


def _state_from(columns: Sequence[Any]) -> State | None:
    type_, name, message, details, data, id_, at = columns
    if type_ is None:
        return None
    return State(
        type=StateType(type_),
        name=name,
        message=message,
        details=_details_from(details),
        data=None if data is None else RecordedResult(**orjson.loads(data)),
        id=_uuid(id_),
        timestamp=_instant(at),
    )


def _times_columns(run: FlowRun | TaskRun) -> Row:
    times = run.times
    return (
        retry_text(run.retry),
        instant_text(times.expected_start),
        instant_text(times.next_scheduled_start),
        instant_text(times.started),
        instant_text(times.ended),
        times.running,
    )


def _times_from(columns: Sequence[Any]) -> RunTimes:
    expected, scheduled, started, ended, running = columns
    return RunTimes(
        expected_start=_instant(expected),
        next_scheduled_start=_instant(scheduled),
        started=_instant(started),
        ended=_instant(ended),
        running=running,
    )


def retry_text(retry: RetryPolicy) -> str | None:
    """A retry policy; nothing for none."""
    return None if retry is NO_RETRIES or retry == NO_RETRIES else json_text(asdict(retry))


def retry_from(text: str | None) -> RetryPolicy:
    """The policy that `retry_text` spelt."""
    if text is None:
        return NO_RETRIES
    fields: dict[str, Any] = orjson.loads(text)
    fields["delays"] = tuple(fields["delays"])
    return RetryPolicy(**fields)


def _details_text(details: StateDetails) -> str | None:
    if details is NO_DETAILS:
        return None
    given = {name: value for name in _DETAILS if (value := getattr(details, name)) is not None}
    return json_text(given) if given else None


_DETAILS = tuple(field.name for field in fields(StateDetails))
_INSTANTS = ("scheduled_time", "cache_expiration", "pause_timeout")


def _details_from(text: str | None) -> StateDetails:
    if text is None:
        return NO_DETAILS
    fields = orjson.loads(text)
    for name in _INSTANTS:
        if name in fields:
            fields[name] = datetime.fromisoformat(fields[name])
    if "child_flow_run_id" in fields:
        fields["child_flow_run_id"] = UUID(fields["child_flow_run_id"])
    return StateDetails(**fields)


_RESULT = tuple(field.name for field in fields(RecordedResult))


def _data_text(data: Any) -> str | None:
    if data is None:
        return None
    return json_text({name: value for name in _RESULT if (value := getattr(data, name))})


def set_text(values: Iterable[str]) -> str | None:
    """A set, sorted; nothing for an empty one."""
    ordered = sorted(values)
    return json_text(ordered) if ordered else None


def set_from(text: str | None) -> frozenset[str]:
    """The set that `set_text` spelt."""
    return frozenset(orjson.loads(text)) if text else frozenset()


def types_from(text: str | None) -> frozenset[StateType]:
    """The types that `set_text` spelt."""
    return frozenset(map(StateType, orjson.loads(text))) if text else frozenset()


def _bytes(id_: UUID | None) -> bytes | None:
    return None if id_ is None else id_.bytes


def _uuid(value: bytes | None) -> UUID | None:
    return None if value is None else UUID(bytes=value)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
