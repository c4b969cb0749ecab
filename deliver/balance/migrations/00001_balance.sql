-- +goose Up
CREATE TABLE balance_port (
	instance    TEXT NOT NULL,
	environment TEXT NOT NULL,
	service     TEXT NOT NULL,
	name        TEXT NOT NULL,
	port        BIGINT NOT NULL,
	PRIMARY KEY (instance, environment, service, name)
);
CREATE TABLE balance_frontend (
	instance    TEXT NOT NULL,
	environment TEXT NOT NULL,
	service     TEXT NOT NULL,
	body        TEXT NOT NULL,
	PRIMARY KEY (instance, environment, service)
);
