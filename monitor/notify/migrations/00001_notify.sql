-- +goose Up
CREATE TABLE notify_delivery (
    id         TEXT PRIMARY KEY,
    incident   BIGINT NOT NULL,
    transition TEXT NOT NULL,
    position   BIGINT NOT NULL, -- order of the transitions
    kind       TEXT NOT NULL,
    address    TEXT NOT NULL,
    message    TEXT NOT NULL, -- JSON
    state      TEXT NOT NULL, -- waiting, sent, failed
    created    BIGINT NOT NULL,
    finished   BIGINT NOT NULL,
    error      TEXT NOT NULL,
    UNIQUE (incident, kind, address, transition)
);
