"""Says what was asked and answered, a line a step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from trioflow.core.decisions import Edit
from trioflow.core.runs import NO_RETRIES
from trioflow.core.states import State
from trioflow.core.verdicts import Abort, Accept, Reject, Wait

if TYPE_CHECKING:
    from trioflow.testing.checking.birth import Birth
    from trioflow.testing.checking.world import Asked


def spoken(answer: object) -> str:
    """What a rule or a table has answered, as short as it can be told apart."""
    match answer:
        case None:
            return "nothing"
        case Wait(delay, reason):
            return f"Wait({delay} s, {reason!r})"
        case Abort(reason):
            return f"Abort({reason!r})"
        case Reject(state, reason, written):
            return f"Reject({'written ' if written else ''}{shown(state)}, {reason!r})"
        case Accept():
            return "Accept"
        case Edit():
            return f"Edit({_edited(answer)})"
        case _:
            return repr(answer)


def shown(state: State | None) -> str:
    """``SCHEDULED Late``, ``RUNNING``, ``no state``: the type, and the name where it says more."""
    if state is None:
        return "no state"
    plain = str(state.type).capitalize()
    return f"{state.type}" if state.name == plain else f"{state.type} {state.name}"


def transitions(steps: Iterable[Asked]) -> list[str]:
    """A line for each step; one that is asked again and again, and answered alike, is told once, with how often."""
    lines: dict[object, str] = {}
    times: dict[object, int] = {}
    for step in steps:
        proposal = step.proposal
        from_ = proposal.run.state.type if proposal.run.state else None
        alike = (step.number, from_, shown(proposal.state), type(step.verdict))
        lines.setdefault(alike, _line(step))
        times[alike] = times.get(alike, 0) + 1
    return [line if times[alike] == 1 else f"{line}  (×{times[alike]})" for alike, line in lines.items()]


def _line(step: Asked) -> str:
    proposal = step.proposal
    flags = ["by an operator"] if proposal.epoch is None and not proposal.new_owner else []
    if proposal.rerun and proposal.run.state and proposal.run.state.is_final:
        flags.append("rerun")
    if proposal.force:
        flags.append("force")
    told = f" ({', '.join(flags)})" if flags else ""
    answer = "no answer" if step.verdict is None else spoken(step.verdict)
    return f"{proposal.run.name}: {shown(proposal.run.state)} → {shown(proposal.state)}{told}: {answer}"


def begun(birth: Birth) -> str:
    """What kind of world it was, as far as it is not the plainest one."""
    tasks = [f"a task run with tags {_set(tags)}" if tags else "a task run" for tags in birth.tasks]
    if birth.lonely and tasks:
        tasks[-1] += " outside of any flow"
    limits = [f"tag {tag!r} limited to {limit}" for tag, limit in birth.limits.items()]
    told = [birth.role.value, *tasks, *limits]
    if birth.tags:
        told.append(f"tags {_set(birth.tags)}")
    if birth.parameters:
        told.append(f"parameters {dict(birth.parameters)!r}")
    if birth.retry != NO_RETRIES:
        told.append(f"retries {birth.retry.retries}{' (crashes too)' if birth.retry.on_crash else ''}")
    if not birth.owned:
        told.append("not owned")
    return f"{', '.join(told)}; at {birth.start:%A %Y-%m-%d %H:%M} UTC"


def _edited(edit: Edit) -> str:
    said = [f"state={shown(edit.state)}"] if edit.state else []
    said += [f"{name}={value!r}" for name, value in edit.run.items()]
    return ", ".join(said + [str(effect) for effect in edit.effects])


def _set(values: Iterable[str]) -> str:
    return "{" + ", ".join(repr(value) for value in sorted(values)) + "}"
