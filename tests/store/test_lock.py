"""The home's lock: one at a time, in turn; freed by any kind of death; whoever keeps it is named."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from trioflow.store.lock import FairLock


@pytest.fixture
def database(tmp_path):
    return str(tmp_path / "trioflow.db")


@pytest.fixture
def lock(database):
    with contextlib.closing(FairLock.beside(database, patience=0.02)) as lock:
        yield lock


def contend(database, inside, entered):
    with contextlib.closing(FairLock.beside(database, patience=0.02)) as lock, lock:
        inside()
        entered.set()


def test_only_one_is_inside(database, lock):
    entered = threading.Event()
    with lock:
        other = threading.Thread(target=contend, args=(database, lambda: None, entered))
        other.start()
        assert not entered.wait(0.05)
    assert entered.wait(60)
    other.join()


def someone_queues(line):
    try:
        fcntl.flock(line, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(line, fcntl.LOCK_UN)
    return False


def test_who_comes_back_stands_behind_who_waits(database, lock):
    order = []
    for _ in range(20):
        with lock, Path(f"{database}.queue").open() as line:
            other = threading.Thread(
                target=contend, args=(database, lambda: order.append("other"), threading.Event())
            )
            other.start()
            while not someone_queues(line):
                pass
        with lock:
            order.append("again")
        other.join()
    assert order == ["other", "again"] * 20


def test_nobody_slips_in_past_who_waits_though_the_lock_is_just_free(database, lock):
    with Path(f"{database}.queue").open() as line:
        fcntl.flock(line, fcntl.LOCK_EX)
        assert not lock._enter_at_once()
    with lock:
        pass


class Listener(logging.Handler):
    """Hears the first thing that is logged."""

    def __init__(self):
        super().__init__()
        self.heard = queue.SimpleQueue()

    def emit(self, record):
        self.heard.put(record.getMessage())


@pytest.fixture
def log():
    listener = Listener()
    logging.getLogger("trioflow.store").addHandler(listener)
    yield listener.heard
    logging.getLogger("trioflow.store").removeHandler(listener)


def test_whoever_keeps_the_lock_is_named(database, lock, log):
    entered = threading.Event()
    with lock:
        other = threading.Thread(target=contend, args=(database, lambda: None, entered))
        other.start()
        message = log.get(timeout=60)
    assert message == f"process {os.getpid()} keeps the write lock of {database} for 0 s"
    assert entered.wait(60)
    other.join()


def test_files_are_for_their_owner_only_and_not_for_children(lock, tmp_path):
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == {"trioflow.db.lock": 0o600, "trioflow.db.queue": 0o600}
    assert not os.get_inheritable(lock._turn)
    assert not os.get_inheritable(lock._queue)


HOLD = """
import sys, threading
from trioflow.store.lock import FairLock
FairLock.beside(sys.argv[1]).__enter__()
print("held", flush=True)
threading.Event().wait()
"""


def test_a_killed_process_frees_it(database, lock):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, database], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "held\n"
        assert lock.holder() == f"process {holder.pid}"
        holder.kill()
    with lock:
        assert lock.holder() == f"process {os.getpid()}"


FORK = """
import os, sys
from trioflow.store.lock import FairLock
lock = FairLock.beside(sys.argv[1])
lock.__enter__()
said, say = os.pipe()
wait, go = os.pipe()
if os.fork():
    os.read(said, 1)
    print("forked", flush=True)
    os._exit(0)  # dies inside, without a word
os.write(say, b"x")
sys.stdin.read()
os._exit(0 if lock.forked else 1)
"""


def test_a_forked_child_does_not_keep_its_dead_parents_lock(database, lock):
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", FORK, database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout.readline() == "forked\n"
        parent.wait()
        with lock:  # the child still lives: it waits for our end of its standard input
            pass
