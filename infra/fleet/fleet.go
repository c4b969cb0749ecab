package fleet

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/id"
	"steer/base/work"
)

//go:embed migrations
var migrations embed.FS

// Task is a visit to make.
type Task struct {
	Visit
	To      int  // generation, for Back
	First   bool // the host has never answered: if Steer can make it, it may not be there yet
	Attempt int  // 1 is the first
	// Repair names resources to tell since tests asked for it.
	Repair []string
	How    json.RawMessage // how the host was made, for Destroy
}

// Outcome is what a visit saw.
type Outcome struct {
	Counts         map[string]int
	Hash           string
	Leaves         map[string]string
	Generation     int
	Facts          json.RawMessage
	Updates        *int
	Security       *int
	Reboot         bool
	Tests          []Test
	Checks         json.RawMessage // of its roles, for a monitor; nil: as before
	CutOff         string          // of the run before: it was ended in the middle
	Changes        []Change
	Cut            int
	Rebuild        time.Duration // what making the host anew took
	FailedConverge bool          // some resource is not as declared
	Notes          []string      // of the host, for people
	Erosion        []Erosion     // nil: it was not looked for
	Up             bool          // a host that was stopped runs again
}

// Trouble is something that people have to know.
type Trouble struct {
	Key   string // what it is about: there is one incident of a key at a time
	Host  string
	Group string
	Owner id.Team
	Env   id.Environment
	// Severity is page, ticket or info. A worse one takes the place of an open one.
	Severity string
	Title    string
	Summary  string
	Cause    string // id of the event behind it
	// Rollback says that a deploy is to be taken back for it, of one of Roles: those with
	// a pipeline that the host is made of.
	Rollback bool
	Roles    []string
}

// Options are what a fleet needs.
type Options struct {
	DB   *database.DB
	Work *work.Queue
	// Journal writes an event in the caller's transaction.
	Journal func(ctx context.Context, tx *sql.Tx, e *event.Event) error
	// Wanted reads the newest definitions.
	Wanted func(ctx context.Context) ([]Wanted, error)
	// Visit does it. fault.Unavailable: the host does not answer.
	Visit func(ctx context.Context, t Task) (Outcome, error)
	// Open opens an incident, or does nothing when one of that key is open; Close ends it.
	Open  func(ctx context.Context, tx *sql.Tx, t Trouble) error
	Close func(ctx context.Context, key, reason string)
	// Followed are incidents that were opened in some time and may come from a place.
	Followed func(ctx context.Context, p Place, from, until time.Time) ([]int64, error)
	// Propose turns a drift into a change of the definitions.
	Propose func(ctx context.Context, d Drift, commit bool, who id.Person, reason string) (Proposal, error)
	// Roles describes the roles of the newest definitions, without their hosts.
	Roles func(ctx context.Context) ([]Role, error)
	// Unmanaged looks for hosts that nobody manages; it may take minutes.
	Unmanaged func(ctx context.Context, managed []Declared) ([]Unmanaged, error)
	Log       *slog.Logger
	Now       func() time.Time
}

// Fleet keeps hosts as declared. It is safe for concurrent use.
type Fleet struct {
	o    Options
	wake chan struct{}
	mu   sync.Mutex // one writer of records at a time

	seen      sync.Mutex
	unmanaged []Unmanaged
}

// job is the kind of the jobs that visit; the key is the host.
const job = "fleet.visit"

// New makes the tables where they are missing, and sets the handler of visits.
func New(ctx context.Context, o Options) (*Fleet, error) {
	if o.DB == nil || o.Work == nil || o.Journal == nil || o.Wanted == nil || o.Visit == nil || o.Open == nil || o.Close == nil || o.Followed == nil || o.Propose == nil || o.Roles == nil {
		return nil, errors.New("BUG: fleet.New needs all options but Unmanaged, Log and Now")
	}
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := o.DB.Migrate(ctx, "fleet", migrations); err != nil {
		return nil, err
	}
	f := &Fleet{o: o, wake: make(chan struct{}, 1)}
	o.Work.Handle(job, work.Handler{MaxAttempts: 3, Limit: 10, Timeout: time.Hour, Do: f.visit, Dead: f.gaveUp})
	return f, nil
}

// Wake makes the fleet look now: the definitions changed.
func (f *Fleet) Wake() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// tick is how often the fleet looks when nothing wakes it.
const tick = 5 * time.Second

// Run plans and queues visits until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var last string
	swept := time.Time{}
	for {
		if err := f.Step(ctx); err != nil && ctx.Err() == nil {
			if err.Error() != last {
				f.o.Log.Error("plan visits to hosts", "error", err)
			}
			last = err.Error()
		} else {
			last = ""
		}
		if now := f.o.Now(); now.Sub(swept) > time.Hour {
			swept = now
			if err := f.sweep(ctx); err != nil && ctx.Err() == nil {
				f.o.Log.Error("remove old visits", "error", err)
			}
			go f.look(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-f.wake:
		}
	}
}

// look searches hosts that nobody manages.
func (f *Fleet) look(ctx context.Context) {
	if f.o.Unmanaged == nil {
		return
	}
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return // Step says it
	}
	var managed []Declared
	for _, w := range wanted {
		managed = append(managed, w.Hosts...)
	}
	found, err := f.o.Unmanaged(ctx, managed)
	if err != nil && ctx.Err() == nil {
		f.o.Log.Warn("look for hosts that nobody manages", "error", err)
	}
	f.seen.Lock()
	f.unmanaged = found
	f.seen.Unlock()
}

// Step looks once: it plans, and queues what has to be done.
func (f *Fleet) Step(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return err
	}
	w, err := f.world(ctx, wanted)
	if err != nil {
		return err
	}
	groups, visits := Plan(w)
	ends := ending(w)
	if len(groups)+len(visits)+len(ends) == 0 {
		return nil
	}
	err = f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		var events []event.Event
		for _, g := range groups {
			if err := writeGroup(ctx, tx, g); err != nil {
				return err
			}
			events = append(events, f.turned(w.Groups[g.Name], g)...)
		}
		for i := range visits {
			visits[i].Actor = event.Steer
			if err := f.queue(ctx, tx, &visits[i], 0); err != nil {
				return err
			}
		}
		warnings, err := warn(ctx, tx, ends)
		if err != nil {
			return err
		}
		events = append(events, warnings...)
		for i := range events {
			if err := f.o.Journal(ctx, tx, &events[i]); err != nil {
				return err
			}
			if events[i].Type == event.GroupFailed {
				if err := f.o.Open(ctx, tx, w.trouble(events[i])); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.Phase == Done {
			f.o.Close(ctx, "group/"+g.Name, "all hosts of "+g.Name+" follow "+short(g.Good))
		}
	}
	f.o.Work.Wake()
	return nil
}

// world collects what Plan looks at, and takes hosts in that are new.
func (f *Fleet) world(ctx context.Context, wanted []Wanted) (World, error) {
	w := World{Now: f.o.Now(), Wanted: wanted}
	var err error
	if w.Groups, err = readGroups(ctx, f.o.DB.Read()); err != nil {
		return w, err
	}
	if w.Hosts, err = f.hosts(ctx, wanted); err != nil {
		return w, err
	}
	if w.Looked, err = readLooked(ctx, f.o.DB.Read()); err != nil {
		return w, err
	}
	if w.Live, err = f.live(ctx); err != nil {
		return w, err
	}
	pauses, err := f.pauses(ctx)
	w.Paused = pauses[place{"all", ""}]
	return w, err
}

// hosts reads all hosts, brings them up to what the definitions say, and stores those
// that changed.
func (f *Fleet) hosts(ctx context.Context, wanted []Wanted) (map[string]Host, error) {
	all, err := readHosts(ctx, f.o.DB.Read())
	if err != nil {
		return nil, err
	}
	pauses, err := f.pauses(ctx)
	if err != nil {
		return nil, err
	}
	running, err := unfinished(ctx, f.o.DB.Read())
	if err != nil {
		return nil, err
	}
	now := f.o.Now()
	declared := map[string]bool{}
	var changed []Host
	for _, w := range wanted {
		for _, d := range w.Hosts {
			declared[d.Name] = true
			h, known := all[d.Name]
			before, _ := json.Marshal(h)
			if !known {
				h = Host{Name: d.Name, State: Waiting, Seen: now.UTC()}
			}
			h.Group, h.Owner, h.Environment, h.Roles, h.Made, h.Gone = d.Group, d.Owner, d.Environment, d.Roles, d.Made, false
			h.Warned = h.Warned && h.Until.Equal(d.Until) // it may be longer now
			h.Lent = d.Lent
			if after, _ := json.Marshal(h); string(after) != string(before) {
				changed = append(changed, h)
			}
			all[h.Name] = h
		}
	}
	for name, h := range all {
		if !declared[name] && !h.Gone {
			h.Gone = true
			changed = append(changed, h)
		}
		h.Running = running[name]
		for _, p := range []place{{"all", ""}, {"group", h.Group}, {"host", name}} {
			h.Paused = cmp.Or(pauses[p], h.Paused)
		}
		all[name] = h
	}
	if len(changed) == 0 {
		return all, nil
	}
	return all, f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		for _, h := range changed {
			if err := writeHost(ctx, tx, h); err != nil {
				return err
			}
		}
		return nil
	})
}

// queue adds a visit and its job.
func (f *Fleet) queue(ctx context.Context, tx *sql.Tx, v *Visit, to int) (err error) {
	v.State, v.Created = Queued, f.o.Now().UTC()
	if v.ID, err = database.Next(ctx, tx, "visit"); err != nil {
		return err
	}
	if err := insertVisit(ctx, tx, *v); err != nil {
		return err
	}
	return f.o.Work.Add(ctx, tx, work.Item{Kind: job, Key: v.Host, Body: body{Visit: v.ID, To: to}})
}

type body struct {
	Visit int64 `json:"visit"`
	To    int   `json:"to,omitempty"`
}

// short names a commit for people; of a mix of several, which is written
// BASE+ROLE@COMMIT, all of them.
func short(commit string) string {
	var all []string
	for part := range strings.SplitSeq(commit, "+") {
		role, sha, mixed := strings.Cut(part, "@")
		if !mixed {
			role, sha = "", part
		}
		sha = sha[:min(len(sha), 8)]
		if mixed {
			sha = role + "@" + sha
		}
		all = append(all, sha)
	}
	return strings.Join(all, "+")
}

const source = "/steer/fleet"
