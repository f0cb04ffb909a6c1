"""The report of a forecast: one page of HTML that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from attrs import frozen

from trioflow.core.states import StateType
from trioflow.spoken import spoken_schedule
from trioflow.testing.simulation.forecast import Forecast, Planned
from trioflow.testing.simulation.svg import Columns, Mark, drawn

_LATE = timedelta(seconds=5)
"""So much later than it was due is late."""
_MOST_ROWS = 200
_DAY = timedelta(days=1)

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --dim: #656d76; --paper: #fff; --line: #d8dee4; --done: #2da44e;
  --failed: #cf222e; --skipped: #bf8700; --other: #6e7781; --blue: #0969da; --night: #8250df; --away: #cf222e }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #8d96a0; --paper: #0d1117; --line: #30363d;
  --done: #3fb950; --failed: #f85149; --skipped: #d29922; --other: #8d96a0; --blue: #4493f8; --night: #a371f7;
  --away: #f85149 } }
body { font: 14px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1080px;
  margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.5em; margin: 0 } h2 { font-size: 1.05em; margin: 2em 0 .3em } p { margin: .3em 0 }
.dim { color: var(--dim) } svg { width: 100%; height: auto; display: block }
.figures { display: flex; flex-wrap: wrap; gap: .8em; margin: 1.2em 0 }
.figures div { border: 1px solid var(--line); border-radius: 6px; padding: .5em .9em; min-width: 7.5em }
.figures b { display: block; font-size: 1.4em; line-height: 1.3; font-variant-numeric: tabular-nums }
.grid { stroke: var(--line); stroke-width: 1 } text { font-size: 10px; fill: var(--dim) }
.number { text-anchor: end } .done { fill: var(--done) } .failed { fill: var(--failed) }
.skipped { fill: var(--skipped) } .other { fill: var(--other) } .blue { fill: var(--blue) }
.night { fill: var(--night); opacity: .35 } .away { fill: var(--away); opacity: .18 }
.night-name { fill: var(--night) } .away-name { display: none }
.legend span { margin-right: 1.2em } .legend i { display: inline-block; width: .8em; height: .8em; border-radius: 2px;
  margin-right: .4em; vertical-align: -1px }
.done-sign { background: var(--done) } .failed-sign { background: var(--failed) }
.skipped-sign { background: var(--skipped) } .night-sign { background: var(--night); opacity: .35 }
.away-sign { background: var(--away); opacity: .18 }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .25em .8em .25em 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--dim); font-weight: 500 } td.n, th.n { text-align: right }
"""


def report_of(forecast: Forecast) -> str:
    """The page."""
    calendar = Calendar.of(forecast)
    parts = [
        _head(forecast, calendar),
        _figures(forecast),
        _legend(calendar),
        *(f"<h2>{escape(chart.title)}</h2>{drawn(chart)}" for chart in _charts(forecast, calendar)),
        _deployments(forecast),
        _table_of_late(forecast, calendar),
        _table_of_missed(forecast, calendar),
    ]
    title = "trioflow simulate"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body>{''.join(parts)}</body></html>\n"
    )


@frozen(kw_only=True)
class Calendar:
    """The days of a forecast, in the zone of its first schedule."""

    zone: ZoneInfo
    first: date
    days: int
    marks: tuple[Mark, ...]

    @classmethod
    def of(cls, forecast: Forecast) -> Calendar:
        """The calendar that most readers of this forecast go by."""
        zones = [each.schedule.zone for one in forecast.deployments for each in one.schedules]
        zone = ZoneInfo(Counter(zones).most_common(1)[0][0] if zones else "UTC")
        start = forecast.season.start.astimezone(zone)
        end = (forecast.season.start + forecast.season.duration).astimezone(zone)
        days = (end.date() - start.date()).days + (1 if end.time() != datetime.min.time() else 0)
        bare = cls(zone=zone, first=start.date(), days=max(1, days), marks=())
        marks = (*bare.nights(), *bare.times_away(forecast))
        return cls(zone=zone, first=start.date(), days=bare.days, marks=marks)

    def column(self, instant: datetime) -> int:
        """Which day it is."""
        return min(max(0, (instant.astimezone(self.zone).date() - self.first).days), self.days - 1)

    def labels(self) -> list[str]:
        """What the days are called."""
        return [f"{self.first + _DAY * day:%a %d %b %Y}" for day in range(self.days)]

    def ticks(self) -> list[tuple[int, str]]:
        """The first days of months; of a few weeks, of weeks."""
        days = [self.first + _DAY * day for day in range(self.days)]
        if self.days > 62:
            last = self.days - self.days // 40  # There is no room for a name at the very end.
            return [(at, f"{day:%b}") for at, day in enumerate(days[:last]) if day.day == 1]
        return [(at, f"{day:%d %b}") for at, day in enumerate(days) if day.weekday() == 0 or self.days < 15]

    def nights(self) -> Iterable[Mark]:
        """The days on which the clocks are set."""
        for day in range(self.days):
            begin, end = (self._midnight(self.first + _DAY * (day + after)) for after in (0, 1))
            hours = (end - begin) / timedelta(hours=1)
            if hours != 24:
                yield Mark(
                    column=day, text=f"{self.first + _DAY * day:%d %b}: {hours:g} hours", style="night"
                )

    def times_away(self, forecast: Forecast) -> Iterable[Mark]:
        """The days on which nobody served."""
        for begin, end in forecast.away:
            for day in range(self.column(begin), self.column(end) + 1):
                yield Mark(column=day, text=f"nobody served from {begin:%d %b %H:%M} UTC on", style="away")

    def told(self, instant: datetime) -> str:
        """An instant, as a clock of the zone shows it."""
        return f"{instant.astimezone(self.zone):%Y-%m-%d %H:%M:%S %Z}"

    def _midnight(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(ZoneInfo("UTC"))


# --- charts


def _charts(forecast: Forecast, calendar: Calendar) -> list[Columns]:
    runs = forecast.runs
    missed = [fire for fires in forecast.missed.values() for fire in fires]
    kinds = (
        ("completed", "done", {StateType.COMPLETED}),
        ("failed or crashed", "failed", {StateType.FAILED, StateType.CRASHED}),
        ("skipped or cancelled", "skipped", {StateType.CANCELLED}),
    )
    parts = [
        (name, style, _days(calendar, [r.due for r in runs if r.type in types]))
        for name, style, types in kinds
    ]
    late = [run for run in runs if run.late > _LATE]
    most_late = [0.0] * calendar.days
    for run in late:
        at = calendar.column(run.due)
        most_late[at] = max(most_late[at], run.late.total_seconds())
    return [
        _chart(calendar, "Runs per day", "runs", parts),
        _chart(calendar, "Overlaps: most runs at once, each day", "runs at once", [_at_once(runs, calendar)]),
        _chart(calendar, "Late runs per day: they waited for a slot, for their turn, or for somebody to serve", "runs",
               [("late", "skipped", _days(calendar, [run.due for run in late]))]),
        _chart(calendar, "Longest wait each day", "seconds", [("seconds", "blue", most_late)]),
        _chart(calendar, "Fires missed per day", "fires", [("missed", "failed", _days(calendar, missed))]),
    ]  # fmt: skip


def _chart(
    calendar: Calendar, title: str, unit: str, parts: Sequence[tuple[str, str, Sequence[float]]]
) -> Columns:
    return Columns(
        title=title,
        unit=unit,
        labels=calendar.labels(),
        parts=parts,
        marks=calendar.marks,
        ticks=calendar.ticks(),
    )


def _days(calendar: Calendar, instants: Iterable[datetime]) -> list[float]:
    counted = Counter(calendar.column(instant) for instant in instants)
    return [float(counted[day]) for day in range(calendar.days)]


def _at_once(runs: Sequence[Planned], calendar: Calendar) -> tuple[str, str, list[float]]:
    """The most runs that went on at one moment of each day."""
    steps = [(run.started, 1) for run in runs if run.started] + [
        (run.ended, -1) for run in runs if run.started and run.ended
    ]
    most, now = [0.0] * calendar.days, 0
    for at, change in sorted(steps, key=lambda step: (step[0], step[1])):
        now += change
        day = calendar.column(at)
        most[day] = max(most[day], float(now))
    return "at once", "blue", most


# --- words


def _head(forecast: Forecast, calendar: Calendar) -> str:
    season = forecast.season
    return (
        f"<h1>trioflow simulate</h1><p class=dim>{calendar.told(season.start)} and {season.duration.days} days on · "
        f"seed {season.seed} · at most {season.limit} runs at once · days of {escape(str(calendar.zone))} · "
        f"digest {forecast.digest[:16]}</p>"
    )


def _figures(forecast: Forecast) -> str:
    runs = forecast.runs
    by_type = Counter(run.type for run in runs)
    late = [run.late for run in runs if run.late > _LATE]
    figures: list[tuple[int | str, str]] = [
        (len(runs), "runs"),
        (by_type[StateType.COMPLETED], "completed"),
        (by_type[StateType.FAILED] + by_type[StateType.CRASHED], "failed"),
        (by_type[StateType.CANCELLED], "skipped or cancelled"),
        (sum(max(0, run.attempts - 1) for run in runs), "retries"),
        (len(late), "late"),
        (_spoken(max(late, default=timedelta())), "longest wait"),
        (sum(len(fires) for fires in forecast.missed.values()), "fires missed"),
    ]
    boxes = "".join(f"<div><b>{_figure(value)}</b>{name}</div>" for value, name in figures)
    return f'<div class="figures">{boxes}</div>'


def _figure(value: int | str) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def _legend(calendar: Calendar) -> str:
    styles = {mark.style for mark in calendar.marks}
    told = [("done", "completed"), ("failed", "failed, missed"), ("skipped", "skipped, cancelled, late")]
    told += [("night", "the clocks are set")] if "night" in styles else []
    told += [("away", "nobody serves")] if "away" in styles else []
    spans = "".join(f'<span><i class="{name}-sign"></i>{text}</span>' for name, text in told)
    return f'<p class="legend dim">{spans}</p>'


def _deployments(forecast: Forecast) -> str:
    rows: list[str] = []
    for deployment in forecast.deployments:
        name = deployment.full_name
        runs = [run for run in forecast.runs if run.deployment == name]
        schedules = ", ".join(
            f"{spoken_schedule(each.schedule)}, overlap {each.overlap}, catch-up {each.catch_up}"
            for each in deployment.schedules
        )
        numbers = (
            len(runs),
            sum(run.type is StateType.COMPLETED for run in runs),
            sum(run.late > _LATE for run in runs),
            len(forecast.missed.get(name, ())),
        )
        cells = "".join(f"<td class=n>{number:,}</td>" for number in numbers)
        rows.append(f"<tr><td>{escape(name)}</td><td>{escape(schedules or 'no schedule')}</td>{cells}</tr>")
    head = "<th>deployment</th><th>schedules</th>" + "".join(
        f"<th class=n>{each}</th>" for each in ("runs", "completed", "late", "missed")
    )
    return f"<h2>Deployments</h2><table><tr>{head}</tr>{''.join(rows)}</table>"


def _table_of_late(forecast: Forecast, calendar: Calendar) -> str:
    late = sorted((run for run in forecast.runs if run.late > _LATE), key=lambda run: run.late, reverse=True)
    rows = [(run.deployment, calendar.told(run.due), _spoken(run.late)) for run in late]
    return _table("The latest runs", ("deployment", "due", "late by"), rows)


def _table_of_missed(forecast: Forecast, calendar: Calendar) -> str:
    rows = [(name, calendar.told(fire)) for name, fires in forecast.missed.items() for fire in fires]
    return _table("Missed fires", ("deployment", "due"), rows)


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    shown = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[:_MOST_ROWS]
    )
    more = f"<p class=dim>and {len(rows) - _MOST_ROWS:,} more</p>" if len(rows) > _MOST_ROWS else ""
    head = "".join(f"<th>{each}</th>" for each in heads)
    return f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{shown}</table>{more}"


def _spoken(time: timedelta) -> str:
    return str(timedelta(seconds=round(time.total_seconds())))
