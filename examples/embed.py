"""A Trio program that serves flows beside a service of its own, and ends both cleanly.

A tiny TCP service counts words; a flow, run every five seconds in a process of its own, asks it and records the answer.
Both are children of one nursery:

    python examples/embed.py            # Ctrl-C ends it

When the nursery is cancelled nothing is left of either: no task, thread, socket or process.
"""

from __future__ import annotations

import signal
from functools import partial

import trio

import trioflow
from trioflow import flow, task

HOST, PORT = "127.0.0.1", 8790
TEXT = "durable supervised workflows on trio\n"


# --- the program's own service


async def count_words(stream: trio.SocketStream) -> None:
    """Answer each line with the number of its words."""
    async for chunk in stream:
        for line in chunk.splitlines():
            await stream.send_all(f"{len(line.split())}\n".encode())


# --- a flow that uses it, in another process


@task(retries=3, retry_delay_seconds=0.2)
async def ask(text: str, port: int) -> int:
    """How many words the service counts."""
    async with await trio.open_tcp_stream(HOST, port) as stream:
        await stream.send_all(text.encode())
        return int(await stream.receive_some(100))


@flow(log_prints=True)
async def check_service(port: int = PORT) -> int:
    """Ask the service once, and say what it answered."""
    words = await ask(TEXT, port)
    print(f"the service counts {words} words")
    return words


# --- both in one nursery


async def main(port: int = PORT) -> None:
    """Serve both until a signal comes."""
    deployment = check_service.to_deployment("every-5-s", interval=5, parameters={"port": port})
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(trio.serve_tcp, count_words, port, host=HOST))
            serving = await nursery.start(trioflow.aserve, deployment)
            print(f"counting words on {HOST}:{port}; serving {deployment.full_name} as {serving.runner.name}")
            async for _ in signals:
                print("ending both")
                nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
