"""Owed hooks: a run that ended without its engine has its hooks called in a process of their own."""

from __future__ import annotations

from logging import ERROR, INFO, WARNING

import trio
from attrs import evolve

from trioflow.client.link import serve_link
from trioflow.infrastructure.infrastructure import ExitReport, RunningProcess
from trioflow.runner.child import HOOK_LATE_SECONDS, LEAVE_SECONDS, ChildClient
from trioflow.runner.command import engine_command
from trioflow.runner.output import OutputLog
from trioflow.runner.run_log import RunLog
from trioflow.runner.supervise import Place
from trioflow.runner.witness import GuardedWitness
from trioflow.wire.replies import OwedHooks


async def call_owed(owed: OwedHooks, place: Place, *, entrypoint: str | None = None) -> None:
    """Have these hooks called. Returns when their process is gone; whatever it did, no state changes.

    Who called them says so itself (SETTLE_HOOKS). If nobody did, they stay owed. The process of a hook that has not
    ended when its time and the grace are over, since it blocks its own loop, is gone by then.
    """
    run = evolve(owed.run, state=owed.state, hooked=frozenset({owed.state.type}))
    log = RunLog(run=run, runner_name=place.runner_name, client=place.client, level=place.settings.log_level)
    await log.say(INFO, f"Calling the hooks for state {owed.state.name!r} in a process of their own...")
    try:
        report = await _called(evolve(owed, run=run), place, entrypoint, log)
    except Exception as error:  # noqa: BLE001 - whatever hooks do, the runner goes on
        await log.say(ERROR, "The hooks could not be called.", error)
    else:
        if report is not None and report.status:
            told = f"The process of the hooks exited with status code: {report.status}. {report.explanation}"
            await log.say(ERROR, told.rstrip())


async def _called(owed: OwedHooks, place: Place, entrypoint: str | None, log: RunLog) -> ExitReport | None:
    """How their process ended by itself; None if it took too long."""
    settings, witness = place.settings, GuardedWitness(place.witness)
    child = ChildClient(place.client, owed.run, witness, settings, calls_hooks=True)
    child.leave_within(settings.start_seconds + LEAVE_SECONDS)
    command = engine_command(owed.run, settings, entrypoint=entrypoint, hooks_of=owed.version)
    output = OutputLog(owed.run, place.client, witness)
    async with trio.open_nursery() as nursery:
        process: RunningProcess = await nursery.start(place.infrastructure.run, command, output.take)
        nursery.start_soon(serve_link, process.take_link(), child)
        with child.leaving:
            return await process.wait()
        process.request_stop(0.0, max(0.0, settings.grace_seconds - HOOK_LATE_SECONDS))
        await process.wait()
        await log.say(WARNING, "The hooks took too long; their process was ended.")
    return None
