-- +goose Up
CREATE TABLE access_token (
	id TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	hash TEXT NOT NULL UNIQUE,      -- SHA-256 of the token, hexadecimal
	role TEXT NOT NULL,
	environments TEXT NOT NULL,     -- JSON list; empty: everywhere
	created BIGINT NOT NULL,
	creator TEXT NOT NULL,
	used BIGINT NOT NULL,           -- to the minute
	revoked BIGINT NOT NULL         -- 0: it is valid
);
CREATE UNIQUE INDEX access_token_name ON access_token (name) WHERE revoked = 0;
CREATE TABLE access_session (
	hash TEXT PRIMARY KEY,          -- SHA-256 of the cookie, hexadecimal
	token TEXT NOT NULL REFERENCES access_token (id),
	created BIGINT NOT NULL,
	seen BIGINT NOT NULL            -- to the minute
);
CREATE INDEX access_session_token ON access_session (token);
