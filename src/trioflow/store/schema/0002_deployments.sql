-- What a runner needs: flows that it can load, when they are due, and the hooks that a dead engine could not call.

ALTER TABLE flow_runs ADD COLUMN fire_key TEXT;
ALTER TABLE flow_runs ADD COLUMN hooked TEXT;
ALTER TABLE flow_runs ADD COLUMN timeout REAL;

-- One run for each fire of a schedule: the key is `<schedule identity>@<instant>`.
CREATE UNIQUE INDEX flow_runs_by_fire ON flow_runs (fire_key) WHERE fire_key IS NOT NULL;
CREATE INDEX flow_runs_by_deployment ON flow_runs (deployment_id, state_type, next_scheduled_start)
    WHERE deployment_id IS NOT NULL;

CREATE TABLE deployments (
    id                BLOB PRIMARY KEY,
    flow_id           BLOB NOT NULL REFERENCES flows,
    name              TEXT NOT NULL,
    entrypoint        TEXT NOT NULL,
    parameters        TEXT NOT NULL,
    parameter_schema  TEXT NOT NULL,
    enforce_schema    INTEGER NOT NULL,
    tags              TEXT,
    description       TEXT,
    version           TEXT,
    triggers          TEXT,
    retry             TEXT,
    hooked            TEXT,
    on_shutdown       TEXT NOT NULL,
    created           TEXT NOT NULL,
    updated           TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX deployments_by_name ON deployments (flow_id, name);

-- identity: equal for the same schedule of the same deployment, also when that was deleted and made again.
-- looked: all fires up to then are settled. plan_at: when to plan its runs again; NULL is at once.
CREATE TABLE schedules (
    identity      TEXT PRIMARY KEY,
    deployment_id BLOB NOT NULL REFERENCES deployments ON DELETE CASCADE,
    position      INTEGER NOT NULL,
    schedule      TEXT NOT NULL,
    catch_up      TEXT NOT NULL,
    overlap       TEXT NOT NULL,
    paused_by     TEXT,
    looked        TEXT,
    plan_at       TEXT
) WITHOUT ROWID;
CREATE INDEX schedules_by_deployment ON schedules (deployment_id, position);
CREATE INDEX schedules_by_plan ON schedules (plan_at);

-- Hooks of a final state that nobody has called yet. The holder is who will: whoever drove the run, or the runner that
-- took them over from a holder that is gone; NULL is whoever comes first.
CREATE TABLE owed_hooks (
    run_id     BLOB NOT NULL,
    version    INTEGER NOT NULL,
    state_type TEXT NOT NULL,
    host       TEXT,
    pid        INTEGER,
    started    INTEGER,
    tries      INTEGER NOT NULL,
    PRIMARY KEY (run_id, version)
) WITHOUT ROWID;
