"""What may become of a task run.

Read it as its sibling, `trioflow.core.tables.flow_runs`. The difference is the RUNNING column: a task starts only in a
running flow, with a slot of each of its limited tags, and not at all when its result is known. A task run that is
over has one way out, for a newer attempt of its flow, unless its result is recorded.
"""

from __future__ import annotations

from trioflow.core.rules import shared, task_runs
from trioflow.core.states import StateType
from trioflow.core.tables.grid import NONE, OK, Closed, table

SCHEDULED, PENDING, RUNNING, PAUSED, SUSPENDED, CANCELLING, COMPLETED, FAILED, CRASHED, CANCELLED = StateType

# One rule, or a few: the answer depends on the run.

CLAIM = (shared.copy_scheduled_time,)
START = (
    task_runs.answer_from_the_cache,
    task_runs.run_only_while_the_flow_runs,
    task_runs.take_a_slot_of_every_tag,
)
DUE = (*START, shared.wait_for_scheduled_time)
RECOVER = (task_runs.retry_crashed_task,)
RENAME = (shared.take_a_new_name_while_pending,)
REOPEN = (task_runs.reopen_for_newer_flow_attempt, *START)
RECALL = (task_runs.keep_recorded_result, *REOPEN)
RETRY = (task_runs.retry_failed_task,)
RESTART = (task_runs.take_over_from_older_flow_attempt, *START)

# A refusal, always.

CLAIMED = Closed("This run is in a {current} state and cannot transition to a PENDING state.", aborts=True)
ENDING = Closed("Cannot transition runs that are cancelling to a state other than Cancelled.")
OVER = Closed("Run is already {current}.")
DONE = Closed("Run is already {current}.", aborts=True)

# fmt: off
TASK_RUNS = table("task runs", rerun=RUNNING, rows={
#                SCHEDULED PENDING  RUNNING  PAUSED  SUSPENDED CANCELLING COMPLETED FAILED  CRASHED  CANCELLED
    NONE:       (OK,       OK,      START,   OK,     OK,       OK,        OK,       OK,     OK,      OK),
    SCHEDULED:  (OK,       CLAIM,   DUE,     OK,     OK,       OK,        OK,       OK,     OK,      OK),
    PENDING:    (OK,       RENAME,  DUE,     OK,     OK,       OK,        OK,       OK,     OK,      OK),
    RUNNING:    (OK,       CLAIMED, RESTART, OK,     OK,       OK,        OK,       RETRY,  RECOVER, OK),
    PAUSED:     (OK,       OK,      START,   OK,     OK,       OK,        OK,       OK,     OK,      OK),
    SUSPENDED:  (OK,       OK,      START,   OK,     OK,       OK,        OK,       OK,     OK,      OK),
    CANCELLING: (ENDING,   ENDING,  ENDING,  ENDING, ENDING,   ENDING,    ENDING,   ENDING, ENDING,  OK),
    COMPLETED:  (OVER,     OVER,    RECALL,  DONE,   DONE,     DONE,      OVER,     OVER,   DONE,    OVER),
    FAILED:     (OVER,     OVER,    REOPEN,  DONE,   DONE,     DONE,      OVER,     OVER,   DONE,    OVER),
    CRASHED:    (OVER,     OVER,    REOPEN,  DONE,   DONE,     DONE,      OVER,     OVER,   DONE,    OVER),
    CANCELLED:  (OVER,     OVER,    REOPEN,  DONE,   DONE,     DONE,      OVER,     OVER,   DONE,    OVER),
})
# fmt: on
