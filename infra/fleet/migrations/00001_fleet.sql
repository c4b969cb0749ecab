-- +goose Up
CREATE TABLE fleet_host (
	name   TEXT PRIMARY KEY,
	body   TEXT NOT NULL, -- JSON of Host
	leaves TEXT NOT NULL  -- JSON: hash of each resource's state
);

CREATE TABLE fleet_group (
	name     TEXT PRIMARY KEY,
	body     TEXT NOT NULL, -- JSON of Group
	digest   TEXT NOT NULL, -- of the candidate
	good_was TEXT NOT NULL  -- digest of the good one
);

CREATE TABLE fleet_visit (
	id       BIGINT PRIMARY KEY,
	host     TEXT NOT NULL,
	grp      TEXT NOT NULL,
	kind     TEXT NOT NULL,
	state    TEXT NOT NULL,
	eventful BOOLEAN NOT NULL, -- it changed, found or failed something
	created  BIGINT NOT NULL,
	finished BIGINT NOT NULL,
	body     TEXT NOT NULL, -- JSON of Visit without what it found
	found    TEXT NOT NULL  -- JSON of its changes and tests
);
CREATE INDEX fleet_visit_host ON fleet_visit (host, id);
CREATE INDEX fleet_visit_finished ON fleet_visit (finished);
-- One at a time per host.
CREATE UNIQUE INDEX fleet_visit_unfinished ON fleet_visit (host) WHERE state IN ('queued', 'running');

CREATE TABLE fleet_drift (
	id    BIGINT PRIMARY KEY,
	host  TEXT NOT NULL,
	ref   TEXT NOT NULL,
	state TEXT NOT NULL,
	since BIGINT NOT NULL,
	ended BIGINT NOT NULL,
	body  TEXT NOT NULL -- JSON of Drift
);
CREATE UNIQUE INDEX fleet_drift_open ON fleet_drift (host, ref) WHERE state = 'open';
CREATE INDEX fleet_drift_host ON fleet_drift (host, ref, since);

CREATE TABLE fleet_pause (
	scope TEXT NOT NULL,
	name  TEXT NOT NULL,
	body  TEXT NOT NULL, -- JSON of Pause
	PRIMARY KEY (scope, name)
);
