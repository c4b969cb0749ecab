// Package followup leads from an incident to an improvement. An incident that only
// ends comes back; one that is followed up ends with six steps done:
//
//	quick-fix     the service is restored
//	check         a check catches the fault: it was CRITICAL while the fault was there
//	test          an automated test fails on the fault: a red run, or a failed test of a host
//	fix           what really fixes it is deployed
//	test-passes   the same test is seen to pass
//	check-passes  the check is seen to be OK with the fix deployed, for as long as it
//	              would have needed to see the fault
//
// Evidence of a step is found in the journal, and says why it is taken for one. A
// person may confirm it, give other evidence, doubt what is there, or waive a step
// with a reason. Who said what is in the journal.
//
// What is found is a pure function of the incident, the events after it and what
// people said (follow in steps.go). The incidents themselves belong to others, who
// hand them in.
package followup
