"""The backlog: in order through memory and file, and never too large."""

from __future__ import annotations

import threading

from attrs import evolve

from trioflow import clock
from trioflow.engine.log_backlog import Backlog
from trioflow.wire.requests import LogRecord

ROOT = clock.new_id()


def record(number):
    return LogRecord(
        flow_run_id=ROOT, task_run_id=None, logger="test", level=20, message=f"{number}", at=clock.now()
    )


def test_a_backlog_keeps_order_through_memory_and_file_and_counts_the_rest():
    line = len(
        b'["00000000-0000-0000-0000-000000000000",null,"test",20,"0","2024-01-01T00:00:00.000000+00:00"]\n'
    )
    backlog = Backlog(memory_records=3, spool_bytes=4 * line)

    firsts = [backlog.put(record(number)) for number in range(10)]
    assert firsts == [True] + [False] * 9
    assert backlog.waiting == 8

    said = []
    while batch := backlog.first(2):
        said += [(given.message, given.level) for given in batch]
        backlog.forget(len(batch))

    assert said == [(f"{number}", 20) for number in range(7)] + [
        ("3 log records are missing here: the store did not keep up", 30)
    ]
    assert backlog.waiting == 0
    assert backlog.put(record(11))
    assert [given.message for given in backlog.first(2)] == ["11"]


def test_once_a_record_was_too_much_all_are_until_the_count_is_told():
    backlog = Backlog(memory_records=0, spool_bytes=400)
    for message in ("fits", "x" * 400, "would fit"):
        backlog.put(evolve(record(0), message=message))

    said = []
    while batch := backlog.first(1):
        said += [given.message for given in batch]
        backlog.forget(1)

    assert said == ["fits", "2 log records are missing here: the store did not keep up"]


def test_what_is_not_forgotten_is_given_again():
    backlog = Backlog()
    backlog.put(record(1))

    assert backlog.first(5) == backlog.first(5) != ()


def test_what_is_said_while_the_file_is_read_back_comes_after_it():
    backlog = Backlog(memory_records=1)
    for number in range(4):
        backlog.put(record(number))
    said = []

    while batch := backlog.first(1):
        said += [given.message for given in batch]
        backlog.forget(1)
        if len(said) < 4:
            backlog.put(record(10 + len(said)))

    assert said == ["0", "1", "2", "3", "11", "12", "13"]


def test_records_are_the_same_after_they_waited_in_the_file():
    backlog = Backlog(memory_records=0)
    whole = LogRecord(
        flow_run_id=ROOT, task_run_id=clock.new_id(), logger="a.b", level=40, message="é\n", at=clock.now()
    )
    backlog.put(whole)

    assert backlog.first(5) == (whole,)


def test_threads_lose_nothing():
    backlog = Backlog(memory_records=10)
    threads = [
        threading.Thread(target=lambda n=n: [backlog.put(record(n * 1000 + k)) for k in range(300)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    said = []
    while len(said) < 1200:
        batch = backlog.first(50)
        said += [int(given.message) for given in batch]
        backlog.forget(len(batch))
    for thread in threads:
        thread.join()

    assert [[n for n in said if n // 1000 == t] for t in range(4)] == [
        list(range(t * 1000, t * 1000 + 300)) for t in range(4)
    ]


def test_a_batch_is_bounded_by_its_length_too_but_never_empty():
    backlog = Backlog()
    for size in (3, 3, 3, 9, 1):
        backlog.put(evolve(record(0), message="x" * size))

    sizes = []
    while batch := backlog.first(4, characters=6):
        sizes.append([len(given.message) for given in batch])
        backlog.forget(len(batch))

    assert sizes == [[3, 3], [3], [9], [1]]
