"""What may become of a flow run.

Theory of operation. The picture below is the whole law: the row is the type that the run is in, the column the type
that is proposed, the cell what judges it. A name in capitals is defined above the picture: a tuple of rules, each a
pure function in `trioflow.core.rules`, or a constant refusal. `OK` is the empty tuple. Nothing else in trioflow
decides whether a flow run may change its state, and no other code writes one.

A run is SCHEDULED, claimed (PENDING), RUNNING, and over; on the way it may pause in its process (PAUSED) or leave
it (SUSPENDED); a run that somebody owns is CANCELLING until its owner has ended the code. The four terminal types are those
that the picture closes except for the first column, the declared rerun.
"""

from __future__ import annotations

from trioflow.core.rules import flow_runs, shared
from trioflow.core.states import StateType
from trioflow.core.tables.grid import NONE, OK, Closed, table

SCHEDULED, PENDING, RUNNING, PAUSED, SUSPENDED, CANCELLING, COMPLETED, FAILED, CRASHED, CANCELLED = StateType

# One rule, or a few: the answer depends on the run.

CLAIM = (shared.copy_scheduled_time,)
DUE = (shared.wait_for_scheduled_time,)
END = (flow_runs.cancel_at_once_what_nobody_owns,)
NOT_LATE = (flow_runs.mark_late_only_what_is_scheduled,)
LATE = (flow_runs.mark_late_only_once,)
PAUSE = (flow_runs.pause_once_for_each_key,)
RECOVER = (flow_runs.retry_crashed_flow,)
RENAME = (shared.take_a_new_name_while_pending,)
REQUEUE = (flow_runs.mark_late_only_what_is_scheduled, flow_runs.resume_only_in_time)
RERUN = (flow_runs.rerun_only_when_declared, flow_runs.rerun_only_what_can_be_loaded)
RESUME = (flow_runs.resume_only_in_time,)
RETRY = (flow_runs.retry_failed_flow,)
SUSPEND = (*PAUSE, flow_runs.suspend_only_root_runs, flow_runs.suspend_only_what_is_deployed)
WAKE = (
    flow_runs.mark_late_only_what_is_scheduled,
    flow_runs.resume_only_what_is_deployed,
    flow_runs.resume_only_in_time,
)

# A refusal, always.

CLAIMED = Closed("This run is in a {current} state and cannot transition to a PENDING state.", aborts=True)
ENDING = Closed("Cannot transition flows that are cancelling to a state other than Cancelled.")
GONE = Closed("A SUSPENDED run has left its process; resuming it means scheduling it.")
HELD = Closed("A {current} run cannot be claimed; resume it first.")
IDLE = Closed("Cannot pause flows that are not currently running.")
ONCE = Closed("This run is RUNNING already.")
OVER = Closed("Run is already in terminal state {current}.")
BLANK = Closed("Cannot pause flows with no state.", aborts=True)
DONE = Closed("Run is already in terminal state {current}.", aborts=True)

# fmt: off
FLOW_RUNS = table("flow runs", rerun=SCHEDULED, rows={
#                SCHEDULED PENDING  RUNNING PAUSED  SUSPENDED CANCELLING COMPLETED FAILED  CRASHED  CANCELLED
    NONE:       (NOT_LATE, OK,      OK,     BLANK,  BLANK,    END,       OK,       OK,     OK,      OK),
    SCHEDULED:  (LATE,     CLAIM,   DUE,    IDLE,   IDLE,     END,       OK,       OK,     OK,      OK),
    PENDING:    (NOT_LATE, RENAME,  DUE,    IDLE,   IDLE,     OK,        OK,       OK,     OK,      OK),
    RUNNING:    (NOT_LATE, CLAIMED, ONCE,   PAUSE,  SUSPEND,  OK,        OK,       RETRY,  RECOVER, OK),
    PAUSED:     (REQUEUE,  HELD,    RESUME, IDLE,   IDLE,     OK,        OK,       OK,     OK,      OK),
    SUSPENDED:  (WAKE,     HELD,    GONE,   IDLE,   IDLE,     END,       OK,       OK,     OK,      OK),
    CANCELLING: (ENDING,   ENDING,  ENDING, ENDING, ENDING,   ENDING,    ENDING,   ENDING, ENDING,  OK),
    COMPLETED:  (RERUN,    OVER,    OVER,   DONE,   DONE,     DONE,      OVER,     OVER,   DONE,    OVER),
    FAILED:     (RERUN,    OVER,    OVER,   DONE,   DONE,     DONE,      OVER,     OVER,   DONE,    OVER),
    CRASHED:    (RERUN,    OVER,    OVER,   DONE,   DONE,     DONE,      OVER,     OVER,   DONE,    OVER),
    CANCELLED:  (RERUN,    OVER,    OVER,   DONE,   DONE,     DONE,      OVER,     OVER,   DONE,    OVER),
})
# fmt: on
