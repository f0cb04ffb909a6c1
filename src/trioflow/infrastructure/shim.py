"""The shim: the smallest process that can own a tree of processes. Standard library only, imports nothing of ours.

    python -I -S shim.py CONTROL LINK RUNNER GRACE PROGRAM [ARGUMENT ...]

It starts the program, and everything that the program ever starts is its own to end: on Linux it is a child
subreaper, so that whatever is orphaned below comes to it and nothing gets away by a double fork or a new session.
When the program is over, what it left behind is ended too, and only then does the shim report and exit as the
program did: with its status, or by its signal.

CONTROL is a socket to the runner, whose pid is RUNNER. Its end is the lifeline: no runner, no tree. The runner
writes ``stop AFTER GRACE``, any number of times; the shim writes ``started PID`` or ``failed WHY``, and at the end
``exited STATUS KILLED LEFTOVERS``. LINK is handed down to the program and closed here.

The ladder: SIGTERM to the whole tree, a grace of GRACE seconds, then SIGSTOP to all of it, so that nothing can fork
away, and SIGKILL, again and again until nobody is left. A stop can only bring it nearer.

Elsewhere than on Linux the program's process group is all that can be found again: what left it stays alive.
PR_SET_PDEATHSIG has no place here: it follows the thread that forked, and Trio's threads are short-lived.
"""

from __future__ import annotations

import ctypes
import math
import os
import select
import signal
import sys
import time

LEFTOVER_GRACE = 1.0
"""What the program left behind has this long at most: nobody waits for its result any more."""
FIRST_ROUND, LAST_ROUND = 0.005, 0.5
"""Seconds between two rounds of killing; doubled each time, for those whom the kernel does not let die yet."""
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> bool:
    """Have orphaned descendants come to this process. Returns whether the system can, and tells who they are."""
    if sys.platform != "linux" or not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):  # noqa: PTH110 - pathlib costs start-up time
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def descendants() -> list[int]:
    """Everybody below this process, parents first. Who forks or exits meanwhile may be missing: ask again."""
    found = [os.getpid()]
    for pid in found:
        found += children(pid)
    return found[1:]


def children(pid: int) -> list[int]:
    """Whose parent it is; none when it is gone."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - as above
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123 - as above
                found += map(int, file.read().split())
    except OSError:
        pass
    return found


def spawn(program: list[str]) -> int:
    """Start the program in a process group of its own, with no signal blocked or ignored, and return its pid."""
    return os.posix_spawnp(
        program[0],
        program,
        os.environ,
        setpgroup=0,
        setsigmask=(),
        setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
    )


def _heed_later(_number: int, _frame: object) -> None:
    """The wakeup descriptor has the signal."""


class Alarms:
    """Signals, as bytes that can be polled for. A handler that runs at any bytecode would be one more thread."""

    def __init__(self) -> None:
        self.fd, wakeup = os.pipe()
        os.set_blocking(wakeup, False)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, *ENDING_SIGNALS):
            signal.signal(number, _heed_later)

    def told_to_end(self) -> bool:
        """Whether one of those that have come since the last call is meant to end this process."""
        return not set(ENDING_SIGNALS).isdisjoint(os.read(self.fd, 4096))


class Ladder:
    """When the tree is asked to end, and when it is made to. Both can only come nearer."""

    def __init__(self) -> None:
        self.ask_at = self.kill_at = math.inf
        self.asked = False
        self._round = FIRST_ROUND

    def lower(self, after: float, grace: float) -> None:
        """Ask in ``after`` seconds at the latest, and kill ``grace`` seconds later."""
        ask_at = time.monotonic() + after
        self.ask_at = min(self.ask_at, ask_at)
        self.kill_at = min(self.kill_at, ask_at + grace)

    def patience(self) -> float | None:
        """Milliseconds until there is something to do; None when nothing is planned."""
        now = time.monotonic()
        if now >= self.kill_at:
            self._round = min(2 * self._round, LAST_ROUND)
            return self._round * 1000
        due = self.kill_at if self.asked else self.ask_at
        return None if due == math.inf else max(0.0, due - now) * 1000 + 1


class Tree:
    """The program and all that comes of it, until nobody is left."""

    def __init__(self, pid: int, *, subreaper: bool) -> None:
        self._pid = pid
        self._subreaper = subreaper
        self.status: int | None = None
        """The program's, as `os.waitstatus_to_exitcode` puts it; None while it runs."""
        self.killed = False

    def reap(self) -> bool:
        """Bury the dead. Returns whether anybody is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return not self._subreaper and bool(self.members())
            if pid == 0:
                return True
            if pid == self._pid:
                self.status = os.waitstatus_to_exitcode(status)

    def members(self) -> list[int]:
        """Whom to signal: pids, or a process group as its negative number."""
        if self._subreaper:
            return descendants()
        try:
            os.killpg(self._pid, 0)
        except OSError:
            return []
        return [-self._pid]

    def ask(self) -> None:
        """SIGTERM to all; who is stopped is woken, so that he hears it."""
        for member in self.members():
            self._signal(member, signal.SIGTERM)
            self._signal(member, signal.SIGCONT)

    def kill(self) -> bool:
        """SIGSTOP to all until nobody new is found, then SIGKILL. Returns whether the system refused every one."""
        self.killed = True
        frozen: set[int] = set()
        while fresh := set(self.members()) - frozen:
            frozen |= fresh
            for member in fresh:
                self._signal(member, signal.SIGSTOP)
        refused = [member for member in frozen if not self._signal(member, signal.SIGKILL)]
        return bool(frozen) and len(refused) == len(frozen)

    def _signal(self, member: int, number: signal.Signals) -> bool:
        """Returns False if it belongs to somebody else (a setuid program)."""
        try:
            os.kill(member, number)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return True


class Shim:
    """Watches over one tree: runs `Ladder` when the program, the runner or a signal says so."""

    def __init__(self, control: int, runner: int, grace: float) -> None:
        self._control = control
        self._grace = grace
        self._said = b""
        self._alarms = Alarms()
        self._ladder = Ladder()
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._poll.register(self._alarms.fd, select.POLLIN)
        self._runner = self._watch(runner)

    def _watch(self, runner: int) -> int | None:
        """A pidfd of the runner: a forked copy of it would keep its end of the control socket open."""
        try:
            fd = os.pidfd_open(runner)
        except (AttributeError, OSError):
            return None
        self._poll.register(fd, select.POLLIN)
        if os.getppid() != runner:
            self._ladder.lower(0, self._grace)
        return fd

    def tell(self, message: str) -> None:
        """Write one line to the runner, if there still is one."""
        try:
            os.write(self._control, message.replace("\n", " ").encode(errors="replace") + b"\n")
        except OSError:
            self._ladder.lower(0, self._grace)

    def own(self, tree: Tree) -> None:
        """Watch the tree until nobody is left, and report."""
        leftovers: int | None = None
        while tree.reap():
            if tree.status is not None and leftovers is None:
                leftovers = 0 if self._ladder.asked else len(tree.members())
                self._ladder.lower(0, min(self._grace, LEFTOVER_GRACE))
            if self._climb(tree):
                break
            for fd, _ in self._poll.poll(self._ladder.patience()):
                self._hear(fd)
        self.tell(f"exited {tree.status} {int(tree.killed)} {leftovers or 0}")

    def _climb(self, tree: Tree) -> bool:
        """Do what is due. Returns whether the rest of the tree is beyond our reach."""
        now = time.monotonic()
        if now >= self._ladder.kill_at:
            return tree.kill() and tree.status is not None
        if now >= self._ladder.ask_at and not self._ladder.asked:
            self._ladder.asked = True
            tree.ask()
        return False

    def _hear(self, fd: int) -> None:
        if fd == self._alarms.fd:
            if self._alarms.told_to_end():
                self._ladder.lower(0, self._grace)
        elif fd == self._runner or not self._hear_runner():
            self._poll.unregister(fd)
            self._ladder.lower(0, self._grace)

    def _hear_runner(self) -> bool:
        """Returns whether the runner may say more."""
        try:
            heard = os.read(self._control, 4096)
        except OSError:
            return False
        *lines, self._said = (self._said + heard).split(b"\n")
        for line in lines:
            _, after, grace = line.split()
            self._ladder.lower(float(after), float(grace))
        return bool(heard)


def end_as(status: int) -> None:
    """Exit with this status, or by this signal, without leaving a core file in the program's name."""
    if status < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status & 0xFF)


def main(arguments: list[str]) -> None:
    """Own one program from its start to the end of its last descendant."""
    control, link, runner = map(int, arguments[:3])
    os.set_inheritable(control, False)  # noqa: FBT003 - as os has it
    shim = Shim(control, runner, float(arguments[3]))
    subreaper = become_subreaper()
    try:
        pid = spawn(arguments[4:])
    except OSError as error:
        shim.tell(f"failed {error}")
        end_as(127)
        return
    os.close(link)
    shim.tell(f"started {pid}")
    tree = Tree(pid, subreaper=subreaper)
    shim.own(tree)
    end_as(tree.status or 0)


if __name__ == "__main__":
    main(sys.argv[1:])
