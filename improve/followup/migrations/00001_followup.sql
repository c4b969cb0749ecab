-- +goose Up
CREATE TABLE followup_incident (
    incident  BIGINT PRIMARY KEY,
    check_key TEXT   NOT NULL,
    service   TEXT   NOT NULL,
    team      TEXT   NOT NULL,
    state     TEXT   NOT NULL,
    opened    BIGINT NOT NULL,
    resolved  BIGINT NOT NULL, -- 0: not over
    due       BIGINT NOT NULL, -- when time alone may change something; 0: never
    reminded  BIGINT NOT NULL, -- 0: not yet
    body      TEXT   NOT NULL  -- JSON of Followup, as it was last worked out
);
CREATE INDEX followup_incident_state ON followup_incident (state, incident);
CREATE INDEX followup_incident_check ON followup_incident (check_key, incident);
CREATE INDEX followup_incident_resolved ON followup_incident (resolved);

-- What people said about steps, in their order.
CREATE TABLE followup_said (
    id       BIGINT PRIMARY KEY,
    incident BIGINT NOT NULL,
    body     TEXT   NOT NULL -- JSON
);
CREATE INDEX followup_said_incident ON followup_said (incident, id);
