"""Power cuts: record what a store writes to its disk, then make the files that a power cut may leave behind.

A write is safe once its file was synced after it. Of the others, each may have reached the disk or not, in any order,
and it may have been torn at a sector's edge. This is the technique of SQLite's own crash tests.
"""

from __future__ import annotations

from pathlib import Path

import apsw
from attrs import define, field, frozen

SECTOR = 512


@frozen
class Write:
    file: str
    offset: int
    data: bytes


@frozen
class Truncate:
    file: str
    size: int


@frozen
class Sync:
    file: str


@frozen
class Answered:
    """Not the disk's business: somebody was told that this is done, and whether a power cut may undo it."""

    name: str
    is_safe: bool


@define(eq=False)
class Recorder:
    """What happened, in order."""

    events: list = field(factory=list)

    def syncs(self):
        return sum(isinstance(event, Sync) for event in self.events)


class RecordedFile(apsw.VFSFile):
    def __init__(self, name, flags, events):
        super().__init__("", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self.file = "-wal" if path.endswith("-wal") else ""
        self.events = events

    def xWrite(self, data, offset):  # noqa: N802 - apsw's name
        self.events.append(Write(self.file, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size):  # noqa: N802 - apsw's name
        self.events.append(Truncate(self.file, size))
        super().xTruncate(size)

    def xSync(self, flags):  # noqa: N802 - apsw's name
        super().xSync(flags)
        self.events.append(Sync(self.file))


class RecordingDisk(apsw.VFS):
    """A file system that does what the usual one does, and remembers it."""

    name = "recording"

    def __init__(self):
        self.recorder = Recorder()
        super().__init__(self.name, "")

    def xOpen(self, name, flags):  # noqa: N802 - apsw's name
        return RecordedFile(name, flags, self.recorder.events)


@define(eq=False)
class Disk:
    """The files as they are on the disk, and the writes to each that may or may not be."""

    files: dict[str, bytearray]
    unsafe: dict[str, list]

    @classmethod
    def holding(cls, database: Path):
        files = {end: bytearray(Path(f"{database}{end}").read_bytes()) for end in ("", "-wal")}
        return cls(files, {end: [] for end in files})

    def copy(self):
        return Disk(
            {end: bytearray(data) for end, data in self.files.items()},
            {e: list(w) for e, w in self.unsafe.items()},
        )

    def happen(self, event):
        match event:
            case Sync(file):
                for write in self.unsafe[file]:
                    self.apply(write)
                self.unsafe[file].clear()
            case Write(file) | Truncate(file):
                self.unsafe[file].append(event)

    def apply(self, event):
        match event:
            case Write(file, offset, data):
                there = self.files[file]
                there.extend(bytes(max(0, offset - len(there))))
                there[offset : offset + len(data)] = data
            case Truncate(file, size):
                del self.files[file][size:]

    def cut(self, how, chance):
        """The power goes off. ``how`` unsafe writes end: none there, all, some, or torn."""
        for write in (write for writes in self.unsafe.values() for write in writes):
            for part in surviving(write, how, chance):
                self.apply(part)

    def write_to(self, database: Path):
        """Makes the files anew: a file system may sync one that is overwritten."""
        for end in ("", "-wal", "-shm"):
            Path(f"{database}{end}").unlink(missing_ok=True)
        for end, data in self.files.items():
            Path(f"{database}{end}").write_bytes(data)


def images(start, recorded, count, chance, database):
    """Make the files of so many power cuts, each at a moment of its own; gives what had been answered by then."""
    on_disk, answered, done = start, [], 0
    for moment in sorted(chance.choices(range(len(recorded) + 1), k=count)):
        for event in recorded[done:moment]:
            on_disk.happen(event)
        answered += [event for event in recorded[done:moment] if isinstance(event, Answered)]
        done = moment
        after = on_disk.copy()
        after.cut(chance.choice(["none", "some", "torn", "all"]), chance)
        after.write_to(database)
        yield answered


def surviving(write, how, chance):
    """The parts of an unsafe write that reached the disk."""
    match how, write:
        case "all", _:
            return [write]
        case "some", _:
            return [write] if chance.random() < 0.5 else []
        case "torn", Write(file, offset, data):
            sectors = range(0, len(data), SECTOR)
            return [
                Write(file, offset + at, data[at : at + SECTOR]) for at in sectors if chance.random() < 0.6
            ]
        case _:
            return []
