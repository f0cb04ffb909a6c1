"""Settings: one frozen value, read once from the ``TRIOFLOW_`` variables of the environment.

Whoever needs a setting asks `current_settings`; tests and simulations put their own in place with `use_settings`.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from attrs import Attribute, field, fields, frozen

from trioflow.errors import InvalidSetting

PREFIX = "TRIOFLOW_"
_INTERNAL = "TRIOFLOW__"
"""What `trioflow.processes` names: said by a runner to the processes of its runs, and no setting."""
MOST_GRACE_SECONDS = 18.0
"""What `trioflow.core.leases.check_grace` allows."""


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


@frozen
class _Spelling:
    """How the environment says a setting."""

    read: Callable[[str], Any]
    """A variable's text to its value; raises ValueError or KeyError."""
    may_be: str


def _spelt(read: Callable[[str], Any], may_be: str) -> dict[str, _Spelling]:
    return {"spelling": _Spelling(read, may_be)}


def _must(holds: Callable[[Any], bool]) -> Callable[[object, Attribute[Any], Any], None]:
    def check(_: object, setting: Attribute[Any], value: Any) -> None:
        if not holds(value):
            raise _refused(setting, value)

    return check


def _refused(setting: Attribute[Any], value: object) -> InvalidSetting:
    spelling: _Spelling = setting.metadata["spelling"]
    return InvalidSetting(f"{variable(setting.name)} cannot be {str(value)!r}: give {spelling.may_be}")


def _home() -> Path:
    import platformdirs

    return platformdirs.user_data_path("trioflow", appauthor=False)


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _switch(text: str) -> bool:
    match text.lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
        case _:
            raise ValueError(text)


def _level(text: str) -> int:
    if text.isdecimal():
        return int(text)
    return {name.lower(): level for name, level in logging.getLevelNamesMapping().items()}[text.lower()]


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError(text)
    return text.rstrip("/")


@frozen(kw_only=True)
class Settings:
    """What can be set. Each field is the variable of its name: ``log_level`` is ``TRIOFLOW_LOG_LEVEL``.

    Raises:
        InvalidSetting: a value that cannot be; names the variable, the value, and what it may be.
    """

    home: Path = field(
        factory=_home, metadata=_spelt(_path, "a directory"), validator=_must(Path.is_absolute)
    )
    """Where everything is kept that must outlive a process. Absolute."""
    log_level: int = field(
        default=logging.INFO, metadata=_spelt(_level, "DEBUG, INFO, WARNING, ERROR or a number")
    )
    """The lowest level of what runs say that is shown and stored."""
    log_prints: bool = field(default=False, metadata=_spelt(_switch, "true or false"))
    """Whether ``print`` in a run is a line of its log, where neither its flow nor its task says so."""
    debug: bool = field(default=False, metadata=_spelt(_switch, "true or false"))
    """Whether runs tell more of themselves: calls with their arguments, states in full."""
    ui_url: str | None = field(default=None, metadata=_spelt(_url, "an http:// or https:// address"))
    """Where the user interface is; without a slash at the end."""
    grace_seconds: float = field(
        default=10.0,
        metadata=_spelt(float, f"seconds from 0 to {MOST_GRACE_SECONDS:g}, so that no lease runs out before"),
        validator=_must(lambda seconds: 0 <= seconds <= MOST_GRACE_SECONDS),
    )
    """How long a run that is being cancelled has for its clean-up."""
    hook_seconds: float = field(
        default=60.0,
        metadata=_spelt(float, "seconds above 0"),
        validator=_must(lambda seconds: 0 < seconds < math.inf),
    )
    """How long one hook may take."""
    runner_process_limit: int = field(
        factory=lambda: 5 * (os.cpu_count() or 1),
        metadata=_spelt(int, "a number of 1 or more"),
        validator=_must(lambda limit: limit >= 1),
    )
    """How many runs a runner has in hand at once; five for each processor unless it is set."""
    runner_query_seconds: float = field(
        default=10.0,
        metadata=_spelt(float, "seconds above 0"),
        validator=_must(lambda seconds: 0 < seconds < math.inf),
    )
    """How often a runner asks for work when nothing wakes it."""
    drain_seconds: float = field(
        default=30.0,
        metadata=_spelt(float, "seconds of 0 or more"),
        validator=_must(lambda seconds: 0 <= seconds < math.inf),
    )
    """How long a runner that was told to end lets its runs go on."""
    start_seconds: float = field(
        default=300.0,
        metadata=_spelt(float, "seconds above 0"),
        validator=_must(lambda seconds: 0 < seconds < math.inf),
    )
    """How long loading the file of a flow may take in a run's process."""

    @property
    def database_path(self) -> Path:
        """The file of the embedded store."""
        return self.home / "trioflow.db"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """The settings that these variables make; an empty one says nothing.

        Warns:
            UserWarning: a variable begins with ``TRIOFLOW_`` and is no setting.

        Raises:
            InvalidSetting: a variable has a value that it cannot have.
        """
        known = {variable(setting.name): setting for setting in fields(cls)}
        for name in environment:
            if name.startswith(PREFIX) and not name.startswith(_INTERNAL) and name not in known:
                warnings.warn(_unknown(name, known), stacklevel=2)
        given = {
            setting.name: _read(setting, text)
            for name, setting in known.items()
            if (text := environment.get(name))
        }
        return cls(**given)

    def as_environment(self) -> dict[str, str]:
        """The variables that make these settings in another process, whatever is set there."""
        given = {variable(setting.name): getattr(self, setting.name) for setting in fields(type(self))}
        return {name: str(value) for name, value in given.items() if value is not None}


def _read(setting: Attribute[Any], text: str) -> Any:
    try:
        return setting.metadata["spelling"].read(text)
    except (ValueError, KeyError) as error:
        raise _refused(setting, text) from error


def _unknown(name: str, known: Iterable[str]) -> str:
    from trioflow.nearest import nearest

    near = nearest(name.removeprefix(PREFIX), (each.removeprefix(PREFIX) for each in known))
    return f"{name} is set, but there is no such setting" + (
        f"; the nearest is {PREFIX}{near}" if near else ""
    )


_used: ContextVar[Settings | None] = ContextVar("trioflow_settings", default=None)


@cache
def _of_this_process() -> Settings:
    return Settings.from_environment(os.environ)


def current_settings() -> Settings:
    """The settings that hold here: those in use, or else the environment's, as it was at the first call."""
    return _used.get() or _of_this_process()


@contextmanager
def use_settings(settings: Settings) -> Generator[Settings]:
    """Within the block, and in all tasks and threads that Trio starts from it, these are the current settings."""
    before = _used.get()
    _used.set(settings)
    try:
        yield settings
    finally:
        # Not `reset(token)`: a fixture may be left in another context than it was entered in.
        _used.set(before)
