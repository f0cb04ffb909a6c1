"""Charts as SVG texts: columns over days, with marks. Knows numbers and words, not what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from attrs import field, frozen

WIDTH, HEIGHT = 1040, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 14, 26
_LINES = 4


@frozen(kw_only=True)
class Mark:
    """A column that means something by itself: a night of 23 or 25 hours, a day on which nobody served."""

    column: int
    text: str
    style: str


@frozen(kw_only=True)
class Columns:
    """One chart: a column for each day, of one or more parts that stand on each other."""

    title: str
    unit: str
    """What the numbers count."""
    labels: Sequence[str]
    """What each column is called: a date."""
    parts: Sequence[tuple[str, str, Sequence[float]]]
    """Name, class and numbers of each part, the lowest first."""
    marks: Sequence[Mark] = field(factory=list[Mark])
    ticks: Sequence[tuple[int, str]] = field(factory=list[tuple[int, str]])
    """Columns that have a name below them: the first day of each month."""


def drawn(chart: Columns) -> str:
    """The chart, as an ``svg`` element."""
    count = max(1, len(chart.labels))
    sums = [sum(numbers[column] for _, _, numbers in chart.parts) for column in range(len(chart.labels))]
    top = _round_up(max(sums, default=0.0))
    step = (WIDTH - _LEFT - _RIGHT) / count
    lines = [_axis(top, chart.unit), *(_tick(tick, text, step) for tick, text in chart.ticks)]
    lines += [_marked(mark, step) for mark in chart.marks]
    lines += [_column(chart, column, step, top) for column in range(len(chart.labels)) if sums[column]]
    lines += [_named(mark, step) for mark in chart.marks]
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}"'
    return f"<svg {box}>{''.join(lines)}</svg>"


def _column(chart: Columns, column: int, step: float, top: float) -> str:
    told: list[str] = []
    base = float(HEIGHT - _BOTTOM)
    names = ", ".join(f"{numbers[column]:g} {name}" for name, _, numbers in chart.parts if numbers[column])
    for _, class_, numbers in chart.parts:
        height = numbers[column] / top * (HEIGHT - _TOP - _BOTTOM)
        base -= height
        if height:
            x, width = _LEFT + column * step, max(0.8, step - (0.6 if step > 2 else 0.0))
            told.append(
                f'<rect class="{class_}" x="{x:.2f}" y="{base:.2f}" width="{width:.2f}" height="{height:.2f}"/>'
            )
    return f"<g>{''.join(told)}<title>{escape(chart.labels[column])}: {escape(names)}</title></g>"


def _axis(top: float, unit: str) -> str:
    told: list[str] = []
    for line in range(_LINES + 1):
        y = HEIGHT - _BOTTOM - line / _LINES * (HEIGHT - _TOP - _BOTTOM)
        told.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        told.append(f'<text class="number" x="{_LEFT - 6}" y="{y + 3.5:.1f}">{top * line / _LINES:g}</text>')
    told.append(f'<text class="unit" x="{_LEFT}" y="{_TOP - 4}">{escape(unit)}</text>')
    return "".join(told)


def _tick(column: int, text: str, step: float) -> str:
    x = _LEFT + column * step
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT - _BOTTOM}" y2="{HEIGHT - _BOTTOM + 4}"/>'
        f'<text class="tick" x="{x + 2:.1f}" y="{HEIGHT - _BOTTOM + 15}">{escape(text)}</text>'
    )


def _marked(mark: Mark, step: float) -> str:
    x, width = _LEFT + mark.column * step, max(step, 2.0)
    return (
        f'<rect class="{mark.style}" x="{x:.2f}" y="{_TOP}" width="{width:.2f}" height="{HEIGHT - _TOP - _BOTTOM}">'
        f"<title>{escape(mark.text)}</title></rect>"
    )


def _named(mark: Mark, step: float) -> str:
    x = _LEFT + mark.column * step
    return f'<text class="name {mark.style}-name" x="{x + 4:.1f}" y="{_TOP - 4}">{escape(mark.text)}</text>'


def _round_up(number: float) -> float:
    """The next number that can be read off an axis of four lines."""
    scale = 4.0
    while scale < number:
        scale *= 2 if f"{scale:g}"[0] in "48" else 2.5
    return scale
