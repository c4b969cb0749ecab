package state

import (
	"time"

	"steer/catalog"
)

// The states of a check. A check that was never measured is NODATA too.
const (
	OK       = "OK"
	Warn     = "WARN"
	Critical = "CRITICAL"
	NoData   = "NODATA"
)

// reading is what one look at a check found: values on the way to a state, no
// values at all, or an error of the query.
type reading struct {
	state string   // OK, Warn, Critical, NoData; meaningless with err
	value *float64 // the value that decided
	from  string   // name of the series that it came from
	err   error
}

// memory is all that a check's next state depends on besides the next reading.
// It is stored as JSON.
type memory struct {
	State string    `json:"state"`
	Since time.Time `json:"since"` // in State since

	// Starts of the runs of equal findings that last until now; zero: no run.
	// At holds readings that broke the bound or worse, Below those that kept it.
	AtCritical    time.Time `json:"at_critical,omitzero"`
	AtWarn        time.Time `json:"at_warn,omitzero"`
	BelowCritical time.Time `json:"below_critical,omitzero"`
	BelowWarn     time.Time `json:"below_warn,omitzero"`
	Empty         time.Time `json:"empty,omitzero"` // nothing was in the window

	Seen    time.Time `json:"seen,omitzero"`     // last reading without error
	Failing time.Time `json:"failing,omitzero"`  // the query fails since then
	Error   string    `json:"error,omitempty"`   // why it fails
	Unknown bool      `json:"unknown,omitempty"` // … and for so long that the state says nothing
	Fresh   bool      `json:"fresh,omitempty"`   // never left the NODATA that every check begins with
	Value   *float64  `json:"value,omitempty"`
	From    string    `json:"from,omitempty"` // series of Value

	Dismissed bool `json:"dismissed,omitempty"` // a person resolved the incident about this state
}

// transition says that a check went from one state into another.
type transition struct {
	From, To string
	Began    time.Time // when what led to it was first seen
}

// step is the whole rule of states: it returns the memory after the reading r at
// time now, and the transition if there is one.
//
// Looks at most patience apart count as watching without a break. Of a longer
// pause nobody knows what happened in it, so it is cut out of all runs.
//
// The state gets worse when the bound was broken in every reading for c.For, and
// better when it held in every reading for c.RecoverFor. NODATA is entered like
// a worse state and left like one, and breaks every other run: it neither proves
// that a bound was broken nor that it held. An error proves nothing and changes
// nothing but what is said about it.
func step(c catalog.Check, m memory, r reading, now time.Time, patience time.Duration) (memory, *transition) {
	if m.State == "" {
		m.State, m.Since, m.Fresh = NoData, now, true
	}
	if r.err != nil {
		if m.Failing.IsZero() {
			m.Failing = now
		}
		m.Error = r.err.Error()
		m.Unknown = m.Unknown || now.Sub(m.Failing) >= unknownAfter
		return m, nil
	}
	m.Failing, m.Error, m.Unknown = time.Time{}, "", false
	m.skip(now, patience)
	m.Value, m.From = r.value, r.from
	m.run(r.state, now)

	to, began := m.due(c, now)
	if to == m.State {
		return m, nil
	}
	t := &transition{From: m.State, To: to, Began: began}
	m.State, m.Since, m.Fresh, m.Dismissed = to, now, false, false
	return m, t
}

// skip cuts time that nobody watched out of the runs.
func (m *memory) skip(now time.Time, patience time.Duration) {
	gap := now.Sub(m.Seen)
	if m.Seen.IsZero() || gap <= patience {
		gap = 0
	}
	for _, start := range m.runs() {
		if start.IsZero() {
			continue
		}
		*start = start.Add(gap)
		if start.After(now) { // the clock was set back
			*start = now
		}
	}
	m.Seen = now
}

func (m *memory) runs() [5]*time.Time {
	return [...]*time.Time{&m.AtCritical, &m.AtWarn, &m.BelowCritical, &m.BelowWarn, &m.Empty}
}

// run lets each run go on, start or end with a finding.
func (m *memory) run(found string, now time.Time) {
	for start, holds := range map[*time.Time]bool{
		&m.AtCritical:    found == Critical,
		&m.AtWarn:        found == Critical || found == Warn,
		&m.BelowCritical: found == OK || found == Warn,
		&m.BelowWarn:     found == OK,
		&m.Empty:         found == NoData,
	} {
		switch {
		case !holds:
			*start = time.Time{}
		case start.IsZero():
			*start = now
		}
	}
}

// due is the state that the runs have earned, and since when they point to it.
func (m *memory) due(c catalog.Check, now time.Time) (string, time.Time) {
	long := func(start time.Time, d time.Duration) bool { return !start.IsZero() && now.Sub(start) >= d }
	worse, better := c.For.Std(), c.RecoverFor.Std()
	if m.Fresh {
		better = 0 // nothing to recover from
	}
	switch {
	case long(m.AtCritical, worse):
		return Critical, m.AtCritical
	case long(m.Empty, worse):
		return NoData, m.Empty
	case m.State == Critical && !long(m.BelowCritical, better):
		return Critical, m.Since
	case m.State != OK && long(m.BelowWarn, better):
		return OK, m.BelowWarn
	case m.State == Critical:
		return Warn, m.BelowCritical // the warning bound is broken, or not kept for long enough yet
	case long(m.AtWarn, worse):
		return Warn, m.AtWarn
	}
	return m.State, m.Since
}

// pending is the state that the check is about to enter if its readings go on
// like the last one, and since when; "" if it stays as it is.
func (m *memory) pending() (string, time.Time) {
	switch {
	case !m.AtCritical.IsZero() && m.State != Critical:
		return Critical, m.AtCritical
	case !m.Empty.IsZero() && m.State != NoData:
		return NoData, m.Empty
	case !m.BelowWarn.IsZero() && m.State != OK:
		return OK, m.BelowWarn
	case !m.AtWarn.IsZero() && m.AtCritical.IsZero() && m.State != Warn:
		if m.State == Critical {
			return Warn, m.BelowCritical
		}
		return Warn, m.AtWarn
	}
	return "", time.Time{}
}
