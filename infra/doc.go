// Package infra makes hosts what their roles say. It holds what all its stages
// speak of: kinds of resources, the host that a resource works on, what would
// change, and the manifest of one host. The stages, in the order of the flow:
//
//	role      what operators write in roles/, filled in with parameters and facts: a manifest
//	resource  the kinds: file, package, service, user … each knows how to compare and how to change
//	converge  on the host: order, compare, change, remember, remove what is no longer declared
//	verify    tests of a host, as text, JUnit, TAP, JSON, Nagios, Prometheus
//	patch     how far the packages of a host are behind
//	host      reaching hosts (here, SSH, containers), making and destroying them
//	fleet     on the server: which host is visited when, what was found, who said stop
package infra
