-- +goose Up
CREATE TABLE pipeline_run (
    id       BIGINT  PRIMARY KEY,
    service  TEXT    NOT NULL,
    version  TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    in_line  BOOLEAN NOT NULL, -- still in its first way through, which keeps the order of commits
    green    BOOLEAN NOT NULL,
    revision BIGINT  NOT NULL, -- counts changes, so that nobody writes over what they have not seen
    record   TEXT    NOT NULL  -- the run with its stages and steer.yaml, as JSON
);
CREATE UNIQUE INDEX pipeline_run_version ON pipeline_run (service, version);
CREATE INDEX pipeline_run_state ON pipeline_run (service, state, id);
