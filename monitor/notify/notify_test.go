package notify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
	"steer/base/work"
	"steer/catalog"
)

// receiver is a channel whose answers the test decides.
type receiver struct {
	mu     sync.Mutex
	answer func(d Delivery) error
	took   []Delivery
	tries  int
}

func (r *receiver) Deliver(ctx context.Context, d Delivery) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	if r.answer != nil {
		if err := r.answer(d); err != nil {
			return err
		}
	}
	r.took = append(r.took, d)
	return nil
}

func (r *receiver) set(answer func(d Delivery) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) attempts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tries
}

// taken lists what arrived: "7 opened ada@example.org".
func (r *receiver) taken() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, d := range r.took {
		list = append(list, fmt.Sprintf("%d %s %s", d.Message.Incident, d.Message.Transition, d.Address))
	}
	return strings.Join(list, ", ")
}

type office struct {
	t        *testing.T
	db       *database.DB
	journal  *journal.Journal
	contacts []catalog.Contact
	receiver *receiver
}

func newOffice(t *testing.T, db *database.DB) *office {
	t.Helper()
	j, err := journal.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return &office{t, db, j, []catalog.Contact{{Email: "ada@example.org"}}, &receiver{}}
}

// open starts a process: a notifier and its queue. stop ends both.
func (o *office) open(poll time.Duration) (n *Notifier, stop func()) {
	o.t.Helper()
	q, err := work.New(o.t.Context(), work.Options{DB: o.db, Instance: "test", Poll: poll})
	if err != nil {
		o.t.Fatal(err)
	}
	n, err = New(o.t.Context(), Options{
		DB: o.db, Work: q, Journal: o.journal,
		Contacts: func(team id.Team) []catalog.Contact {
			if team == "lonely" {
				return nil
			}
			return o.contacts
		},
		Kinds: []Kind{{Name: "email", Address: func(c catalog.Contact) string { return c.Email }, Show: func(a string) string { return "<" + a + ">" }, Channel: o.receiver}},
	})
	if err != nil {
		o.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(o.t.Context())
	done := make(chan error)
	go func() { done <- q.Run(ctx) }()
	return n, func() {
		o.t.Helper()
		cancel()
		if err := <-done; err != nil {
			o.t.Error(err)
		}
	}
}

func (o *office) tell(n *Notifier, incident int64, tr Transition) {
	o.t.Helper()
	m := Message{Incident: incident, Transition: tr, Title: "slow", Severity: "page", Service: "catalog", Team: "storefront", Chain: "c1", Cause: "e1"}
	if err := o.db.Tx(o.t.Context(), func(tx *sql.Tx) error { return n.Tell(o.t.Context(), tx, m) }); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) events(kind string) []event.Event {
	o.t.Helper()
	list, err := o.journal.Read(o.t.Context(), journal.Query{Types: []string{kind}})
	if err != nil {
		o.t.Fatal(err)
	}
	return list
}

func (o *office) expect(taken string, sent, failed int) {
	o.t.Helper()
	if got := o.receiver.taken(); got != taken {
		o.t.Errorf("taken: %s; want %s", got, taken)
	}
	if s, f := len(o.events(event.NotificationSent)), len(o.events(event.NotificationFailed)); s != sent || f != failed {
		o.t.Errorf("journal: %d sent, %d failed; want %d, %d", s, f, sent, failed)
	}
}

// bubble runs f with a clock of its own.
func bubble(t *testing.T, f func(t *testing.T, o *office)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db, err := database.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "steer.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		f(t, newOffice(t, db))
	})
}

var errDown = errors.New("receiver is down")

func TestEachContactIsToldOnce(t *testing.T) {
	bubble(t, func(t *testing.T, o *office) {
		o.contacts = append(o.contacts, catalog.Contact{Email: "bob@example.org"}, catalog.Contact{Webhook: "http://x"}, catalog.Contact{Email: "ada@example.org"})
		n, stop := o.open(time.Second)
		o.tell(n, 7, Opened)
		o.tell(n, 7, Opened) // the same news
		time.Sleep(5 * time.Second)
		stop()
		o.receiver.mu.Lock()
		count := len(o.receiver.took)
		o.receiver.mu.Unlock()
		if count != 2 {
			t.Errorf("told %d times: %s", count, o.receiver.taken())
		}
		sent := o.events(event.NotificationSent)
		if len(sent) != 2 || sent[0].Chain != "c1" || sent[0].Cause != "e1" || sent[0].Subject != "incident/7" || !strings.Contains(sent[0].Summary, "@example.org> by email that incident 7 is opened") {
			t.Errorf("%+v", sent)
		}
	})
}

func TestResolvedNeverOvertakesOpened(t *testing.T) {
	bubble(t, func(t *testing.T, o *office) {
		n, stop := o.open(time.Second)
		o.receiver.set(func(d Delivery) error {
			if d.Message.Transition == Opened {
				return errDown
			}
			return nil
		})
		o.tell(n, 7, Opened)
		time.Sleep(3 * time.Minute)
		o.tell(n, 7, Acknowledged)
		o.tell(n, 7, Resolved)
		o.tell(n, 8, Resolved) // of another incident: waits for nobody
		time.Sleep(2 * time.Hour)
		o.expect("8 resolved ada@example.org", 1, 0)
		o.receiver.set(nil)
		time.Sleep(30 * time.Minute)
		o.expect("8 resolved ada@example.org, 7 opened ada@example.org, 7 acknowledged ada@example.org, 7 resolved ada@example.org", 4, 0)
		stop()
		first := o.receiver.took[1]
		for _, d := range o.receiver.took[1:] {
			if d.Thread != first.ID {
				t.Errorf("%s is in thread %s, want %s", d.Message.Transition, d.Thread, first.ID)
			}
		}
	})
}

func TestRestartBetweenRetriesDeliversTheRest(t *testing.T) {
	bubble(t, func(t *testing.T, o *office) {
		o.contacts = append(o.contacts, catalog.Contact{Email: "bob@example.org"})
		n, stop := o.open(time.Second)
		o.receiver.set(func(d Delivery) error {
			if strings.HasPrefix(d.Address, "bob") {
				return errDown
			}
			return nil
		})
		o.tell(n, 7, Opened)
		time.Sleep(20 * time.Second)
		stop()
		o.expect("7 opened ada@example.org", 1, 0)
		var first Delivery
		o.receiver.set(func(d Delivery) error {
			if d.Message.Transition == Opened {
				first = d
			}
			return nil
		})
		n, stop = o.open(time.Second)
		o.tell(n, 7, Resolved)
		time.Sleep(20 * time.Minute)
		stop()
		got := o.receiver.taken()
		if len(o.receiver.took) != 4 || strings.Index(got, "7 opened bob") > strings.Index(got, "7 resolved bob") || strings.Count(got, "7 opened ada") != 1 {
			t.Error(got)
		}
		if first.Attempt < 2 {
			t.Errorf("the new process forgot the attempts of the old one: %+v", first)
		}
	})
}

func TestGivenUpAfterADay(t *testing.T) {
	bubble(t, func(t *testing.T, o *office) {
		n, stop := o.open(time.Minute)
		o.receiver.set(func(d Delivery) error {
			if d.Message.Transition == Opened {
				return errDown
			}
			return nil
		})
		o.tell(n, 7, Opened)
		o.tell(n, 7, Resolved)
		time.Sleep(23 * time.Hour)
		o.expect("", 0, 0)
		time.Sleep(90 * time.Minute)
		stop()
		o.expect("7 resolved ada@example.org", 1, 1)
		failed := o.events(event.NotificationFailed)[0]
		if !strings.Contains(failed.Reason, "receiver is down") || !strings.Contains(failed.Reason, "24h0m0s") || !strings.Contains(failed.Summary, "Could not tell <ada@example.org>") {
			t.Errorf("%+v", failed)
		}
		if o.receiver.attempts() < 100 || o.receiver.attempts() > 250 {
			t.Errorf("%d attempts in a day", o.receiver.attempts())
		}
	})
}

func TestRefusedIsGivenUpAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, o *office) {
		n, stop := o.open(time.Second)
		o.receiver.set(func(Delivery) error { return Refused(errors.New("no such user")) })
		o.tell(n, 7, Opened)
		time.Sleep(time.Hour)
		stop()
		o.expect("", 0, 1)
		if o.receiver.attempts() != 1 || o.events(event.NotificationFailed)[0].Reason != "no such user" {
			t.Errorf("%d tries", o.receiver.attempts())
		}
	})
}

func TestReceiverMayAskToWait(t *testing.T) {
	bubble(t, func(t *testing.T, o *office) {
		n, stop := o.open(time.Second)
		o.receiver.set(func(Delivery) error { return Later(90*time.Second, errDown) })
		o.tell(n, 7, Opened)
		time.Sleep(80 * time.Second)
		o.receiver.set(nil)
		o.expect("", 0, 0)
		if o.receiver.attempts() != 1 {
			t.Errorf("%d tries", o.receiver.attempts())
		}
		time.Sleep(15 * time.Second)
		stop()
		o.expect("7 opened ada@example.org", 1, 0)
	})
}

func TestHungReceiverIsCut(t *testing.T) {
	bubble(t, func(t *testing.T, o *office) {
		n, stop := o.open(time.Second)
		n.kinds["email"] = Kind{Name: "email", Channel: channelFunc(func(ctx context.Context, d Delivery) error { <-ctx.Done(); return ctx.Err() })}
		o.tell(n, 7, Opened)
		time.Sleep(90 * time.Second)
		o.expect("", 0, 0)
		stop() // ends although the next attempt hangs
		_, stop = o.open(time.Second)
		time.Sleep(time.Minute)
		stop()
		o.expect("7 opened ada@example.org", 1, 0)
	})
}

type channelFunc func(ctx context.Context, d Delivery) error

func (f channelFunc) Deliver(ctx context.Context, d Delivery) error { return f(ctx, d) }

func TestNobodyToTellIsJournalled(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		o := newOffice(t, db)
		n, stop := o.open(time.Second)
		defer stop()
		tell := func(m Message) error {
			return db.Tx(t.Context(), func(tx *sql.Tx) error { return n.Tell(t.Context(), tx, m) })
		}
		if err := tell(Message{Incident: 7, Transition: Opened, Team: "lonely"}); err != nil {
			t.Fatal(err)
		}
		o.expect("", 0, 1)
		if e := o.events(event.NotificationFailed)[0]; !strings.Contains(e.Reason, "team lonely has no contacts") || e.Subject != "incident/7" {
			t.Errorf("%+v", e)
		}
		if err := tell(Message{Incident: 7, Transition: "gone"}); fault.Of(err) != fault.Invalid {
			t.Error(err)
		}
	})
}

func TestNothingIsPromisedInARolledBackTransaction(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		o := newOffice(t, db)
		n, stop := o.open(10 * time.Millisecond)
		defer stop()
		err := db.Tx(t.Context(), func(tx *sql.Tx) error {
			if err := n.Tell(t.Context(), tx, Message{Incident: 7, Transition: Opened}); err != nil {
				return err
			}
			return errDown
		})
		if err != errDown {
			t.Fatal(err)
		}
		o.tell(n, 8, Opened)
		deadline := time.Now().Add(10 * time.Second)
		for o.receiver.taken() == "" && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
		}
		if got := o.receiver.taken(); got != "8 opened ada@example.org" {
			t.Error(got)
		}
	})
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	last := time.Duration(0)
	for attempt := range 10000 {
		d := backoff(attempt)
		if d < time.Second || d > 12*time.Minute+30*time.Second || attempt > 1 && attempt <= 10 && d < last*3/2 {
			t.Fatalf("attempt %d waits %s after %s", attempt, d, last)
		}
		last = d
	}
}
