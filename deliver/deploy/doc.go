// Package deploy decides which version of a service serves in which environment,
// and brings it there without a moment in which none does.
//
// Three things are kept in SQL. A Deploy is one way from a version to another,
// asked for by somebody. A placement is what should run now: one per service and
// environment. A pin keeps a version out of "latest", and a hold keeps automation
// away from a placement.
//
// Plan compares what should run with the nodes that there are and returns the
// steps between: start new nodes, wait until they are healthy, switch the traffic
// to them, let the old ones finish, stop those. It is a pure function. A deploy is
// a durable job that takes the first step of the plan and plans again, until
// nothing is left to do; so it does not matter where it was interrupted. What is
// not healthy in time is stopped, and the old version, which served all the time,
// goes on. A placement at rest is looked after in the same way every second.
//
// After a deploy the old version's nodes stay up for a while without traffic, so
// that a rollback is one switch in the balancer. Other areas supply the artifact,
// the environment, the driver that runs nodes and the load balancer.
package deploy
