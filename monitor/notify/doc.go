// Package notify tells people and programs about incidents, through channels:
// the kinds below this package.
//
// A message is promised in the transaction that opens or resolves the incident:
// one durable job for each contact, tried with growing pauses for 24 hours. What
// was delivered and what was given up stands in the journal.
//
// Messages about one incident reach a contact in order. While "opened" is still
// being tried, "resolved" waits for it, however long that takes, and follows it
// then: a receiver that opens and closes tickets gets both, with the times at
// which things happened, and never a resolution of something it has not heard
// of. Only when "opened" was given up does "resolved" go out without it.
//
// A message may arrive twice, if Steer dies between sending it and writing that
// down. Both copies carry the same delivery id.
package notify
