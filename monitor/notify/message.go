package notify

import (
	"fmt"
	"time"

	"steer/base/id"
)

// Transition is what happened to the incident.
type Transition string

// The transitions, in the order in which they reach a contact.
const (
	Opened       Transition = "opened"
	Acknowledged Transition = "acknowledged"
	Resolved     Transition = "resolved"
	Reminder     Transition = "reminder" // it is over, and not followed up yet
)

var order = map[Transition]int{Opened: 1, Acknowledged: 2, Resolved: 3, Reminder: 4}

// told completes "that incident 7 …".
func (t Transition) told() string {
	if t == Reminder {
		return "is not followed up yet"
	}
	return "is " + string(t)
}

// Message is what is told about an incident.
type Message struct {
	Incident    int64          `json:"incident"` // its number
	Transition  Transition     `json:"transition"`
	Title       string         `json:"title"`   // one line
	Summary     string         `json:"summary"` // what was measured and what changed
	Severity    string         `json:"severity"`
	Service     id.Service     `json:"service"`
	Environment id.Environment `json:"environment"`
	Version     id.Version     `json:"version"`
	Team        id.Team        `json:"team"`    // who is told; what no team means is up to Contacts
	URL         string         `json:"url"`     // where to look
	Runbook     string         `json:"runbook"` // where to read what to do
	Reason      string         `json:"reason"`  // why it is resolved, the comment of who acknowledged it, or what to do next
	Changes     []string       `json:"changes"` // what changed shortly before, newest first
	At          time.Time      `json:"at"`      // of the transition
	Opened      time.Time      `json:"opened"`  // of the incident

	Chain string `json:"chain"` // for the journal: as the incident has them
	Cause string `json:"cause"` // id of the event that is told about
}

// Subject is a one-line text of the message.
func (m Message) Subject() string {
	word := map[Transition]string{Opened: "", Acknowledged: "Acknowledged: ", Resolved: "Resolved: ", Reminder: "Not followed up yet: "}[m.Transition]
	return fmt.Sprintf("[%s] %sincident %d: %s", m.Severity, word, m.Incident, m.Title)
}

// Took is how long the incident lasted; 0 while it does or if that is not known.
func (m Message) Took() time.Duration {
	if m.Transition != Resolved || m.Opened.IsZero() || m.At.Before(m.Opened) {
		return 0
	}
	return m.At.Sub(m.Opened).Round(time.Second)
}
