-- +goose Up
CREATE TABLE registry_manifest (
    repository    TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    media_type    TEXT    NOT NULL,
    artifact_type TEXT    NOT NULL,
    subject       TEXT    NOT NULL, -- digest that it refers to, or ''
    annotations   TEXT    NOT NULL, -- JSON, of those with a subject
    size          BIGINT  NOT NULL, -- of the manifest, in bytes
    total         BIGINT  NOT NULL, -- with all that it names
    built         BOOLEAN NOT NULL, -- by Steer
    touched       BIGINT  NOT NULL, -- pushed, or left by a tag
    actor         TEXT    NOT NULL,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX registry_manifest_digest ON registry_manifest (digest);
CREATE INDEX registry_manifest_subject ON registry_manifest (repository, subject);

CREATE TABLE registry_tag (
    repository TEXT    NOT NULL,
    tag        TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    built      BOOLEAN NOT NULL,
    updated    BIGINT  NOT NULL,
    actor      TEXT    NOT NULL,
    PRIMARY KEY (repository, tag)
);
CREATE INDEX registry_tag_digest ON registry_tag (repository, digest);

-- What a manifest needs: the same wherever it is.
CREATE TABLE registry_reference (
    manifest TEXT NOT NULL,
    digest   TEXT NOT NULL,
    PRIMARY KEY (manifest, digest)
);
CREATE INDEX registry_reference_digest ON registry_reference (digest);
