package signs

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"steer/base/event"
	"steer/base/id"
)

// types are the events that the figures are made of.
var types = []string{
	event.IncidentOpened, event.IncidentClosed,
	event.DeployStarted, event.DeployFailed, event.Upgraded, event.RolledBack, // Deployed is read for all times
	event.ApprovalCreated, event.ApprovalClosed,
	event.HostAsked, event.HostChanged, event.HostRebuilt, event.HostRolledBack, event.HostFailed,
	event.GroupBegins, event.GroupAsks, event.GroupApproved, event.GroupRefused, event.GroupFailed, event.GroupFollows,
	event.DefinitionsChanged,
}

// note is what is kept of an event while figures are made.
type note struct {
	seq         int64
	at          time.Time
	kind        string // type of the event
	id, subject string
	actor       id.Person
	service     id.Service
	environment id.Environment
	version     id.Version
	chain       string
	detail
}

// detail is what is read of the data of events; their owners document it.
type detail struct {
	Kind      string    `json:"kind"`      // of a deploy or a visit
	Asked     time.Time `json:"asked"`     // for a deploy
	Unchanged bool      `json:"unchanged"` // it served already
	Check     string    `json:"check"`
	Severity  string    `json:"severity"`
	Team      id.Team   `json:"team"`
	Stage     string    `json:"stage"`
	Decision  string    `json:"decision"`
	Visit     int64     `json:"visit"`
	Group     string    `json:"group"`
	Seconds   float64   `json:"seconds"` // that a visit took
	Candidate string    `json:"candidate"`
	Good      string    `json:"good"`
	SHA       string    `json:"sha"`
	Message   string    `json:"message"` // its first line
	Paths     []string  `json:"paths"`
}

func read(e event.Event) *note {
	n := &note{seq: e.Seq, at: e.Time, kind: e.Type, id: e.ID, subject: e.Subject, actor: e.Actor, service: e.Service, environment: e.Environment, version: e.Version, chain: e.Chain}
	_ = json.Unmarshal(e.Data, &n.detail) // what cannot be read is as if it were missing
	n.Message, _, _ = strings.Cut(n.Message, "\n")
	return n
}

// person tells whether somebody did it, and not Steer by itself.
func (n *note) person() bool { return n.actor != event.Steer && n.actor != "" }

// served tells whether a deploy brought another version into the traffic.
func (n *note) served() bool {
	switch n.kind {
	case event.Deployed, event.Upgraded, event.RolledBack:
		return !n.Unchanged
	}
	return false
}

// back tells whether it went back to a version.
func (n *note) back() bool {
	return n.kind == event.RolledBack || n.Kind == "rollback" || n.Kind == "auto-rollback"
}

// touches tells whether a definitions commit changed a file or something in a folder.
func (n *note) touches(path string) bool {
	return slices.ContainsFunc(n.Paths, func(p string) bool { return p == path || strings.HasSuffix(path, "/") && strings.HasPrefix(p, path) })
}

// story is all that happened, by its order in the journal.
type story struct {
	notes []*note
	first time.Time // of the journal; zero: it is empty
}

func (s *story) sort() {
	slices.SortFunc(s.notes, func(a, b *note) int { return cmp.Compare(a.seq, b.seq) })
}

// short is a commit as people write it.
func short(sha string) string { return sha[:min(8, len(sha))] }
