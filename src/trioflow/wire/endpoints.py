"""The table of endpoints: every call that a client can make, in one place.

The local client, the HTTP client, the server's routes and the OpenAPI document are all read from it. Paths follow
Prefect 2's REST API wherever the noun exists there.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from attrs import frozen

from trioflow.core.deployments import Deployment
from trioflow.core.runs import FlowRun, TaskRun
from trioflow.wire import replies, requests

Request = TypeVar("Request")
Reply = TypeVar("Reply")


@frozen
class Endpoint(Generic[Request, Reply]):
    """One call: its name, where HTTP finds it, what it takes and what it gives."""

    name: str
    method: str
    path: str
    request: type[Request]
    reply: type[Reply]


CREATE_FLOW_RUN = Endpoint(
    "create_flow_run", "POST", "/flow_runs", requests.CreateFlowRun, replies.FlowRunAnswer
)
CLAIM_FLOW_RUN = Endpoint(
    "claim_flow_run", "POST", "/flow_runs/{run_id}/claim", requests.ClaimFlowRun, replies.FlowRunAnswer
)
PROPOSE_FLOW_RUN_STATE = Endpoint(
    "propose_flow_run_state",
    "POST",
    "/flow_runs/{run_id}/set_state",
    requests.ProposeFlowRunState,
    replies.FlowRunAnswer,
)
END_LEASE = Endpoint("end_lease", "DELETE", "/flow_runs/{run_id}/lease", requests.EndLease, replies.Done)
BEGIN_TASK_RUN = Endpoint(
    "begin_task_run", "POST", "/task_runs/begin", requests.BeginTaskRun, replies.TaskRunAnswer
)
PROPOSE_TASK_RUN_STATE = Endpoint(
    "propose_task_run_state",
    "POST",
    "/task_runs/{run_id}/set_state",
    requests.ProposeTaskRunState,
    replies.TaskRunAnswer,
)
RENAME_RUN = Endpoint("rename_run", "PATCH", "/runs/{run_id}", requests.RenameRun, replies.Done)
READ_FLOW_RUN = Endpoint("read_flow_run", "GET", "/flow_runs/{run_id}", requests.ReadFlowRun, FlowRun)
READ_TASK_RUN = Endpoint("read_task_run", "GET", "/task_runs/{run_id}", requests.ReadTaskRun, TaskRun)
READ_HISTORY = Endpoint("read_history", "GET", "/runs/{run_id}/states", requests.ReadHistory, replies.History)
FIND_FLOW_RUNS = Endpoint(
    "find_flow_runs", "POST", "/flow_runs/filter", requests.FindFlowRuns, replies.FlowRuns
)
FIND_TASK_RUNS = Endpoint(
    "find_task_runs", "POST", "/task_runs/filter", requests.FindTaskRuns, replies.TaskRuns
)
FIND_LOGS = Endpoint("find_logs", "POST", "/logs/filter", requests.FindLogs, replies.Logs)
APPEND_LOGS = Endpoint("append_logs", "POST", "/logs", requests.AppendLogs, replies.Done)
SET_CONCURRENCY_LIMIT = Endpoint(
    "set_concurrency_limit", "POST", "/concurrency_limits", requests.SetConcurrencyLimit, replies.Done
)
FIND_CONCURRENCY_LIMITS = Endpoint(
    "find_concurrency_limits",
    "POST",
    "/concurrency_limits/filter",
    requests.FindConcurrencyLimits,
    replies.ConcurrencyLimits,
)
PREPARE_FLOW_RUN = Endpoint(
    "prepare_flow_run", "PATCH", "/flow_runs/{run_id}", requests.PrepareFlowRun, FlowRun
)
CLOSE_FLOW_RUN = Endpoint(
    "close_flow_run", "POST", "/flow_runs/{run_id}/close", requests.CloseFlowRun, replies.FlowRunAnswer
)
FIND_READY_RUNS = Endpoint(
    "find_ready_runs",
    "POST",
    "/deployments/get_scheduled_flow_runs",
    requests.FindReadyRuns,
    replies.ReadyRuns,
)
TAKE_OWED_HOOKS = Endpoint(
    "take_owed_hooks", "POST", "/hooks/take", requests.TakeOwedHooks, replies.HooksToCall
)
SETTLE_HOOKS = Endpoint(
    "settle_hooks", "DELETE", "/flow_runs/{run_id}/hooks/{version}", requests.SettleHooks, replies.Done
)
APPLY_DEPLOYMENT = Endpoint("apply_deployment", "POST", "/deployments", requests.ApplyDeployment, Deployment)
READ_DEPLOYMENT = Endpoint(
    "read_deployment", "GET", "/deployments/{deployment_id}", requests.ReadDeployment, Deployment
)
FIND_DEPLOYMENTS = Endpoint(
    "find_deployments", "POST", "/deployments/filter", requests.FindDeployments, replies.Deployments
)
DELETE_DEPLOYMENT = Endpoint(
    "delete_deployment", "DELETE", "/deployments/{deployment_id}", requests.DeleteDeployment, replies.Done
)
PAUSE_SCHEDULES = Endpoint(
    "pause_schedules", "POST", "/deployments/{deployment_id}/pause", requests.PauseSchedules, Deployment
)
RESUME_SCHEDULES = Endpoint(
    "resume_schedules", "POST", "/deployments/{deployment_id}/resume", requests.ResumeSchedules, Deployment
)
CREATE_DEPLOYMENT_RUN = Endpoint(
    "create_deployment_run",
    "POST",
    "/deployments/{deployment_id}/create_flow_run",
    requests.CreateDeploymentRun,
    replies.FlowRunAnswer,
)

ENDPOINTS = (
    CREATE_FLOW_RUN,
    CLAIM_FLOW_RUN,
    PROPOSE_FLOW_RUN_STATE,
    END_LEASE,
    BEGIN_TASK_RUN,
    PROPOSE_TASK_RUN_STATE,
    RENAME_RUN,
    READ_FLOW_RUN,
    READ_TASK_RUN,
    READ_HISTORY,
    FIND_FLOW_RUNS,
    FIND_TASK_RUNS,
    FIND_LOGS,
    APPEND_LOGS,
    SET_CONCURRENCY_LIMIT,
    FIND_CONCURRENCY_LIMITS,
    PREPARE_FLOW_RUN,
    CLOSE_FLOW_RUN,
    FIND_READY_RUNS,
    TAKE_OWED_HOOKS,
    SETTLE_HOOKS,
    APPLY_DEPLOYMENT,
    READ_DEPLOYMENT,
    FIND_DEPLOYMENTS,
    DELETE_DEPLOYMENT,
    PAUSE_SCHEDULES,
    RESUME_SCHEDULES,
    CREATE_DEPLOYMENT_RUN,
)
