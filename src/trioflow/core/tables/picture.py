"""A table as a drawing: the ten types, an arrow for each step that may be accepted. SVG, written by hand.

The types at work stand in a ring inside one box, so that all steps among them can be straight lines; what they share
(ending, being cancelled) is one arrow from the box. A solid arrow is always accepted; a dashed one asks rules, which its
tooltip names.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import hypot

from attrs import frozen

from trioflow.core.states import FINAL_TYPES, StateType
from trioflow.core.tables.draw import AT_WORK, Steps
from trioflow.core.tables.grid import Closed, Row, Table

WIDTH, HEIGHT = 940, 500
BOX = 136, 40
"""Width and height of a type's box."""

BASELINE = 4.5
"""How far below its middle a line of text stands."""

CENTRES = {
    StateType.PENDING: (270, 110),
    StateType.RUNNING: (436, 205),
    StateType.PAUSED: (376, 340),
    StateType.SUSPENDED: (184, 340),
    StateType.SCHEDULED: (104, 205),
    StateType.CANCELLING: (662, 110),
    StateType.CANCELLED: (840, 110),
    StateType.COMPLETED: (840, 190),
    StateType.FAILED: (840, 265),
    StateType.CRASHED: (840, 340),
}
AT_WORK_BOX = 20, 60, 500, 330
OVER_BOX = 760, 60, 160, 330

FILLS = {
    StateType.RUNNING: "#dbeafe",
    StateType.CANCELLING: "#fef3c7",
    StateType.CANCELLED: "#e5e7eb",
    StateType.COMPLETED: "#dcfce7",
    StateType.FAILED: "#fee2e2",
    StateType.CRASHED: "#fee2e2",
}

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2937; text-anchor: middle }
  .title { font-size: 17px; font-weight: 600; text-anchor: start }
  .note { fill: #6b7280; font-size: 12px; text-anchor: start }
  .step { fill: #4b5563; font-size: 12px; font-style: italic }
  .frame { fill: #f9fafb; stroke: #d1d5db }
  .type { stroke: #4b5563; stroke-width: 1.2 }
  .birth { fill: #111827 }
  path { fill: none; stroke: #4b5563; stroke-width: 1.4; marker-end: url(#head) }
  .ruled { stroke-dasharray: 5 4 }
"""


@frozen
class Point:
    """A place in the drawing, in its units from the upper left."""

    x: float
    y: float

    def __str__(self) -> str:
        return f"{self.x:.1f} {self.y:.1f}"


def svg(table: Table) -> str:
    """The drawing, as one SVG document that needs no other file."""
    steps = Steps(table)
    parts = [*_frames(table), *_arrows(steps), *_boxes(steps), *_notes()]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
    marker = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" style="fill:#4b5563;stroke:none;marker-end:none"/></marker>'
    )
    title = f"<title>What may become of {escape(table.name)}</title>"
    background = f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fff"/>'
    start = [head, title, f"<style>{STYLE}</style>", f"<defs>{marker}</defs>", background]
    return "\n".join([*start, *parts, "</svg>", ""])


# --- the boxes


def _frames(table: Table) -> Iterator[str]:
    yield f'<text class="title" x="20" y="32">{escape(table.name.capitalize())}</text>'
    for (x, y, width, height), name in ((AT_WORK_BOX, "at work"), (OVER_BOX, "over")):
        yield f'<rect class="frame" x="{x}" y="{y}" width="{width}" height="{height}" rx="10"/>'
        yield f'<text class="note" x="{x + 14}" y="{y + 20}">{name}</text>'


def _boxes(steps: Steps) -> Iterator[str]:
    births, repeats = steps.births(), steps.repeats()
    for type_, (x, y) in CENTRES.items():
        width, height = BOX
        left, top = x - width / 2, y - height / 2
        fill = FILLS.get(type_, "#fff")
        box = f'x="{left:g}" y="{top:g}" width="{width}" height="{height}" rx="{height / 2:g}"'
        yield f'<rect class="type" {box} fill="{fill}"/>'
        yield f'<text x="{x}" y="{y + BASELINE}">{type_}</text>'
        if type_ in births:
            yield f'<circle class="birth" cx="{left + 14:g}" cy="{y}" r="4">{_tip(steps, None, type_)}</circle>'
        if type_ in repeats:
            yield f'<text x="{left + width - 14:g}" y="{y + BASELINE}">↻{_tip(steps, type_, type_)}</text>'


def _notes() -> Iterator[str]:
    notes = (
        "● a new run may begin here",
        "↻ may be written once more",
        "solid: always accepted",
        "dashed: rules decide",
    )
    for n, note in enumerate(notes):
        yield f'<text class="note" x="{32 + 215 * n}" y="{HEIGHT - 24}">{note}</text>'


# --- the arrows


def _arrows(steps: Steps) -> Iterator[str]:
    for from_, to in steps.moves():
        both_ways = steps.is_open(to, from_)
        yield _straight(steps, from_, to, aside=4.0 if both_ways else 0.0)
    yield from _shared(steps)
    for to in steps.last_words():
        if to is not StateType.CANCELLING:
            yield _straight(steps, StateType.CANCELLING, to, aside=0.0)
    if steps.reruns():
        yield from _rerun(steps)


def _straight(steps: Steps, from_: StateType, to: StateType, *, aside: float) -> str:
    """An arrow between two boxes; ``aside`` moves it to its right-hand side, to leave room for the one coming back."""
    (x1, y1), (x2, y2) = CENTRES[from_], CENTRES[to]
    length = hypot(x2 - x1, y2 - y1)
    dx, dy = -(y2 - y1) / length * aside, (x2 - x1) / length * aside
    start, end = Point(x1 + dx, y1 + dy), Point(x2 + dx, y2 + dy)
    return _path(f"M{_edge(start, end)}L{_edge(end, start)}", steps, from_, to)


def _edge(centre: Point, other: Point) -> Point:
    """Where the line from a box's centre to another point leaves the box."""
    dx, dy = other.x - centre.x, other.y - centre.y
    width, height = BOX
    scale = min(width / 2 / abs(dx) if dx else 9e9, height / 2 / abs(dy) if dy else 9e9)
    return Point(centre.x + dx * scale, centre.y + dy * scale)


def _shared(steps: Steps) -> Iterator[str]:
    """What all types at work may step into: one arrow to CANCELLING, one to the box of those that are over."""
    x, _, width, _ = AT_WORK_BOX
    exits = steps.exits()
    ends = [type_ for type_ in exits if type_ in FINAL_TYPES]
    left, middle = CENTRES[StateType.CANCELLING][0] - BOX[0] / 2, CENTRES[StateType.CANCELLING][1]
    arrows = [
        ("cancel", [StateType.CANCELLING], middle, left),
        ("end", ends, CENTRES[StateType.FAILED][1], OVER_BOX[0]),
    ]
    for name, columns, y, end in arrows:
        if set(columns) <= set(exits):
            ruled = any(steps.has_rules(row, column) for row in AT_WORK for column in columns)
            style = ' class="ruled"' if ruled else ""
            yield f'<path d="M{x + width} {y}H{end:g}"{style}/>'
            yield f'<text class="step" x="{(x + width + end) / 2:g}" y="{y - 8}">{name}</text>'


def _rerun(steps: Steps) -> Iterator[str]:
    """The way back, around below everything, with the rule that guards it."""
    to = steps.table.rerun
    x, y = CENTRES[to]
    outwards = -36 if x < CENTRES[StateType.PENDING][0] else 36
    left, top, width, height = OVER_BOX
    start = Point(left + width / 2, top + height)
    way = f"M{start}V{HEIGHT - 68}Q{start.x} {HEIGHT - 56} {start.x - 12} {HEIGHT - 56}H{x + outwards + 12}"
    way += f"Q{x + outwards} {HEIGHT - 56} {x + outwards} {HEIGHT - 68}V{y + BOX[1] / 2:g}"
    yield _path(way, steps, StateType.FAILED, to)
    match steps.table.cell(StateType.FAILED, to):
        case (first, *_):
            yield f'<text class="step" x="620" y="{HEIGHT - 64}">{escape(first.name.replace("_", " "))}</text>'
        case _:
            pass


def _path(way: str, steps: Steps, from_: StateType, to: StateType) -> str:
    ruled = ' class="ruled"' if steps.has_rules(from_, to) else ""
    return f'<path d="{way}"{ruled}>{_tip(steps, from_, to)}</path>'


def _tip(steps: Steps, from_: Row, to: StateType) -> str:
    match steps.table.cell(from_, to):
        case Closed():
            names = "closed"
        case rules:
            names = ", ".join(rule.name.replace("_", " ") for rule in rules) or "always"
    return f"<title>{from_ or 'new'} → {to}: {escape(names)}</title>"
