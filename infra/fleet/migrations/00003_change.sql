-- +goose Up
-- What visits did to resources, one row each, for the history that plans show.
CREATE TABLE fleet_change (
	ref    TEXT NOT NULL,
	visit  BIGINT NOT NULL,
	host   TEXT NOT NULL,
	at     BIGINT NOT NULL,
	failed BOOLEAN NOT NULL,
	took   BIGINT NOT NULL -- nanoseconds
);
CREATE INDEX fleet_change_ref ON fleet_change (ref, at);
CREATE INDEX fleet_change_at ON fleet_change (at);
