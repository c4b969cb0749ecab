-- +goose Up
CREATE TABLE journal_event (
    seq         BIGINT PRIMARY KEY,
    id          TEXT   NOT NULL UNIQUE,
    source      TEXT   NOT NULL,
    type        TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    time        BIGINT NOT NULL,
    data        TEXT   NOT NULL,
    summary     TEXT   NOT NULL,
    actor       TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    service     TEXT   NOT NULL,
    environment TEXT   NOT NULL,
    version     TEXT   NOT NULL,
    chain       TEXT   NOT NULL,
    cause       TEXT   NOT NULL
);
-- Each index ends in seq, since every answer is ordered by it.
CREATE INDEX journal_event_subject ON journal_event (subject, seq);
CREATE INDEX journal_event_place ON journal_event (service, environment, seq);
CREATE INDEX journal_event_chain ON journal_event (chain, seq);
CREATE INDEX journal_event_type ON journal_event (type, seq);
CREATE INDEX journal_event_time ON journal_event (time, seq);
