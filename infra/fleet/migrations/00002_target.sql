-- +goose Up
-- What deploys of roles brought, or are bringing; the newest of a role in an
-- environment counts.
CREATE TABLE fleet_target (
	deploy      BIGINT PRIMARY KEY, -- number of the deploy
	role        TEXT NOT NULL,
	environment TEXT NOT NULL,
	commit_sha  TEXT NOT NULL, -- of the definitions
	version     TEXT NOT NULL,
	person      TEXT NOT NULL,
	at          BIGINT NOT NULL
);
CREATE INDEX fleet_target_place ON fleet_target (role, environment, deploy);
