package notify

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
	"steer/base/work"
	"steer/catalog"
)

//go:embed migrations
var migrations embed.FS

const (
	source = "/steer/notify"
	job    = "notify.deliver"
)

// Options are what a notifier needs.
type Options struct {
	DB      *database.DB
	Work    *work.Queue
	Journal *journal.Journal
	Kinds   []Kind
	// Contacts returns where a team is told. For no team it should return the
	// contacts of all, since those incidents are everybody's.
	Contacts func(team id.Team) []catalog.Contact

	Log *slog.Logger
	Now func() time.Time
}

// Notifier queues messages and delivers them when the queue runs.
type Notifier struct {
	o     Options
	kinds map[string]Kind
	log   *slog.Logger
	now   func() time.Time
}

// New makes the table where it is missing, and registers the handler of the jobs
// at the queue, which must not run yet.
func New(ctx context.Context, o Options) (*Notifier, error) {
	if o.DB == nil || o.Work == nil || o.Journal == nil || o.Contacts == nil {
		return nil, fault.New(fault.Invalid, "make notifier: DB, Work, Journal and Contacts are required")
	}
	if err := o.DB.Migrate(ctx, "notify", migrations); err != nil {
		return nil, err
	}
	n := &Notifier{o: o, kinds: map[string]Kind{}, log: cmp.Or(o.Log, slog.Default()), now: o.Now}
	if n.now == nil {
		n.now = time.Now
	}
	for _, k := range o.Kinds {
		n.kinds[k.Name] = k
	}
	o.Work.Handle(job, work.Handler{
		MaxAttempts: 10000, // age decides, see giveUp
		Timeout:     time.Minute,
		Limit:       8, // a receiver that hangs must not stop deploys
		Backoff:     backoff,
		Do:          n.deliver,
		Dead:        n.dead,
	})
	return n, nil
}

// Tell promises a message to every contact of its team, in the caller's
// transaction. A message that was promised before is not promised twice. It is
// journalled, and no error, when there is nobody to tell.
func (n *Notifier) Tell(ctx context.Context, tx *sql.Tx, m Message) error {
	if order[m.Transition] == 0 {
		return fault.New(fault.Invalid, "tell about incident %d: unknown transition %q", m.Incident, m.Transition)
	}
	if m.At.IsZero() {
		m.At = n.now()
	}
	if m.Changes == nil {
		m.Changes = []string{}
	}
	reached := false
	for _, contact := range n.o.Contacts(m.Team) {
		for _, k := range n.o.Kinds {
			address := k.Address(contact)
			if address == "" {
				continue
			}
			if err := n.promise(ctx, tx, m, k, address); err != nil {
				return err
			}
			reached = true
		}
	}
	if reached {
		return nil
	}
	whom := "nobody"
	if m.Team != "" {
		whom = "team " + string(m.Team)
	}
	note := n.note(m, event.NotificationFailed, fmt.Sprintf("Nobody was told that incident %d %s", m.Incident, m.Transition.told()))
	note.Reason = fmt.Sprintf("%s has no contacts that can be reached (add some under notify: in teams.yaml)", whom)
	return n.o.Journal.Append(ctx, tx, &note)
}

// body is the job's body: all else is in the table.
type body struct {
	Delivery string `json:"delivery"`
}

func (n *Notifier) promise(ctx context.Context, tx *sql.Tx, m Message, k Kind, address string) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("store message about incident %d: %w", m.Incident, err)
	}
	delivery := id.New()
	result, err := tx.ExecContext(ctx, `INSERT INTO notify_delivery
		(id, incident, transition, position, kind, address, message, state, created, finished, error)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'waiting', $8, 0, '')
		ON CONFLICT (incident, kind, address, transition) DO NOTHING`,
		delivery, m.Incident, string(m.Transition), order[m.Transition], k.Name, address, string(text), database.Micros(n.now()))
	if err != nil {
		return fmt.Errorf("promise message about incident %d: %w", m.Incident, err)
	}
	if rows, err := result.RowsAffected(); err != nil || rows == 0 {
		return err
	}
	key := fmt.Sprintf("incident %d %s %s %s", m.Incident, m.Transition, k.Name, delivery)
	return n.o.Work.Add(ctx, tx, work.Item{Kind: job, Key: key, Body: body{delivery}})
}

func (n *Notifier) note(m Message, kind, summary string) event.Event {
	return event.Event{
		Source: source, Type: kind, Subject: fmt.Sprintf("incident/%d", m.Incident), Time: n.now(), Summary: summary,
		Service: m.Service, Environment: m.Environment, Version: m.Version, Chain: m.Chain, Cause: m.Cause,
	}
}
