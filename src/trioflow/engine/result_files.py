"""Files of results, named by their content, and the key that signs some: written whole and synced, or not at all.

Blocking: large results are for a thread.
"""

from __future__ import annotations

import hashlib
import os
import secrets  # noqa: TID251 - the key of a signature must not be guessable; the clock's chance is
import tempfile
from contextlib import suppress
from pathlib import Path

from trioflow.core.recorded import RecordedResult
from trioflow.errors import UnwritableResult

KEY_BYTES = 32


def keep(directory: Path, data: bytes) -> str:
    """Writes ``data`` into the file that its SHA-256 names, and gives that name.

    An equal file that is there already is replaced: that is cheaper than to prove that it is whole and synced.

    Raises:
        UnwritableResult: the disk does not take it; nothing is left behind.
    """
    name = hashlib.sha256(data).hexdigest()
    try:
        _make(directory)
        _put(directory / name, data, replacing=True)
    except OSError as error:
        raise UnwritableResult(
            f"a result of {len(data)} bytes cannot be written to {directory}: {error}"
        ) from error
    return name


def fetch(directory: Path, recorded: RecordedResult) -> bytes:
    """Reads the file that a recorded result refers to.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it is not what was written, or the reference is none of ours.
    """
    name = recorded.reference or ""
    if len(name) != 64 or not set(name) <= set("0123456789abcdef"):
        raise ValueError(f"{name!r} is not the name of a result")
    data = (directory / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != name or recorded.sha256 != name:
        raise ValueError(f"{directory / name} has changed since it was written ({len(data)} bytes now)")
    return data


def make_key(path: Path) -> None:
    """Puts a random key at ``path``; when two processes do so at once, one wins.

    Raises:
        UnwritableResult: the disk does not take it.
    """
    try:
        _make(path.parent)
        with suppress(FileExistsError):
            _put(path, secrets.token_bytes(KEY_BYTES), replacing=False)
    except OSError as error:
        raise UnwritableResult(f"the key that signs pickles cannot be written: {error}") from error


def read_key(path: Path) -> bytes:
    """Reads the key at ``path``.

    Raises:
        ValueError: it is not there, or is no key.
    """
    try:
        key = path.read_bytes()
    except OSError as error:
        raise ValueError(f"the key that signs pickles cannot be read: {error}") from error
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path} is not a key: it has {len(key)} bytes, not {KEY_BYTES}")
    return key


def _make(directory: Path) -> None:
    if not directory.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync(directory.parent)


def _put(path: Path, data: bytes, *, replacing: bool) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replacing:
            temporary.replace(path)
        else:
            path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
