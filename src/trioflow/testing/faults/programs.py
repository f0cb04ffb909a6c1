"""Programs that misbehave, for tests with real processes: each function gives a command to start one.

They need nothing but this Python, and say ``ready`` on their standard output as soon as they do what they are for.
"""

from __future__ import annotations

import sys

_IGNORES = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True:
    signal.pause()
"""

_FORKS = """
import os, signal, sys
if child := os.fork():
    print("ready", child, flush=True)
    sys.exit()
os.setsid()
signal.alarm(int(sys.argv[1]))
while True:
    signal.pause()
"""

_CLOSES = """
import os, signal, sys
print("ready", flush=True)
os.close(1)
os.close(2)
signal.alarm(int(sys.argv[1]))
while True:
    signal.pause()
"""

_FLOODS = """
import os, sys
line = b"ready" + b"x" * 8186 + b"\\n"
for _ in range(int(sys.argv[1]) // len(line)):
    os.write(1, line)
"""


def ignore_sigterm() -> list[str]:
    """A program that only SIGKILL ends."""
    return _command(_IGNORES)


def fork_and_exit(seconds: int = 60) -> list[str]:
    """A program that ends well at once, and leaves a child behind, in a session of its own, for so many seconds.

    After ``ready`` it says the child's process id.
    """
    return _command(_FORKS, seconds)


def close_stdout(seconds: int = 60) -> list[str]:
    """A program that closes its output and its errors, and then goes on for so many seconds."""
    return _command(_CLOSES, seconds)


def flood_stdout(size: int) -> list[str]:
    """A program that writes so many bytes (rounded down to whole lines of 8 KiB) as fast as somebody reads them."""
    return _command(_FLOODS, size)


def _command(source: str, *arguments: int) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", source, *map(str, arguments)]
