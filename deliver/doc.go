// Package deliver is the change path, from a commit to a version that serves.
// Its stages in the order of the flow:
//
//	source    Git repositories; every commit on mainline, once, in order
//	pipeline  runs of a service's stages, automatic and manual
//	run       one command of a stage, as local processes
//	artifact  what was built, stored once by digest
//	registry  images that people push, beside what was built
//	deploy    which version serves where, and the way from one to the next
//	balance   the load balancer in front of the nodes
//
// The stages do not import one another: each says what it needs from the next
// as function types, and package app joins them.
package deliver
