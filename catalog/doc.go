// Package catalog holds the nouns that every area names: services with their
// steer.yaml, environments, teams, checks and dashboards, as people declare them. It
// reads and checks the definition files; it does no I/O.
package catalog
