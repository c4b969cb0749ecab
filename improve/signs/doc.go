// Package signs measures the signs of infrastructure that does well: how often
// something fails and how long that lasts, how fast each element is made anew, how
// far hosts are behind with security updates, how long people wait for what they ask
// for and whether they need the infrastructure team for it, and how many changes are
// made while people work.
//
// All is made from the journal and from the records of hosts. Each figure comes with
// the newest of the things that it was made from, and with the same figure of the
// period before, of equal length. Medians stand first, since a single long night moves
// a mean. The figures are for conversations: they compare things with themselves over
// time, and there are none of persons.
//
// What counts:
//   - A failure is a stretch of time in which at least one incident of the thing is
//     open; incidents that overlap are one failure. Those of severity info are none.
//   - Mean time between failures is the time observed, less the time in failure,
//     divided by the number of failures that began. Without any there is none. The time
//     observed begins with the period, with the first event of the journal, or when the
//     thing was first known, whichever is last.
//   - Time to repair runs from the opening of an incident to its end, and is told of
//     incidents that opened in the period.
//   - The time of a deploy runs from the request until the version serves, that of a
//     host from the start of its rebuild until it is as declared and its tests pass.
//   - A host is patched when its package manager knows of no pending security update.
//     How long it is behind is counted from when Steer first saw some pending, until
//     there are none: the date of an update is not known.
//   - Requests are listed in request.go, changes in change.go.
package signs
