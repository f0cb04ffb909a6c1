"""Files of results, named by their content: written whole and synced, or not at all. Blocking; for a thread."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from trioflow.core.recorded import RecordedResult
from trioflow.errors import UnwritableResult


def keep(directory: Path, data: bytes) -> str:
    """Writes ``data`` into the file that its SHA-256 names, and gives that name.

    An equal file that is there already is replaced: that is cheaper than to prove that it is whole and synced.

    Raises:
        UnwritableResult: the disk does not take it; nothing is left behind.
    """
    name = hashlib.sha256(data).hexdigest()
    try:
        if not directory.exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(directory.parent)
        _write(directory / name, data)
        _sync(directory)
    except OSError as error:
        raise UnwritableResult(
            f"a result of {len(data)} bytes cannot be written to {directory}: {error}"
        ) from error
    return name


def _write(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
