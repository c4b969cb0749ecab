package followup

import (
	"time"

	"steer/base/id"
)

// The steps, in their order.
const (
	QuickFix    = "quick-fix"
	Check       = "check"
	Test        = "test"
	Fix         = "fix"
	TestPasses  = "test-passes"
	CheckPasses = "check-passes"
)

var titles = [...]struct{ name, title string }{
	{QuickFix, "Quick fix: it works again"},
	{Check, "A check that catches it"},
	{Test, "An automated test that fails on it"},
	{Fix, "The real fix is deployed"},
	{TestPasses, "The test is seen to pass"},
	{CheckPasses, "The check is seen to be OK with the fix"},
}

// Return is no step: to doubt it says that an incident is not the return of the one
// whose check it is again.
const Return = "return"

// The states of a step.
const (
	Open      = "open"
	Found     = "found"     // in the journal, by Steer
	Confirmed = "confirmed" // found, and a person agrees
	Given     = "given"     // by a person
	Waived    = "waived"    // by a person, with a reason; also a state of the whole
)

// The states of the whole.
const (
	Following = "following" // there is time left
	Complete  = "complete"  // all steps are done
	Without   = "without"   // it ended without some of them
	Returned  = "returned"  // it was complete, and the same came back
)

// Incident is what is to be known of an incident.
type Incident struct {
	Number      int64
	Title       string
	Check       string // key of what opened it: "catalog/slow", "host/web-1"
	ByCheck     bool   // a check that compares measurements opened it
	Level       string // CRITICAL or NODATA
	Service     id.Service
	Environment id.Environment
	Team        id.Team
	Version     id.Version // that had the fault
	Commit      string     // of that version
	Hosts       []string   // it is about
	Roles       []string   // of those hosts
	Began       time.Time
	Opened      time.Time
	Resolved    time.Time // zero: it is not over
	ResolvedBy  id.Person
	Reason      string // why it is over
	Event       string // id of the event that opened it
	Cause       string // id of the event behind it
	Chain       string
}

// Watched is a check as it is defined now.
type Watched struct {
	Key   string
	Watch time.Duration // how long it needs to see a fault
}

// Evidence is why a step counts as done.
type Evidence struct {
	// Ref names it: run/12/acceptance, deploy/14, check/catalog/slow, visit/3,
	// definitions/SHA, or the address of a page elsewhere.
	Ref     string     `json:"ref"`
	Text    string     `json:"text"`              // for people
	At      time.Time  `json:"at"`                // when it was seen
	Version id.Version `json:"version,omitempty"` // that it was seen on
	Event   string     `json:"event,omitempty"`   // id of the event that shows it
}

// Step is one step of a follow-up.
type Step struct {
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	State    string    `json:"state" enum:"open,found,confirmed,given,waived"`
	Evidence *Evidence `json:"evidence,omitempty"`
	By       id.Person `json:"by,omitempty"`     // who confirmed, gave or waived it
	Reason   string    `json:"reason,omitempty"` // in that person's words
	Next     string    `json:"next,omitempty"`   // what to do for it, while it is open
}

// Followup is how far an incident is on the way to an improvement.
type Followup struct {
	Incident    int64          `json:"incident"`
	Title       string         `json:"title"`
	Check       string         `json:"check"`
	Service     id.Service     `json:"service"`
	Environment id.Environment `json:"environment"`
	Team        id.Team        `json:"team"`
	State       string         `json:"state" enum:"following,complete,without,waived,returned"`
	Steps       []Step         `json:"steps"`
	Done        int            `json:"done"`           // steps that have evidence
	Waived      int            `json:"waived"`         // steps that are waived
	Next        string         `json:"next,omitempty"` // what to do now, in one sentence
	Opened      time.Time      `json:"opened"`
	Resolved    *time.Time     `json:"resolved,omitempty"`
	Until       *time.Time     `json:"until,omitempty"`       // then it has ended without, unless all steps are done
	Settled     *time.Time     `json:"settled,omitempty"`     // when all steps were done, or time was over
	ReturnedAs  int64          `json:"returned_as,omitempty"` // the incident by which it came back
	ReturnOf    int64          `json:"return_of,omitempty"`   // the incident that ended with all steps, and whose check this is again

	due time.Time // when time alone may change something; zero: never
}

// Finished tells whether nothing is to be done any more.
func (f Followup) Finished() bool { return f.State == Complete || f.State == Waived }

// Open names the steps that are open.
func (f Followup) Open() (names []string) {
	for _, s := range f.Steps {
		if s.State == Open {
			names = append(names, s.Name)
		}
	}
	return names
}

func (f *Followup) step(name string) *Step {
	for i := range f.Steps {
		if f.Steps[i].Name == name {
			return &f.Steps[i]
		}
	}
	return nil
}

// known says whether there is such a step.
func known(name string) bool {
	for _, t := range titles {
		if t.name == name {
			return true
		}
	}
	return false
}

// said is what a person said about a step.
type said struct {
	Step     string    `json:"step"`
	What     string    `json:"what"`               // give, confirm, doubt or waive
	Evidence *Evidence `json:"evidence,omitempty"` // given, confirmed or doubted
	Reason   string    `json:"reason,omitempty"`
	By       id.Person `json:"by"`
	At       time.Time `json:"at"`
}

const (
	give    = "give"
	confirm = "confirm"
	doubt   = "doubt"
	waive   = "waive"
)
