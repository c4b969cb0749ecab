// Package tour drives one change all the way round on this machine: a server of
// its own in a temporary folder, the sample service, a commit that is good and
// one that is slow, the incident, the rollback, the figures. It runs the same
// commands that people type, prints each before it runs, and verifies each step
// through the API, so that it is also the first test of an installation.
package tour
