"""Runners with a run in hand, and their children: what they ask, and how they go on once they are told."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from tests.property.model.judged import FLOW, FLOW_RUN, Asked, Judged, Kind, Part, plain
from trioflow.core.lifecycle import Call, Propose, Sleep, Step, Stop, start
from trioflow.core.recorded import RecordedResult
from trioflow.core.runs import FlowRun
from trioflow.core.states import Cancelled, Completed, Failed, StateType
from trioflow.core.verdicts import Accept, Verdict
from trioflow.runner.exits import state_after_exit

ENDED = Completed(data=RecordedResult(serializer="json", inline="1", size=1))


class Phase(Enum):
    CLAIMING = "claiming"
    DRIVING = "driving"
    READING = "reading"
    CLOSING = "closing"


class Runner(NamedTuple):
    """A runner with a run in hand, its child, and what it waits to be told."""

    phase: Phase
    run: int
    epoch: int = 0
    flow: Step | None = None
    task: Step | None = None
    begun: bool = False
    """Whether the task was begun by this child."""
    closing: Asked | None = None
    answered: Verdict | None = None
    """What was written for the request that is under way, whose answer was lost."""


def request_under_way(runner: Runner, pid: int) -> Asked | None:
    """What the runner, or the child, asks now; None if it is not asking."""
    match runner:
        case Runner(phase=Phase.CLAIMING):
            asked = Asked(Kind.CLAIM, owner=pid)
        case Runner(phase=Phase.CLOSING, closing=Asked() as asked):
            pass
        case Runner(phase=Phase.DRIVING, flow=Propose(state)):
            asked = Asked(Kind.PROPOSE, state, runner.epoch)
        case Runner(phase=Phase.DRIVING, flow=Call(), task=Propose(state)):
            asked = Asked(Kind.PROPOSE_TASK if runner.begun else Kind.BEGIN, state, runner.epoch)
        case _:
            return None
    return asked._replace(answered=runner.answered)


def told(runner: Runner, judged: Judged) -> Runner | None:
    """The runner as it goes on once it has the answer; None when it has let go of the run."""
    verdict, runner = judged.verdict, runner._replace(answered=None)
    match runner:
        case Runner(phase=Phase.CLAIMING):
            if not isinstance(verdict, Accept):
                return None
            return runner._replace(phase=Phase.DRIVING, epoch=judged.epoch, flow=start())
        case Runner(phase=Phase.CLOSING):
            return None
        case Runner(flow=Propose() as step):
            flow = step.heard(verdict)
            task = start() if isinstance(flow, Call) else None
            return rested(runner._replace(flow=flow, task=task, begun=False))
        case Runner(task=Propose() as step):
            return rested(runner._replace(task=step.heard(verdict), begun=True))
    raise AssertionError(runner)


def rested(runner: Runner) -> Runner:
    """The runner after what it does without asking anybody."""
    match runner:
        case Runner(flow=Call() as call, task=Stop(state)):
            ended = state is not None and state.is_completed
            outcome = ENDED if ended else Failed()
            if state is not None and state.type is StateType.CANCELLED:
                outcome = Cancelled()
            return runner._replace(flow=call.ended(outcome), task=None)
        case Runner(flow=Stop()):
            return runner._replace(phase=Phase.READING, flow=None, task=None, begun=False)
        case _:
            return runner


def moves_by_itself(runner: Runner, part: Part) -> Iterator[tuple[str, Runner | None]]:
    """What the runner and its child do without asking: sleep, call, read, and notice that the run is cancelled."""
    cancelled = part.state.type is StateType.CANCELLING
    match runner:
        case Runner(phase=Phase.READING):
            yield "read how it stands", concluding(runner, part)
        case Runner(flow=Sleep() as step):
            yield "awake", runner._replace(flow=step.awoke())
        case Runner(flow=Call(), task=Sleep() as step):
            yield "awake", runner._replace(task=step.awoke())
            if cancelled:
                yield "notice the cancel", runner._replace(task=Propose(Cancelled()))
        case Runner(flow=Call(), task=Call() as step):
            yield "end well", runner._replace(task=step.ended(ENDED))
            yield "end badly", runner._replace(task=step.ended(Failed()))
            if cancelled:
                yield "notice the cancel", runner._replace(task=step.ended(Cancelled()))
    if runner.phase is Phase.DRIVING:
        yield "child dies", Runner(Phase.READING, runner.run, runner.epoch)


def concluding(runner: Runner, part: Part) -> Runner | None:
    """What `trioflow.runner.conclude` does next, having read the run."""
    _, epoch, *_ = part.flow
    run = FlowRun(id=FLOW_RUN, flow_id=FLOW, name="run", root_id=FLOW_RUN, state=part.state, epoch=epoch)
    closing = state_after_exit(run, None)
    if closing is not None:
        return runner._replace(phase=Phase.CLOSING, closing=Asked(Kind.CLOSE, plain(closing), runner.epoch))
    if part.state.is_final:
        return None
    return runner._replace(phase=Phase.CLOSING, closing=Asked(Kind.LEAVE, epoch=runner.epoch))
