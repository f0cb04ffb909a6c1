"""``trioflow simulate``: what a file's schedules will do in a year, in seconds; and a page that shows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import trio
from cyclopts import Parameter

from trioflow.cli.render import tell
from trioflow.deployments.deployment import FlowDeployment
from trioflow.deployments.describe import described
from trioflow.engine.entrypoints import load_file
from trioflow.errors import InvalidSetting

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
DURATIONS = "simulate_durations"
"""The name, at the top level of a file, of what says how long runs take: flow name -> function of a random.Random."""


def simulate(
    target: str,
    /,
    *,
    for_: Annotated[str, Parameter(name="--for")] = "365d",
    seed: int = 0,
    start: str = "2026-01-01",
    limit: int = 100,
    away: str = "0s",
    report: Path | None = None,
) -> int:
    """Go through a year of a file's schedules in seconds: the real scheduler, claims and store, under virtual time.

    What a run does is a model: it takes 1 to 60 seconds, or what ``simulate_durations`` in the file draws for its flow;
    what that raises is how the run fails, and is retried as its flow says.

    Args:
        target: The file, and the name of a flow or deployment in it where not all are meant: ``flows.py:nightly``.
        for_: How long: 365d, 12w, 36h.
        seed: Says all chance: the same seed, the same year.
        start: The first instant, as ISO 8601; UTC, where it says no offset.
        limit: How many runs may go on at once.
        away: For how long, once in thirty days, nobody serves.
        report: Where to write a page of charts.
    """
    from trioflow.testing.simulation.forecast import Season, forecast

    try:
        season = Season(start=_instant(start), duration=_time(for_), seed=seed, limit=limit, away=_time(away))
    except ValueError as error:
        raise InvalidSetting(str(error)) from None
    if report is not None and not report.absolute().parent.is_dir():
        raise InvalidSetting(f"there is no folder {report.parent} for the report")
    deployments = trio.run(partial(_deployments, target))
    if not any(deployment.schedules for deployment in deployments):
        raise InvalidSetting(
            f'nothing in {target} has a schedule: `my_flow.to_deployment("nightly", cron=...)`'
        )
    found = forecast(deployments, season, _durations(target, {each.flow_name for each in deployments}))
    for line in _told(found):
        print(line)  # noqa: T201 - this is the answer
    if report is not None:
        from trioflow.testing.simulation.report import report_of

        report.write_text(report_of(found), encoding="utf-8")
        tell(f"The charts are in {report}")
    return 0


async def _deployments(target: str) -> list[FlowDeployment]:
    return await described(target)


def _durations(target: str, flows: Collection[str]) -> Mapping[str, Callable[..., float]]:
    """What the file says of how long runs of these flows take; loading it runs it, as an engine does."""
    head, colon, tail = target.rpartition(":")
    is_part = bool(colon) and not {"/", "\\"} & set(tail)
    path = Path(head if is_part else target)
    given: Mapping[str, Callable[..., float]] = getattr(load_file(path.absolute()), DURATIONS, {})
    if not all(callable(each) for each in given.values()):
        raise InvalidSetting(
            f"{DURATIONS} in {path} must say for each flow a function that draws seconds: "
            f'{DURATIONS} = {{"nightly": lambda chance: chance.uniform(60, 600)}}'
        )
    if (unknown := given.keys() - set(flows)) and not is_part:
        raise InvalidSetting(
            f"{DURATIONS} in {path} speaks of {', '.join(sorted(unknown))}: its flows are {', '.join(sorted(flows))}"
        )
    return given


def _time(text: str) -> timedelta:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if found is None:
        raise InvalidSetting(f"{text!r} is no time: say 365d, 12w, 36h, 90m or 30s")
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidSetting(f"{text!r} is no instant: say 2026-01-01 or 2026-03-28T12:00:00+01:00") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _told(found: Any) -> list[str]:
    runs = found.runs
    late = [run.late for run in runs if run.late > timedelta(seconds=5)]
    deployments = f"{len(found.deployments)} deployment{'s' * (len(found.deployments) != 1)}"
    lines = [f"{len(runs):,} runs of {deployments} in {_spoken(found.season.duration)}"]
    types = sorted({run.type for run in runs}, key=lambda type_: type_.name)
    lines += [f"{sum(run.type is type_ for run in runs):>9,}  {type_.name}" for type_ in types]
    lines.append(f"{sum(max(0, run.attempts - 1) for run in runs):>9,}  retries")
    lines.append(f"{len(late):>9,}  late, by {max(late, default=timedelta())} at most")
    lines.append(f"{sum(len(fires) for fires in found.missed.values()):>9,}  fires missed")
    lines.append(f"digest {found.digest}")
    return lines


def _spoken(time: timedelta) -> str:
    """A time in whole days, where it is."""
    return f"{time.days} days" if not time % timedelta(days=1) else str(time)
