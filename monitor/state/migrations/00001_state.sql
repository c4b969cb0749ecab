-- +goose Up
CREATE TABLE state_check (
    check_key TEXT PRIMARY KEY,
    rule      TEXT NOT NULL, -- what was compared: other bounds begin anew
    memory    TEXT NOT NULL  -- JSON of type memory
);

CREATE TABLE state_incident (
    id             BIGINT PRIMARY KEY,
    kind           TEXT NOT NULL, -- check, blind or call: who closes it
    check_key      TEXT NOT NULL,
    service        TEXT NOT NULL,
    environment    TEXT NOT NULL,
    team           TEXT NOT NULL,
    version        TEXT NOT NULL,
    severity       TEXT NOT NULL,
    level          TEXT NOT NULL,
    title          TEXT NOT NULL,
    summary        TEXT NOT NULL,
    query          TEXT NOT NULL,
    runbook        TEXT NOT NULL,
    value          DOUBLE PRECISION,
    bound          DOUBLE PRECISION,
    rollback       BOOLEAN NOT NULL,
    began          BIGINT NOT NULL,
    opened         BIGINT NOT NULL,
    acknowledged   BIGINT NOT NULL,
    acked_by       TEXT NOT NULL,
    ack_comment    TEXT NOT NULL,
    resolved       BIGINT NOT NULL,
    resolved_by    TEXT NOT NULL,
    resolve_reason TEXT NOT NULL,
    chain          TEXT NOT NULL,
    cause          TEXT NOT NULL,
    event          TEXT NOT NULL,
    changes        TEXT NOT NULL, -- JSON: events
    previous       BIGINT NOT NULL
);

-- At most one incident per check that is not over.
CREATE UNIQUE INDEX state_incident_open ON state_incident (check_key) WHERE resolved = 0;
CREATE INDEX state_incident_service ON state_incident (service, id);
CREATE INDEX state_incident_check ON state_incident (check_key, resolved);
