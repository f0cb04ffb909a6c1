"""Flow runs: one run of a flow, from PENDING to its recorded outcome; root runs and subflows alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, final

from attrs import define, evolve, field

from trioflow import clock
from trioflow.core.lifecycle import Step, Stop, start
from trioflow.core.runs import FlowRun
from trioflow.core.states import State, StateType
from trioflow.core.verdicts import Verdict
from trioflow.engine.call import Ended, call
from trioflow.engine.context import FlowRunContext, inside
from trioflow.engine.crashes import last_words
from trioflow.engine.drive import call_hooks, drive, live, log_end, sendable, taken_down
from trioflow.engine.endings import flow_run_ended, recorded
from trioflow.engine.logs import RunLogger, speaking_as
from trioflow.engine.naming import NameTemplate, run_name
from trioflow.engine.results import Raised, Recorder
from trioflow.engine.sessions import Session
from trioflow.errors import LinkClosed, RunAborted, StoreError
from trioflow.wire.endpoints import PROPOSE_FLOW_RUN_STATE, RENAME_RUN, SETTLE_HOOKS
from trioflow.wire.requests import ProposeFlowRunState, RenameRun, SettleHooks

if TYPE_CHECKING:
    from trioflow.engine.flows import Flow

_GOES_ON_LATER = frozenset({StateType.PAUSED, StateType.SUSPENDED})


@define(eq=False, kw_only=True)
class OwnedFlowRun(ABC):
    """A flow run that this process owns, and takes to where nothing more is to be done here."""

    run: FlowRun
    session: Session
    recorder: Recorder
    logger: RunLogger
    _taken_down: Stop = field(default=Stop(None), init=False)
    """What became of it when something else than its own code ended it."""

    async def to_its_end(self, first: Step | None = None) -> State:
        """Drive it, from this step or from the beginning; the state that it ended in.

        Raises:
            RunAborted: the orchestrator refused to go on with it; another process owns it, usually.
            BaseException: what is nobody's outcome, a cancellation from outside or an interrupt. It has been reported.
        """
        with self.session.cancellable(self.run.id):
            return self._stopped(await self._driven(first or start()))
        return self._stopped(self._taken_down)

    async def _driven(self, step: Step) -> Stop:
        try:
            return await drive(self, step)
        except BaseException as error:
            self._taken_down = await taken_down(self, error)
            raise

    def _stopped(self, stop: Stop) -> State:
        state = stop.state
        if state is None or (
            stop.reason is not None and not state.is_final and state.type not in _GOES_ON_LATER
        ):
            raise RunAborted(f"flow run {self.run.name!r} cannot go on here: {stop.reason}")
        if state.is_final:
            log_end(self, state)
        return state

    # --- Driven

    @property  # noqa: B027 - its answer is None
    def line(self) -> None:
        """Flow runs wait for no slots."""

    async def propose(self, state: State) -> Verdict:
        """The verdict on this state."""
        request = ProposeFlowRunState(
            run_id=self.run.id,
            state=sendable(state),
            transition_id=clock.new_id(),
            epoch=self.session.epoch,
            draw=clock.draw(),
        )
        answer = await self.session.client.call(PROPOSE_FLOW_RUN_STATE, request)
        self.run = answer.run
        return await live(answer.verdict, state, self.recorder, f"flow run {self.run.name!r}")

    @abstractmethod
    async def entered(self, state: State) -> None:
        """It has come into this state by what was proposed here."""

    @abstractmethod
    async def call(self, state: State) -> State:
        """Call the flow's function: the state to propose next."""


@final
@define(eq=False, kw_only=True)
class FlowRunDrive(OwnedFlowRun):
    """A flow run, with the flow that it is a run of."""

    flow: Flow[..., Any]
    parameters: Mapping[str, Any]
    """What the function is called with, by name."""
    _calls: int = 0
    """How often the function was called here: once, and once for each retry."""

    async def refused(self, state: State) -> State:
        """The end of a run that was created FAILED, because its parameters do not fit."""
        self.logger.error("%s", state.message)
        self.logger.error("Flow run %r received invalid parameters and is marked as failed.", self.run.name)
        await self.entered(state)
        log_end(self, state)
        return state

    # --- Driven

    async def entered(self, state: State) -> None:
        """Call the flow's hooks for this state; those for RUNNING at the first time only."""
        if state.type is StateType.RUNNING and self._calls:
            return
        await call_hooks(self, self.flow.options.hooks, state, {"flow": self.flow, "flow_run": self.run})
        if state.type in self.run.hooked:
            await self._settle_hooks()

    async def _settle_hooks(self) -> None:
        """Say that they were called, or else a runner has that done once more."""
        with last_words(self.session.settings.grace_seconds):
            try:
                request = SettleHooks(run_id=self.run.id, version=self.run.version)
                await self.session.client.call(SETTLE_HOOKS, request)
            except (LinkClosed, StoreError) as error:
                self.logger.warning("Hooks may be called again: %s", error)

    async def call(self, state: State) -> State:
        """Call the flow's function: the state to propose next."""
        options = self.flow.options
        self._calls += 1
        context = FlowRunContext(
            session=self.session,
            recorder=self.recorder,
            logger=self.logger,
            flow=self.flow,
            run=self.run,
        )
        with inside(context):
            ended = await self._ended(context)
            state = await flow_run_ended(ended, context.children)
        return await recorded(state, self.recorder, persist=options.persist)

    async def _ended(self, context: FlowRunContext) -> Ended:
        options = self.flow.options
        try:
            with speaking_as(self.logger, options.log_prints):
                await self._rename(options.run_name)
            context.run = self.run
        except Exception as error:  # noqa: BLE001 - the outcome of user code: the template, or the function
            return self._logged(Raised(error))
        args, kwargs = self.flow.binding.arguments(self.parameters)
        self.logger.debug("Executing flow %r for flow run %r...", self.flow.name, self.run.name)
        self.logger.debug(*self._beginning(args, kwargs))
        ended = await call(partial(self._body, context, args, kwargs), context, options.timeout, "Flow run")
        return self._logged(ended)

    async def _body(self, context: FlowRunContext, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The function's body, in its nursery: what it needs is opened in this order, and closed in reverse (FL-17)."""
        context.start_task_runner()
        with speaking_as(self.logger, self.flow.options.log_prints):
            return await self.flow.body(*args, **kwargs)

    def _beginning(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
        if not self.session.settings.debug:
            return ("Beginning execution...",)
        shown = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
        return ("Executing %s(%s)", self.flow.name, ", ".join(shown))

    def _logged(self, ended: Ended) -> Ended:
        if isinstance(ended, Raised):
            self.logger.error("Encountered exception during execution:", exc_info=ended.exception)
        return ended

    async def _rename(self, template: NameTemplate | None) -> None:
        if template is None or self._calls > 1:
            return
        name = run_name(template, self.parameters)
        await self.session.client.call(RENAME_RUN, RenameRun(run_id=self.run.id, name=name))
        self.logger.info("Renamed flow run %r to %r", self.run.name, name)
        self.logger.rename(name)
        self.run = evolve(self.run, name=name)
