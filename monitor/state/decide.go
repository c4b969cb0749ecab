package state

// action is what to do about a check's incident.
type action int

const (
	leave   action = iota
	open           // there is none and there should be one
	finish         // it is over
	replace        // there were no values, now they are there and bad: that is other news
)

// decide compares the incident that should be with the one that is, level being
// the state that opened it ("" for none). It looks at states, not at transitions,
// so that what could not be done at one reading is done at the next.
//
//   - WARN opens no incident. Under an open one it counts as not over yet.
//   - NODATA opens one only if there were values before: a check whose service
//     was never deployed just waits. It does not end an incident about a broken
//     bound, because silence is not recovery.
//   - held keeps a new incident back; see gate.
func decide(m memory, level string, held bool) action {
	switch {
	case level == "":
		bad := m.State == Critical || m.State == NoData && !m.Fresh
		if bad && !m.Dismissed && !held {
			return open
		}
	case level == NoData && m.State == Critical:
		return replace
	case level == NoData && m.State != NoData, m.State == OK:
		return finish
	}
	return leave
}
