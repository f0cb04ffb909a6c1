"""Results: what a run returned or raised, live inside the engine, recorded in the store, and the way between.

A state's ``data`` is opaque to the core. In the engine it is `Returned` or `Raised`; in the store it is the
`RecordedResult` that these carry along. A small one stands in the row, a large one in a file that is named by its
content and is safe on the disk before any row speaks of it.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast, final

import trio
from attrs import define, evolve, field, frozen

from trioflow.core.recorded import RecordedResult
from trioflow.core.states import State, StateType
from trioflow.engine import result_files
from trioflow.engine.serializers import JsonSerializer, Serializer, serializer_named
from trioflow.errors import (
    CancelledRun,
    CrashedRun,
    FailedRun,
    MissingResult,
    PausedRun,
    RunOutcome,
    UnfinishedRun,
    UnreadableResult,
)

INLINE_BYTES = 32 * 1024
"""The largest serialised value that stands in its row."""

_JSON = JsonSerializer()
_EXCEPTION = '{"$exception":'
"""How the text of a recorded exception begins; no value is written so, since a lone key with a dollar is a tag."""
_LONGEST_TEXT = 16 * 1024


@frozen
class Returned:
    """A value that a run returned; ``recorded`` is what the store keeps of it, None when it keeps nothing."""

    value: Any
    recorded: RecordedResult | None = None


@frozen
class Raised:
    """An exception that ended a run; ``recorded`` is what the store keeps of it."""

    exception: BaseException
    recorded: RecordedResult | None = None


# --- recording


@final
@define(eq=False)
class Recorder:
    """Records values and reads them back, with one serializer, for one home."""

    home: Path
    """Large results are files in its ``results`` directory; the key that signs pickles is beside that."""
    serializer: Serializer
    _limiter: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(4))
    """Threads that touch the disk: our own, so that user code's never keep a result waiting."""

    @classmethod
    def at(cls, home: Path, serializer: str = "json") -> Recorder:
        """A recorder for ``home`` that writes with the serializer of that name.

        Raises:
            FlowDefinitionError: there is no such serializer.
        """
        return cls(home, serializer_named(serializer, home))

    def using(self, serializer: str | None) -> Recorder:
        """The recorder of the same home that writes with another serializer; None is this one.

        Raises:
            FlowDefinitionError: there is no such serializer.
        """
        if serializer is None or serializer == self.serializer.name:
            return self
        return Recorder(self.home, serializer_named(serializer, self.home), self._limiter)

    def serialize(self, value: Any) -> bytes:
        """The value as the text that will be kept.

        Raises:
            NotSerializable: naming the type, its place in the value, and the mend.
        """
        return self.serializer.write(value)

    def inline(self, data: bytes) -> RecordedResult | None:
        """What `serialize` gave, as a result that stands in its row; None when it is too large for that."""
        if len(data) > INLINE_BYTES:
            return None
        return RecordedResult(serializer=self.serializer.name, inline=data.decode(), size=len(data))

    async def store(self, data: bytes) -> RecordedResult:
        """What `serialize` gave, as a result in a file: synced, its directory too, when this returns.

        Raises:
            UnwritableResult: the disk does not take it.
        """
        digest = await trio.to_thread.run_sync(result_files.keep, self._results, data, limiter=self._limiter)
        return RecordedResult(
            serializer=self.serializer.name, reference=digest, sha256=digest, size=len(data)
        )

    def record_exception(self, error: BaseException) -> RecordedResult:
        """An exception as text: type, module, message, traceback; never fails.

        Under the pickle serializer the exception itself goes along, when it is one of those that survive it.
        """
        told = {
            "type": type(error).__qualname__,
            "module": type(error).__module__,
            "message": message_of(error)[:_LONGEST_TEXT],
            "traceback": "".join(traceback.format_exception(error))[-_LONGEST_TEXT:],
        }
        if pickled := self._pickled(error):
            told["pickle"] = pickled
        text = f"{_EXCEPTION}{_JSON.write(told).decode()}}}"
        return RecordedResult(serializer=_JSON.name, inline=text, size=len(text.encode()))

    def _pickled(self, error: BaseException) -> str | None:
        if self.serializer.name != "pickle":
            return None
        try:
            data = self.serializer.write(error)
            self.serializer.read(
                data
            )  # Many exceptions pickle and then cannot be made again from their arguments.
        except Exception:  # noqa: BLE001 - whatever its class raises, the text stands for it
            return None
        return data.decode() if len(data) <= INLINE_BYTES else None

    # --- reading

    @property
    def _results(self) -> Path:
        return self.home / "results"

    async def read(self, recorded: RecordedResult, of: str = "a run") -> Any:
        """The value that was recorded.

        Args:
            recorded: what the store keeps.
            of: whose result it is, for the error.

        Raises:
            UnreadableResult: the file is missing or is not what was written, the pickle was not signed by this home,
                or the serializer does not understand it.
        """
        if recorded.inline is not None:
            await trio.lowlevel.checkpoint()
            return self._read(recorded, recorded.inline.encode(), of)
        try:
            data = await trio.to_thread.run_sync(
                result_files.fetch, self._results, recorded, limiter=self._limiter
            )
        except (OSError, ValueError) as error:
            raise _unreadable(of, error) from error
        return self._read(recorded, data, of)

    def _read(self, recorded: RecordedResult, data: bytes, of: str) -> Any:
        try:
            return self.using(recorded.serializer).serializer.read(data)
        except Exception as error:
            raise _unreadable(of, error) from error


def _unreadable(of: str, error: Exception) -> UnreadableResult:
    return UnreadableResult(f"the recorded result of {of} cannot be read: {error}")


def message_of(error: BaseException) -> str:
    """The text of an exception, also of one whose ``__str__`` is broken."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - user code; a message is not worth a crash
        return "<its text cannot be told>"


# --- asking for results


async def load(state: State, recorder: Recorder, of: str = "a run") -> State:
    """A state that was read from the store, with live data.

    Args:
        state: its ``data`` is a recorded result, or None.
        recorder: one for the home where it was recorded.
        of: whose state it is, for the error.

    Raises:
        UnreadableResult: its result cannot be read.
    """
    match state.data:
        case RecordedResult(inline=str(text)) as recorded if text.startswith(_EXCEPTION):
            told = await recorder.read(evolve(recorded, inline=text[len(_EXCEPTION) : -1]), of)
            return evolve(state, data=Raised(_exception(told, state, recorder), recorded))
        case RecordedResult() as recorded:
            return evolve(state, data=Returned(await recorder.read(recorded, of), recorded))
        case _:
            await trio.lowlevel.checkpoint()
            return state


def _exception(told: dict[str, str], state: State, recorder: Recorder) -> BaseException:
    """The exception itself, where it was pickled and still can be made; or what stands for it."""
    if pickled := told.get("pickle"):
        try:
            error = recorder.using("pickle").serializer.read(pickled.encode())
        except Exception:  # noqa: BLE001 - its class is gone or has changed, or another home signed it
            error = None
        if isinstance(error, BaseException):
            return error
    outcome = outcome_of(state, f"{told['type']}: {told['message']}")
    outcome.add_note(told["traceback"])
    return outcome


def result_of(state: State) -> Any:
    """What the run that ended in this live state returned.

    Raises:
        PausedRun: it is paused.
        UnfinishedRun: it has not ended.
        MissingResult: it ended well, and its result was not kept.
        BaseException: what it raised; of several runs, what the first one that failed raised.
        FailedRun, CrashedRun, CancelledRun: it ended so, without an exception.
    """
    match state.type:
        case StateType.PAUSED | StateType.SUSPENDED:
            raise PausedRun("The run is paused, its result is not available.")
        case StateType.COMPLETED:
            return _value(state)
        case _ if state.is_final:
            raise exception_of(state)
        case _:
            raise UnfinishedRun(f"The run is in {state.type} state, its result is not available.")


def _value(state: State) -> Any:
    match state.data:
        case Returned(value):
            return value
        case None:
            raise MissingResult
        case value:
            return value


def exception_of(state: State) -> BaseException:
    """The exception that stands for a FAILED, CRASHED or CANCELLED live state."""
    match state.data:
        case Raised(exception):
            return exception
        case BaseException() as exception:
            return exception
        case Returned(str(text)) | str(text):
            return outcome_of(state, text)
        case Returned(inner) | inner:
            failed = next((one for one in _states(inner) if one.is_final and not one.is_completed), None)
            return exception_of(failed) if failed else outcome_of(state, state.message)


def _states(data: Any) -> tuple[State, ...]:
    match data:
        case State():
            return (data,)
        case list() | tuple() | set() | frozenset():
            return tuple(one for one in cast("Iterable[object]", data) if isinstance(one, State))
        case _:
            return ()


def outcome_of(state: State, message: str | None) -> RunOutcome:
    """The exception that says how a run ended, without its own."""
    match state.type:
        case StateType.CANCELLED:
            return CancelledRun(message)
        case StateType.CRASHED:
            return CrashedRun(message)
        case _:
            return FailedRun(message)
