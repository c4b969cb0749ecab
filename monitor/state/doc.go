// Package state compares measurements with bounds. It asks each check's query
// every few seconds, decides with a pure function whether the check is OK,
// WARN, CRITICAL or NODATA (step.go), and opens and closes incidents by a second
// one (decide.go). States, incidents and their journal entries are written in
// one transaction, and a restart goes on exactly where the last process was:
// what was pending stays pending.
//
// What it promises to somebody who is woken up at night:
//   - A check is never CRITICAL before its bound was seen broken for its whole
//     "for", and time in which nobody looked does not count.
//   - Silence is never good news. A query that fails changes no state, a window
//     without values is NODATA unless the check says otherwise, and an incident
//     about a broken bound stays open until values say that it is over.
//   - When nothing at all arrives any more there is one incident about that, not
//     one per check.
package state
