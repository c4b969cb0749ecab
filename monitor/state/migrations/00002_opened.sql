-- +goose Up
CREATE INDEX state_incident_opened ON state_incident (opened);
