-- +goose Up
CREATE TABLE deploy_deploy (
	id          BIGINT PRIMARY KEY,
	service     TEXT NOT NULL,
	environment TEXT NOT NULL,
	version     TEXT NOT NULL,
	previous    TEXT NOT NULL,
	state       TEXT NOT NULL,
	kind        TEXT NOT NULL,
	step        TEXT NOT NULL,
	actor       TEXT NOT NULL,
	reason      TEXT NOT NULL,
	automatic   BOOLEAN NOT NULL,
	forced      BOOLEAN NOT NULL,
	unchanged   BOOLEAN NOT NULL,
	failure     TEXT NOT NULL, -- JSON of Failure, or empty
	release     TEXT NOT NULL, -- JSON of Release, or empty until the artifact was looked up
	steps       TEXT NOT NULL, -- JSON
	chain       TEXT NOT NULL,
	cause       TEXT NOT NULL,
	event       TEXT NOT NULL, -- id of the DeployStarted event
	created     BIGINT NOT NULL,
	started     BIGINT NOT NULL,
	finished    BIGINT NOT NULL
);
CREATE INDEX deploy_deploy_place ON deploy_deploy (service, environment, id);
-- One at a time per placement.
CREATE UNIQUE INDEX deploy_deploy_unfinished ON deploy_deploy (environment, service) WHERE state IN ('queued', 'running');

CREATE TABLE deploy_placement (
	environment TEXT NOT NULL,
	service     TEXT NOT NULL,
	deploy      BIGINT NOT NULL, -- that brought it
	kind        TEXT NOT NULL,   -- of that deploy
	chain       TEXT NOT NULL,   -- of that deploy
	event       TEXT NOT NULL,   -- that told of its success
	number      BIGINT NOT NULL,
	current     TEXT NOT NULL,   -- JSON of Release
	previous    TEXT NOT NULL,   -- JSON of Release, or empty
	since       BIGINT NOT NULL,
	watch_until BIGINT NOT NULL,
	warm_until  BIGINT NOT NULL,
	PRIMARY KEY (environment, service)
);

CREATE TABLE deploy_pin (
	service TEXT NOT NULL,
	version TEXT NOT NULL,
	person  TEXT NOT NULL,
	reason  TEXT NOT NULL,
	since   BIGINT NOT NULL,
	PRIMARY KEY (service, version)
);

CREATE TABLE deploy_hold (
	environment TEXT NOT NULL,
	service     TEXT NOT NULL,
	person      TEXT NOT NULL,
	reason      TEXT NOT NULL,
	since       BIGINT NOT NULL,
	PRIMARY KEY (environment, service)
);
