-- +goose Up
CREATE TABLE artifact (
    service    TEXT   NOT NULL,
    version    TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    size       BIGINT NOT NULL,
    commit_sha TEXT   NOT NULL,
    created    BIGINT NOT NULL,
    chain      TEXT   NOT NULL,
    PRIMARY KEY (service, version)
);
CREATE INDEX artifact_created ON artifact (service, created);
CREATE INDEX artifact_digest ON artifact (digest);
