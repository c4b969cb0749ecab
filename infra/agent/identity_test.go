package agent

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/fault"
)

func TestIdentity(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w, ctx := open(t, db), t.Context()
		refused := func(token, want string) {
			t.Helper()
			if _, err := w.Join(ctx, token, "m"); fault.Of(err) != fault.Anonymous || !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
		i, err := w.Invite(ctx, "ada", "web-1", time.Minute)
		if err != nil || !i.Expires.Equal(w.clock.Add(time.Minute)) {
			t.Fatal(i, err)
		}
		refused("steer_"+i.Token, "no token to join with")
		refused(i.Token+"0", "it is mistyped")
		w.clock = w.clock.Add(2 * time.Minute)
		refused(i.Token, "the token was good until 2027-01-15T08:01:00Z (steer host invite web-1 makes another)")
		first := i.Token
		if i, err = w.Invite(ctx, "ada", "web-1", 0); err != nil {
			t.Fatal(err)
		}
		refused(first, "a newer one for the host took its place")
		j, err := w.Join(ctx, i.Token, "m0")
		if err != nil || j.Host != "web-1" {
			t.Fatal(j, err)
		}
		refused(i.Token, "the token was used already, 2027-01-15T08:02:00Z")
		if host, err := w.Verify(ctx, j.Credential); host != "web-1" || err != nil {
			t.Error(host, err)
		}
		for _, wrong := range []string{"", i.Token, j.Credential + "0", strings.ToUpper(j.Credential), "' OR 1=1 --"} {
			if host, err := w.Verify(ctx, wrong); fault.Of(err) != fault.Anonymous {
				t.Errorf("%q: %s %v", wrong, host, err)
			}
		}
		// Joining again ends the identity before.
		i, _ = w.Invite(ctx, "bob", "web-1", 0)
		again, err := w.Join(ctx, i.Token, "m1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Verify(ctx, j.Credential); fault.Of(err) != fault.Anonymous {
			t.Error(err)
		}
		all, err := w.List(ctx)
		if err != nil || len(all) != 1 || all[0].Host != "web-1" || all[0].Machine != "m1" || all[0].Creator != "bob" || all[0].Connected {
			t.Errorf("%+v %v", all, err)
		}
		if err := w.Revoke(ctx, "ada", "web-1", "sold"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Verify(ctx, again.Credential); fault.Of(err) != fault.Anonymous {
			t.Error(err)
		}
		if err := w.Revoke(ctx, "ada", "web-1", ""); fault.Of(err) != fault.NotFound {
			t.Error(err)
		}
		got := ""
		for _, e := range w.events {
			got += fmt.Sprintf("%s %s by %s: %s %s\n", strings.Split(e.Type, "-")[1], e.Subject, e.Actor, e.Summary, e.Reason)
			if strings.Contains(fmt.Sprintf("%+v", e), i.Token[10:]) {
				t.Error("the journal holds a token")
			}
		}
		if want := `host.invited.0.1.0 host/web-1 by ada: web-1 may join until 2027-01-15T08:01:00Z 
host.invited.0.1.0 host/web-1 by ada: web-1 may join until 2027-01-15T09:02:00Z 
host.joined.0.1.0 host/web-1 by ada: web-1 joined, machine m0 
host.invited.0.1.0 host/web-1 by bob: web-1 may join until 2027-01-15T09:02:00Z 
host.joined.0.1.0 host/web-1 by bob: web-1 joined, machine m1 
host.left.0.1.0 host/web-1 by ada: web-1 is no longer joined sold
`; got != want {
			t.Error(got)
		}
		var row string
		if err := db.Read().QueryRow("SELECT a.hash || h.hash FROM agent_invitation a, agent_host h LIMIT 1").Scan(&row); err != nil || strings.Contains(row, i.Token[5:]) || strings.Contains(row, again.Credential[5:]) {
			t.Errorf("%s %v", row, err)
		}
	})
}

func TestOneTokenForManyAtOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w := open(t, db)
		i, err := w.Invite(t.Context(), "ada", "web-1", 0)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for n := range errs {
			wg.Go(func() { _, errs[n] = w.Join(t.Context(), i.Token, "m") })
		}
		wg.Wait()
		joined := 0
		for _, err := range errs {
			if err == nil {
				joined++
			} else if fault.Of(err) != fault.Anonymous {
				t.Error(err)
			}
		}
		if joined != 1 {
			t.Errorf("%d hosts joined with one token", joined)
		}
	})
}

func TestInviteRefuses(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	if _, err := w.Invite(t.Context(), "ada", "a b", 0); fault.Of(err) != fault.Invalid {
		t.Error(err)
	}
	for _, d := range []time.Duration{-time.Second, 1000 * time.Hour} {
		if _, err := w.Invite(t.Context(), "ada", "web-1", d); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", d, err)
		}
	}
}
