-- +goose Up
CREATE TABLE artifact_package (
    service TEXT   NOT NULL,
    version TEXT   NOT NULL,
    name    TEXT   NOT NULL, -- of the file
    kind    TEXT   NOT NULL, -- deb or rpm
    digest  TEXT   NOT NULL, -- of the file
    size    BIGINT NOT NULL,
    created BIGINT NOT NULL, -- of the artifact
    PRIMARY KEY (service, version, name)
);
