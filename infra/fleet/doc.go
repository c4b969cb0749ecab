// Package fleet converges hosts without anybody asking: on a schedule, one host of
// a group first and then the others, and never where a person said stop. It keeps
// what is known of every host, of every visit to one, and of what drifted.
//
// What to do next is decided by Plan, a pure function. Visits themselves are jobs
// of base/work, so one that is cut off is made again.
package fleet
