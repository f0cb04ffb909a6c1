-- Ids are UUIDv7 as 16-byte blobs; instants are ISO 8601 text in UTC with microseconds, so that text order is time order.

-- The number of the newest change. One row; taken in the same transaction as what it numbers.
CREATE TABLE feed (number INTEGER NOT NULL);
INSERT INTO feed VALUES (0);

CREATE TABLE flows (
    id      BLOB PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    created TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE flow_runs (
    id                   BLOB PRIMARY KEY,
    flow_id              BLOB NOT NULL REFERENCES flows,
    root_id              BLOB NOT NULL,
    name                 TEXT NOT NULL,
    version              INTEGER NOT NULL,
    epoch                INTEGER NOT NULL,
    attempt              INTEGER NOT NULL,
    retries_used         INTEGER NOT NULL,
    state_type           TEXT,
    state_name           TEXT,
    state_message        TEXT,
    state_details        TEXT,
    state_data           TEXT,
    state_id             BLOB,
    state_at             TEXT,
    retry                TEXT,
    expected_start       TEXT,
    next_scheduled_start TEXT,
    started              TEXT,
    ended                TEXT,
    running              REAL NOT NULL,
    parameters           TEXT NOT NULL,
    tags                 TEXT,
    parent_task_run_id   BLOB,
    deployment_id        BLOB,
    infrastructure_pid   TEXT,
    pause_keys           TEXT,
    resuming             INTEGER NOT NULL,
    entrypoint           TEXT,
    flow_version         TEXT,
    created              TEXT NOT NULL
);
CREATE INDEX flow_runs_by_state ON flow_runs (state_type, next_scheduled_start);
CREATE INDEX flow_runs_by_flow ON flow_runs (flow_id);
CREATE INDEX flow_runs_by_root ON flow_runs (root_id);
CREATE INDEX flow_runs_by_parent ON flow_runs (parent_task_run_id) WHERE parent_task_run_id IS NOT NULL;

CREATE TABLE task_runs (
    id               BLOB PRIMARY KEY,
    flow_run_id      BLOB,
    root_id          BLOB NOT NULL,
    task_key         TEXT NOT NULL,
    dynamic_key      TEXT NOT NULL,
    name             TEXT NOT NULL,
    version          INTEGER NOT NULL,
    attempt          INTEGER NOT NULL,
    retries_used     INTEGER NOT NULL,
    flow_run_attempt INTEGER NOT NULL,
    state_type       TEXT,
    state_name       TEXT,
    state_message    TEXT,
    state_details    TEXT,
    state_data       TEXT,
    state_id         BLOB,
    state_at         TEXT,
    retry            TEXT,
    expected_start   TEXT,
    next_scheduled_start TEXT,
    started          TEXT,
    ended            TEXT,
    running          REAL NOT NULL,
    tags             TEXT,
    inputs           TEXT,
    created          TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX task_runs_by_call ON task_runs (flow_run_id, task_key, dynamic_key);

-- The history of every run, and with its numbers the feed of transitions. Results stand on the run, not here.
-- id is the transition id: asked twice, the answer that was written is given again; it is looked for among the run's
-- own transitions. reason is set where another state than the proposed one was written.
CREATE TABLE states (
    number      INTEGER PRIMARY KEY,
    id          BLOB NOT NULL,
    run_id      BLOB NOT NULL,
    root_id     BLOB NOT NULL,
    is_flow_run INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    type        TEXT NOT NULL,
    name        TEXT NOT NULL,
    message     TEXT,
    details     TEXT,
    at          TEXT NOT NULL,
    reason      TEXT
);
CREATE UNIQUE INDEX states_by_run ON states (run_id, version);

-- Who runs a root run's code (or that of a task called outside of any flow), until when.
CREATE TABLE leases (
    run_id  BLOB PRIMARY KEY,
    epoch   INTEGER NOT NULL,
    host    TEXT NOT NULL,
    pid     INTEGER NOT NULL,
    started INTEGER NOT NULL,
    expires TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX leases_by_expiry ON leases (expires);

CREATE TABLE concurrency_limits (
    tag       TEXT PRIMARY KEY,
    max_slots INTEGER NOT NULL CHECK (max_slots >= 0)
) WITHOUT ROWID;

-- A slot leaves with the lease that it was taken under: there is no counter that could be wrong.
CREATE TABLE slots (
    tag         TEXT NOT NULL,
    task_run_id BLOB NOT NULL,
    lease_id    BLOB NOT NULL REFERENCES leases ON DELETE CASCADE,
    PRIMARY KEY (tag, task_run_id)
) WITHOUT ROWID;
CREATE INDEX slots_by_holder ON slots (task_run_id);
CREATE INDEX slots_by_lease ON slots (lease_id);

-- The newest completed state for a cache key, with its recorded result.
CREATE TABLE cache (
    key           TEXT PRIMARY KEY,
    expiration    TEXT,
    state_type    TEXT NOT NULL,
    state_name    TEXT NOT NULL,
    state_message TEXT,
    state_details TEXT,
    state_data    TEXT,
    state_id      BLOB,
    state_at      TEXT
) WITHOUT ROWID;

CREATE TABLE logs (
    number      INTEGER PRIMARY KEY,
    flow_run_id BLOB,
    task_run_id BLOB,
    logger      TEXT NOT NULL,
    level       INTEGER NOT NULL,
    message     TEXT NOT NULL,
    at          TEXT NOT NULL
);
CREATE INDEX logs_by_flow_run ON logs (flow_run_id, number);
CREATE INDEX logs_by_task_run ON logs (task_run_id, number) WHERE task_run_id IS NOT NULL;
