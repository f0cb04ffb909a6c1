"""Recorded results: what the store keeps of a value. The value itself is the engine's business."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class RecordedResult:
    """A serialised value, small enough to stand in the row (``inline``), or kept under ``reference``.

    The server never deserialises it.
    """

    serializer: str
    """Name of the serializer that can read it: ``json`` or ``pickle``."""
    inline: str | None = None
    reference: str | None = None
    """Where the bytes are: the name of a file in the home's results directory, or a URL."""
    sha256: str | None = None
    """Hex digest of the referenced bytes."""
    size: int = 0
    """Length of the serialised value, in bytes."""
