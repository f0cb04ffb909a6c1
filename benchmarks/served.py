"""What serving costs: until a run's first line, from its cancellation to the end of its process, for each task."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from trioflow.serving import Serving

FLOWS = """
import os
import time

import trio

from trioflow import flow, task


@flow
async def first_line(path: str) -> None:
    with open(path, "w") as file:
        file.write(repr(time.time()))


@flow
async def forever(path: str) -> None:
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    await trio.sleep_forever()


@task
async def nothing(i: int) -> int:
    return i


@flow
async def all_at_once(path: str, n: int) -> None:
    await nothing(-1)
    wall, cpu = time.perf_counter(), time.process_time()
    for future in [nothing.submit(i) for i in range(n)]:
        await future
    with open(path, "w") as file:
        file.write(f"[{time.perf_counter() - wall}, {time.process_time() - cpu}]")


@flow
async def empty() -> None:
    pass
"""


def serve_latency(n: int, _group: int) -> tuple[float, float]:
    """N times: asked for a run, how long until its flow's first line runs, in a process that was not there before."""

    async def measure(serving: Serving, said: Path) -> tuple[float, float]:
        total = 0.0
        for _ in range(n):
            asked = time.time()
            await _run(serving, 0, path=str(said))
            total += float(said.read_text()) - asked
        return total, _children_cpu()

    return _serving(measure, "first_line")


def cancel_latency(n: int, _group: int) -> tuple[float, float]:
    """N times: asked to cancel a run that sleeps, how long until its process is gone."""

    async def measure(serving: Serving, said: Path) -> tuple[float, float]:
        from trioflow.cli.cancelling import request_cancel

        total = 0.0
        for _ in range(n):
            said.unlink(missing_ok=True)
            run_id = await _ask(serving, 0, path=str(said))
            while not (said.exists() and (pid := said.read_text())):
                await trio.sleep(0.01)
            asked = time.perf_counter()
            await request_cancel(serving.client, run_id, "A benchmark.")
            while Path("/proc", pid).exists():
                await trio.sleep(0.001)
            total += time.perf_counter() - asked
        return total, _children_cpu()

    return _serving(measure, "forever")


def served_tasks(n: int, _group: int) -> tuple[float, float]:
    """N no-op tasks at once in one served run, whose process speaks to the runner over the link."""

    async def measure(serving: Serving, said: Path) -> tuple[float, float]:
        await _run(serving, 0, path=str(said), n=n)
        wall, cpu = json.loads(said.read_text())
        return wall, cpu

    return _serving(measure, "all_at_once")


def served_runs(n: int, _group: int) -> tuple[float, float]:
    """N served runs, four at a time; tells the runner's memory on the way."""

    async def measure(serving: Serving, _said: Path) -> tuple[float, float]:
        wall = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for worker in range(4):
                nursery.start_soon(_some_runs, serving, range(worker, n, 4))
        return time.perf_counter() - wall, _children_cpu()

    return _serving(measure, "empty")


async def _some_runs(serving: Serving, numbers: range) -> None:
    for number in numbers:
        await _run(serving, 0)
        if number % 200 == 0:
            print(json.dumps({"runs": number, "runner_rss_mb": _rss_mb()}), file=sys.stderr)


def _serving(
    measure: Callable[[Serving, Path], Awaitable[tuple[float, float]]], name: str
) -> tuple[float, float]:
    home = Path(os.environ["TRIOFLOW_HOME"])
    flows = home / "flows.py"
    flows.write_text(FLOWS)
    answer = (0.0, 0.0)

    async def main() -> None:
        from trioflow import FlowDeployment
        from trioflow.serving import aserve

        nonlocal answer
        deployment = FlowDeployment.from_entrypoint(f"{flows}:{name}", "bench")
        async with trio.open_nursery() as nursery:
            serving = await nursery.start(partial(aserve, deployment, limit=8))
            answer = await measure(serving, home / "said")
            nursery.cancel_scope.cancel()

    trio.run(main)
    return answer


async def _ask(serving: Serving, which: int, **parameters: Any) -> Any:
    from trioflow import clock
    from trioflow.wire.endpoints import CREATE_DEPLOYMENT_RUN
    from trioflow.wire.requests import CreateDeploymentRun

    request = CreateDeploymentRun(
        id=clock.new_id(),
        deployment_id=serving.deployment_ids[which],
        transition_id=clock.new_id(),
        name="bench",
        parameters=parameters,
    )
    return (await serving.client.call(CREATE_DEPLOYMENT_RUN, request)).run.id


async def _run(serving: Serving, which: int, **parameters: Any) -> None:
    from trioflow.wire.filters import ChangeFilter

    after = await serving.client.now()
    run_id = await _ask(serving, which, **parameters)
    of_it = ChangeFilter(root_ids=frozenset({run_id}))
    ended: list[str] = []
    while not ended:
        news = await serving.client.changes(after, of_it)
        after = news.last
        ended = [change.name for change in news.items if change.run_id == run_id and change.type.is_final]
    if set(ended) != {"Completed"}:
        raise RuntimeError(f"the run ended {ended}")


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
