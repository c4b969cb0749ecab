-- +goose Up
CREATE TABLE work_job (
    id        TEXT   PRIMARY KEY,
    kind      TEXT   NOT NULL,
    key       TEXT   NOT NULL,
    body      TEXT   NOT NULL,
    state     TEXT   NOT NULL, -- due, running, dead; a job that is done has no row
    due       BIGINT NOT NULL, -- not before; of a dead job when it was given up
    attempt   BIGINT NOT NULL, -- attempts begun
    owner     TEXT   NOT NULL, -- instance that runs it
    claim     TEXT   NOT NULL, -- of the running attempt, new for each
    lease     BIGINT NOT NULL, -- the running attempt is lost when this has passed
    next_due  BIGINT NOT NULL, -- 0, or it was added again while it ran: then it runs once more
    next_body TEXT   NOT NULL,
    error     TEXT   NOT NULL  -- of the last failed attempt
);
CREATE UNIQUE INDEX work_job_key ON work_job (kind, key) WHERE key <> '' AND state <> 'dead';
CREATE INDEX work_job_due ON work_job (due) WHERE state = 'due';
CREATE INDEX work_job_lease ON work_job (lease) WHERE state = 'running';
