"""Serializers: a value to text that fits a row or a file, and back, unchanged.

`json` is the default. It is faithful: what is read equals what was written, type for type, and what it cannot
bring back that way it refuses. `pickle` takes nearly everything, and is signed, because reading a pickle runs code.
Neither knows where the text is kept.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

import orjson
from attrs import define, field, frozen

from trioflow.engine import result_files
from trioflow.errors import FlowDefinitionError, NotSerializable, UnwritableResult

NAMES = ("json", "pickle")


class Serializer(Protocol):
    """Writes values as text, and reads them back."""

    @property
    def name(self) -> str:
        """How a recorded result says who can read it."""
        ...

    def write(self, value: Any) -> bytes:
        """The value as UTF-8 text.

        Raises:
            NotSerializable: it could not be read back as it is.
        """
        ...

    def read(self, data: bytes) -> Any:
        """The value that was written.

        Raises:
            ValueError: nobody wrote this, or not for us.
            Exception: whatever a class raises while one of its objects is unpickled.
        """
        ...


# --- json

kind_of: Callable[[Any], type[Any]] = type
"""The type itself: a proxy's ``__class__`` may say something else."""

_ATOMS = frozenset({type(None), bool, int, float, str})
_CONTAINERS = frozenset({list, dict})
_PLAIN = _ATOMS | _CONTAINERS
_TAG = b'{"$'


@frozen
class JsonSerializer:
    """JSON as it is for what JSON can say; ``{"$tag": ...}`` for the rest (see `tagged`)."""

    name: str = "json"

    def write(self, value: Any) -> bytes:
        """The value as JSON text."""
        try:
            if _is_plain(value):
                return orjson.dumps(value)
        except (TypeError, RecursionError):
            pass  # An integer beyond 64 bits, half a surrogate pair, a list that holds itself: to be looked at closely.
        from trioflow.engine import tagged

        return tagged.write(value)

    def read(self, data: bytes) -> Any:
        """The value of some JSON text."""
        value = orjson.loads(data)
        if _TAG not in data:
            return value
        from trioflow.engine import tagged

        return tagged.revive(value)


def _is_plain(value: Any) -> bool:
    """Whether every part of a value is of a type that JSON brings back; judged by types in bulk, at C's speed."""
    kind = kind_of(value)
    if kind is list:
        return _are_plain(value)
    if kind is dict:
        return not _looks_tagged(value) and _are_plain(value.values())
    return kind in _ATOMS and (kind is not float or isfinite(value))


def _are_plain(values: Any) -> bool:
    kinds = set(map(type, values))
    if not kinds <= _PLAIN:
        return False
    if float in kinds and not all(isfinite(value) for value in values if type(value) is float):
        return False
    return kinds <= _ATOMS or all(_is_plain(value) for value in values if type(value) in _CONTAINERS)


def _looks_tagged(value: dict[Any, Any]) -> bool:
    """Whether it would be read as a tag. Keys that are no texts are left to orjson, which refuses them."""
    if len(value) != 1:
        return False
    (key,) = value
    return type(key) is str and key[:1] == "$"


# --- pickle


@define(eq=False)
class PickleSerializer:
    """Pickles by cloudpickle, each behind an HMAC-SHA256 made with this home's key; unsigned ones are not opened."""

    key_file: Path
    name: str = "pickle"
    _key: bytes | None = field(default=None, init=False)
    """Read at most once; made by the first one that writes."""

    def write(self, value: Any) -> bytes:
        """The value as base64 of a signature and a pickle.

        Raises:
            NotSerializable: its class does not let itself be pickled.
            UnwritableResult: there is no key, and none can be made.
        """
        import cloudpickle  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

        key = self._writing_key()
        try:
            pickled: bytes = cloudpickle.dumps(value)  # pyright: ignore[reportUnknownMemberType] - it is untyped
        except Exception as error:  # A class decides what its pickling raises.
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            raise NotSerializable(
                f"the result, a {kind}, cannot be pickled: {error!r}. "
                "Return something else, or say persist_result=False"
            ) from error
        return base64.b64encode(self._sign(pickled, key) + pickled)

    def read(self, data: bytes) -> Any:
        """The value of a pickle that this home signed."""
        import pickle

        raw = base64.b64decode(data, validate=True)
        signature, pickled = raw[:32], raw[32:]
        if not hmac.compare_digest(signature, self._sign(pickled, self._reading_key())):
            raise ValueError(f"the pickle is not signed with the key in {self.key_file}")
        return pickle.loads(pickled)  # noqa: S301 - we wrote it: the signature says so

    @staticmethod
    def _sign(pickled: bytes, key: bytes) -> bytes:
        return hmac.digest(key, pickled, "sha256")

    def _reading_key(self) -> bytes:
        if self._key is None:
            self._key = result_files.read_key(self.key_file)
        return self._key

    def _writing_key(self) -> bytes:
        if self._key is None and not self.key_file.exists():
            result_files.make_key(self.key_file)
        try:
            return self._reading_key()
        except ValueError as error:
            raise UnwritableResult(str(error)) from error


def serializer_named(name: str, home: Path) -> Serializer:
    """The serializer of that name; ``home`` is where the key for signed pickles is.

    Raises:
        FlowDefinitionError: there is none of that name.
    """
    match name:
        case "json":
            return JsonSerializer()
        case "pickle":
            return PickleSerializer(home / "results.key")
        case _:
            raise FlowDefinitionError(f"result_serializer must be one of {', '.join(NAMES)}, not {name!r}")
