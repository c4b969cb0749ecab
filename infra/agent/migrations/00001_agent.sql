-- +goose Up
CREATE TABLE agent_invitation (
	hash TEXT PRIMARY KEY,          -- SHA-256 of the token, hexadecimal
	host TEXT NOT NULL,
	created BIGINT NOT NULL,
	creator TEXT NOT NULL,
	expires BIGINT NOT NULL,
	used BIGINT NOT NULL            -- 0: not yet
);
CREATE TABLE agent_host (
	host TEXT PRIMARY KEY,
	hash TEXT NOT NULL UNIQUE,      -- SHA-256 of the credential, hexadecimal
	machine TEXT NOT NULL,          -- /etc/machine-id of who showed it last
	joined BIGINT NOT NULL,
	creator TEXT NOT NULL,          -- who invited it
	seen BIGINT NOT NULL,           -- to the minute
	revoked BIGINT NOT NULL         -- 0: it is valid
);
