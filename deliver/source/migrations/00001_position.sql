-- +goose Up
-- How far each mainline has been followed. An empty sha: the repository is known
-- from its beginning, so all that comes is new.
CREATE TABLE source_position (
    repo   TEXT NOT NULL,
    branch TEXT NOT NULL,
    sha    TEXT NOT NULL,
    moved  BIGINT NOT NULL,
    PRIMARY KEY (repo, branch)
);
-- Every commit that was handed on. It makes "exactly once" hold when history is
-- rewritten back and forth, and between servers that share the database.
CREATE TABLE source_commit (
    repo  TEXT NOT NULL,
    sha   TEXT NOT NULL,
    chain TEXT NOT NULL,
    seen  BIGINT NOT NULL,
    PRIMARY KEY (repo, sha)
);
