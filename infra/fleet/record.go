package fleet

import (
	"encoding/json"
	"time"

	"steer/base/id"
)

// Settings are how a group is converged: the key converge of its entry in hosts.yaml.
// Times are nanoseconds in JSON.
type Settings struct {
	Every   time.Duration `json:"every"`   // between visits; 0: only when somebody asks
	Canary  int           `json:"canary"`  // hosts that get a change first; 0: none, all at once
	Soak    time.Duration `json:"soak"`    // how long they have to stay well before the others follow
	Approve bool          `json:"approve"` // a change waits, planned, until somebody agrees
	Replace bool          `json:"replace"` // a dead host that Steer can make is made anew
	Dead    time.Duration `json:"dead"`    // without an answer for so long, a host is dead
	Drill   time.Duration `json:"drill"`   // between rebuilds for practice; 0: none
	Within  time.Duration `json:"within"`  // how long making a host anew may take; 0: no bound
	// Severity is the least of incidents about these hosts; empty: what tests say, else ticket.
	Severity string `json:"severity,omitempty"`
}

// Declared is a host of the definitions.
type Declared struct {
	Name        string
	Group       string
	Owner       id.Team
	Environment id.Environment
	Roles       []string
	Piped       []string // roles with a pipeline that it is made of: it follows what was deployed of them
	Made        bool     // Steer can make it anew
	Lent
}

// Lent is what people may do with a host, and for how long it is there.
type Lent struct {
	Entry string   `json:"entry,omitempty"` // of hosts.yaml
	Ways  []string `json:"ways,omitempty"`  // how it can be stopped, see the kinds of visits
	// Immutable: what differs is not changed; the host is made anew.
	Immutable bool `json:"immutable,omitempty"`
	// NoLogin: nobody can log in.
	NoLogin bool      `json:"no_login,omitempty"`
	Until   time.Time `json:"until,omitzero"` // when it goes; zero: it stays
	By      id.Person `json:"requested_by,omitempty"`
	Why     string    `json:"why,omitempty"`
	// How is how it was made, for destroying it when no definition has it any more.
	How json.RawMessage `json:"how,omitempty"`
}

// Wanted is a group as the newest definitions have it.
type Wanted struct {
	Name     string
	Settings Settings
	Hosts    []Declared // by name
	Commit   string     // of the definitions that they should follow; empty: none yet
	Waits    string     // why Commit is empty, for people
	Destroys []string   // entries whose hosts are destroyed when they are too many
	// Digest changes when what these hosts should be may have: their entries, roles
	// and secrets.
	Digest string
}

// Host is what is known of a host.
type Host struct {
	Name        string         `json:"name"`
	Group       string         `json:"group"`
	Owner       id.Team        `json:"owner,omitempty"`
	Environment id.Environment `json:"environment,omitempty"`
	Roles       []string       `json:"roles"`
	Made        bool           `json:"made"` // Steer can make it anew
	Lent
	// Touched tells who was on it although nobody can log in: it is made anew once
	// automation may.
	Touched *Touch `json:"touched,omitempty"`
	// Stray is what differs on an immutable host from its image, for people.
	Stray string `json:"stray,omitempty"`
	// Unfit are the resources that differed when it was just made of its image: making it
	// once more does not help.
	Unfit  []string `json:"unfit,omitempty"`
	Warned bool     `json:"warned,omitempty"` // it was told that its time is over soon
	// State is waiting (never visited), converged, drifted, failed, unreachable or stopped.
	State string `json:"state"`
	Error string `json:"error,omitempty"` // why it failed or cannot be reached
	// Severity is that of its incident, while it failed or cannot be reached.
	Severity string `json:"severity,omitempty"`

	Commit     string            `json:"commit,omitempty"` // of the definitions that it follows; of several: BASE+ROLE@COMMIT…
	Digest     string            `json:"digest,omitempty"` // of its group when it was last as declared
	Hash       string            `json:"hash,omitempty"`   // of the state of all its resources
	Leaves     map[string]string `json:"-"`                // hash of each
	Generation int               `json:"generation"`
	Facts      json.RawMessage   `json:"facts,omitempty"`
	Updates    *int              `json:"updates,omitempty"`  // packages that could be newer; absent: unknown
	Security   *int              `json:"security,omitempty"` // of those, how many for security
	Insecure   time.Time         `json:"insecure,omitzero"`  // since when there are some of those
	Checks     json.RawMessage   `json:"checks,omitempty"`   // of its roles
	Reboot     bool              `json:"reboot,omitempty"`   // it waits for a restart
	Tests      int               `json:"tests"`              // of its roles
	Failing    int               `json:"failing"`            // of those
	Erosion    []Erosion         `json:"erosion,omitempty"`  // what broke or wore out by itself; in lists only what did

	Seen      time.Time     `json:"seen"`               // first time
	Rebuilt   time.Time     `json:"rebuilt,omitzero"`   // last time that Steer made it
	Rebuild   time.Duration `json:"rebuild,omitempty"`  // how long that took until it was as declared, ns
	Contact   time.Time     `json:"contact,omitzero"`   // last answer
	Visited   time.Time     `json:"visited,omitzero"`   // end of the last visit
	Converged time.Time     `json:"converged,omitzero"` // last time that all was as declared
	Silent    time.Time     `json:"silent,omitzero"`    // since when it does not answer
	Gone      bool          `json:"gone,omitempty"`     // no definition has it any more
	Paused    *Pause        `json:"paused,omitempty"`   // that keeps automation away
	Next      time.Time     `json:"next,omitzero"`      // when it is visited again
	Running   int64         `json:"running,omitempty"`  // number of the visit under way
	Drifts    int           `json:"drifts,omitempty"`   // open ones
	Unequal   []string      `json:"unequal,omitempty"`  // hosts of its group with the same roles whose state is another
}

// Touch is a command that somebody ran on a host.
type Touch struct {
	By     id.Person `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// The states of a host.
const (
	Waiting     = "waiting"
	AsDeclared  = "converged"
	HasDrifted  = "drifted"
	HasFailed   = "failed"
	Unreachable = "unreachable"
	Stopped     = "stopped" // somebody wanted it so
)

// Group is how far a group is with the newest definitions.
type Group struct {
	Name      string    `json:"name"`
	Good      string    `json:"good"`      // commit that its hosts follow
	Candidate string    `json:"candidate"` // commit that is on its way to them
	Digest    string    `json:"-"`         // of the candidate
	GoodWas   string    `json:"-"`         // digest of good
	Phase     string    `json:"phase"`     // see the constants
	Since     time.Time `json:"since,omitzero"`
	Reason    string    `json:"reason,omitempty"`  // why it failed, was approved or refused
	By        id.Person `json:"by,omitempty"`      // who approved or refused
	Drilled   time.Time `json:"drilled,omitzero"`  // last rebuild for practice
	Repaired  time.Time `json:"repaired,omitzero"` // last replacement of a dead host
	Settings  Settings  `json:"settings"`
	Members   int       `json:"hosts"`
	Paused    *Pause    `json:"paused,omitempty"`
}

// The phases of a group's change.
const (
	Done      = "done"      // all hosts follow it
	Planning  = "planning"  // it is compared with the hosts, for who has to agree
	Asking    = "asking"    // somebody has to agree
	Canary    = "canary"    // the first hosts get it
	Soaking   = "soaking"   // the first hosts have it, and are watched
	Following = "following" // the other hosts get it
	Failed    = "failed"    // it went wrong, or was refused; hosts follow the good one
)

// Visit is one stay on a host.
type Visit struct {
	ID       int64          `json:"id"`
	Host     string         `json:"host"`
	Group    string         `json:"group"`
	Kind     string         `json:"kind"`  // see the constants
	Cause    string         `json:"cause"` // schedule, change, back, drift, entered, dead, drill, removed or person
	State    string         `json:"state"` // queued, running, passed or failed
	Commit   string         `json:"commit,omitempty"`
	Refs     []string       `json:"refs,omitempty"` // only these resources
	Actor    id.Person      `json:"actor"`
	Reason   string         `json:"reason,omitempty"`
	Counts   map[string]int `json:"counts,omitempty"`
	Changes  []Change       `json:"changes,omitempty"` // of resources that were not as declared; absent in lists
	Cut      int            `json:"cut,omitempty"`     // so many changes more than are kept
	Tests    []Test         `json:"tests,omitempty"`   // absent in lists
	Drift    int            `json:"drift"`             // changes that nobody declared
	Error    string         `json:"error,omitempty"`
	Notes    []string       `json:"notes,omitempty"`   // of the host, for people
	CutOff   string         `json:"cut_off,omitempty"` // the run before on this host was ended in the middle
	Hash     string         `json:"hash,omitempty"`
	Attempts int            `json:"attempts,omitempty"`
	Created  time.Time      `json:"created"`
	Started  time.Time      `json:"started,omitzero"`
	Finished time.Time      `json:"finished,omitzero"`
}

// Kinds of visits.
const (
	Look     = "plan"     // compares only
	Converge = "converge" // unattended: what resources say about drift counts
	Heal     = "heal"     // somebody agreed to put the named resources right
	Rebuild  = "rebuild"  // destroys the host, makes it and converges it
	Back     = "rollback" // goes back to an earlier generation

	// These stop it, the first in order, the others as a failure would; it is paused.
	Off    = "stop"
	Kill   = "kill"
	Freeze = "freeze"
	Cut    = "cut" // off its network

	Start   = "start"   // runs it again, and converges it
	Restart = "restart" // stops and starts it
	Destroy = "destroy" // of a host that no definition has any more
)

// States of visits.
const (
	Queued  = "queued"
	Running = "running"
	Passed  = "passed"
	Broken  = "failed"
)

// Change is what a visit found or did about one resource.
type Change struct {
	Ref    string        `json:"ref"`
	Role   string        `json:"role,omitempty"`
	Place  string        `json:"place,omitempty"`  // FILE:LINE of the definitions
	Status string        `json:"status"`           // planned, changed, failed, skipped, drifted
	Action string        `json:"action,omitempty"` // create, update, delete, replace, run
	Fields []Field       `json:"fields,omitempty"`
	Why    string        `json:"why,omitempty"`
	Drift  bool          `json:"drift,omitempty"` // the definitions had not changed
	Took   time.Duration `json:"took,omitempty"`  // ns
	// Hints are of a host's own report: who was around then, as far as it knows.
	Hints []string `json:"hints,omitempty"`
	// History is of a plan's change: how it went before.
	History *History `json:"history,omitempty"`
}

// Field is what differs.
type Field struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
	Text string `json:"text,omitempty"` // unified diff of contents, in place of Old and New
}

// Test is the result of a test of a role.
type Test struct {
	Name     string   `json:"name"`
	Status   string   `json:"status"` // passed, failed, skipped
	Found    string   `json:"found,omitempty"`
	Severity string   `json:"severity,omitempty"`
	Rollback *bool    `json:"rollback,omitempty"` // a deploy is taken back for it; absent: when it is a page
	Repair   []string `json:"repair,omitempty"`   // resources told because it failed
}

// Drift is a resource of a host that somebody changed.
type Drift struct {
	ID     int64     `json:"id"`
	Host   string    `json:"host"`
	Ref    string    `json:"ref"`
	Role   string    `json:"role,omitempty"`
	Place  string    `json:"place,omitempty"`
	Action string    `json:"action,omitempty"`
	Fields []Field   `json:"fields,omitempty"`
	State  string    `json:"state"` // open, healed, accepted or gone
	Since  time.Time `json:"since"`
	Ended  time.Time `json:"ended,omitzero"`
	By     id.Person `json:"by,omitempty"`    // who healed or accepted it
	Visit  int64     `json:"visit,omitempty"` // that found it
	Heals  int       `json:"heals,omitempty"` // how often it was put right within a day
	Live   bool      `json:"live,omitempty"`  // the host itself told
	Heal   bool      `json:"heal,omitempty"`  // of a live one: it is to be put right at once
	Hints  []string  `json:"hints,omitempty"` // of a live one: who was around then, as far as the host knows
	Tried  time.Time `json:"tried,omitzero"`  // last visit that did not
}

// Pause keeps automation away from a host, a group, or (Scope all) everything.
type Pause struct {
	Scope  string    `json:"scope"` // all, group or host
	Name   string    `json:"name,omitempty"`
	Person id.Person `json:"person"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // zero: until somebody ends it
	// Stopped says that it came with stopping the host, and ends with its start.
	Stopped bool `json:"stopped,omitempty"`
}
