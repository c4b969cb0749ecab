package access

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

type world struct {
	*Access
	t      *testing.T
	db     *database.DB
	clock  time.Time
	events []event.Event
	broken error // what the journal answers
}

func open(t *testing.T, db *database.DB) *world {
	t.Helper()
	w := &world{t: t, db: db, clock: time.Unix(1_800_000_000, 0)}
	var err error
	w.Access, err = New(t.Context(), Options{DB: db, Now: func() time.Time { return w.clock }, Journal: func(_ context.Context, _ *sql.Tx, e *event.Event) error {
		w.events = append(w.events, *e)
		return w.broken
	}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) create(name id.Person, role Role, env ...id.Environment) string {
	w.t.Helper()
	token, err := w.Create(w.t.Context(), "root", name, role, env...)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func (w *world) refused(token string) {
	w.t.Helper()
	if who, err := w.Verify(w.t.Context(), token); fault.Of(err) != fault.Anonymous {
		w.t.Errorf("%q: %+v, %v", token, who, err)
	}
}

func TestTokens(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w, ctx := open(t, db), t.Context()
		w.create("root", Admin)
		token := w.create("ada", Operator, "ci", "uat")
		who, err := w.Verify(ctx, token)
		if err != nil || who.Name != "ada" || who.Role != Viewer || who.Environments["uat"] != Operator {
			t.Fatalf("%+v, %v", who, err)
		}
		for _, wrong := range []string{"", "steer_", token[:len(token)-1], token + "0", token[:len(token)-1] + "x", strings.ToUpper(token), "' OR 1=1 --"} {
			w.refused(wrong)
		}
		if _, err := w.Create(ctx, "root", "ada", Viewer); fault.Of(err) != fault.Conflict {
			t.Error(err)
		}
		all, err := w.List(ctx)
		if err != nil || len(all) != 2 || all[0].Name != "ada" || all[0].Role != Operator || len(all[0].Environments) != 2 ||
			!all[0].Created.Equal(w.clock) || all[0].Creator != "root" || !all[0].Used.Equal(w.clock) || !all[1].Used.IsZero() {
			t.Errorf("%+v, %v", all, err)
		}
		if err := w.Revoke(ctx, "root", "ada"); err != nil {
			t.Fatal(err)
		}
		w.refused(token)
		if err := w.Revoke(ctx, "root", "ada"); fault.Of(err) != fault.NotFound {
			t.Error(err)
		}
		again := w.create("ada", Developer)
		w.refused(token)
		if who, err := w.Verify(ctx, again); err != nil || who.Role != Developer || who.Environments != nil {
			t.Errorf("%+v, %v", who, err)
		}
		got := ""
		for _, e := range w.events {
			got += fmt.Sprintf("%s %s by %s: %s\n", e.Type[len("dev.cdeventsx.steer-"):], e.Subject, e.Actor, e.Summary)
		}
		if want := `token.created.0.1.0 token/root by root: root may enter as admin everywhere
token.created.0.1.0 token/ada by root: ada may enter as operator in ci, uat
token.revoked.0.1.0 token/ada by root: ada may no longer enter
token.created.0.1.0 token/ada by root: ada may enter as developer everywhere
`; got != want {
			t.Error(got)
		}
	})
}

func TestNothingReadableIsStored(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w, ctx := open(t, db), t.Context()
		token := w.create("ada", Admin)
		who, _ := w.Verify(ctx, token)
		cookie, _, err := w.NewSession(ctx, who)
		if err != nil {
			t.Fatal(err)
		}
		for table, columns := range map[string]string{"access_token": "id || name || hash || role || environments || creator", "access_session": "hash || token"} {
			var row string
			if err := db.Read().QueryRow("SELECT " + columns + " FROM " + table).Scan(&row); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(row, token[6:]) || strings.Contains(row, cookie) {
				t.Errorf("%s holds a secret: %s", table, row)
			}
		}
		for _, e := range w.events {
			if s := fmt.Sprintf("%+v", e); strings.Contains(s, token[6:]) {
				t.Error("the journal holds the token")
			}
		}
	})
}

func TestAJournalThatFailsChangesNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w, ctx := open(t, db), t.Context()
		w.create("root", Admin)
		token := w.create("ada", Viewer)
		w.broken = errors.New("no disk")
		if _, err := w.Create(ctx, "root", "bob", Viewer); err == nil {
			t.Error("made without a trace")
		}
		if err := w.Revoke(ctx, "root", "ada"); err == nil {
			t.Error("revoked without a trace")
		}
		if all, err := w.List(ctx); err != nil || len(all) != 2 {
			t.Errorf("%+v, %v", all, err)
		}
		if _, err := w.Verify(ctx, token); err != nil {
			t.Error(err)
		}
	})
}

func TestCreateRefuses(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	for want, c := range map[string]struct {
		actor, name id.Person
		role        Role
		env         []id.Environment
	}{
		`create token: person name "a b": character ' '`:            {"root", "a b", Viewer, nil},
		`create token: person name is empty`:                        {"root", "", Viewer, nil},
		`create token steer: this is the name that Steer itself`:    {"root", "steer", Viewer, nil},
		`create token a: actor name is empty`:                       {"", "a", Viewer, nil},
		`create token a: unknown role "nobody"`:                     {"root", "a", 0, nil},
		`create token a: environment name "../x": character '.' at`: {"root", "a", Viewer, []id.Environment{"../x"}},
	} {
		_, err := w.Create(t.Context(), c.actor, c.name, c.role, c.env...)
		if fault.Of(err) != fault.Invalid || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestTheLastAdminStays(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w, ctx := open(t, db), t.Context()
		var wg sync.WaitGroup
		names := []id.Person{"a", "b", "c", "d"}
		for _, n := range names {
			w.create(n, Admin)
		}
		w.create("half", Admin, "ci")
		w.journal = func(context.Context, *sql.Tx, *event.Event) error { return nil }
		errs := make([]error, len(names))
		for i, n := range names {
			wg.Go(func() { errs[i] = w.Revoke(ctx, n, n) })
		}
		wg.Wait()
		kept := 0
		for _, err := range errs {
			if fault.Of(err) == fault.Conflict && err != nil {
				kept++
			} else if err != nil {
				t.Error(err)
			}
		}
		if all, err := w.List(ctx); kept != 1 || err != nil || len(all) != 2 {
			t.Errorf("%d kept, %+v, %v", kept, all, err)
		}
		if err := w.Revoke(ctx, "a", "half"); err != nil {
			t.Error(err)
		}
	})
}

func TestSessions(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w, ctx := open(t, db), t.Context()
		w.create("root", Admin)
		who, err := w.Verify(ctx, w.create("ada", Operator, "ci"))
		if err != nil {
			t.Fatal(err)
		}
		start := func() string {
			value, until, err := w.NewSession(ctx, who)
			if err != nil || !until.Equal(w.clock.Add(longest)) {
				t.Fatal(until, err)
			}
			return value
		}
		ended := func(value string) {
			t.Helper()
			if _, err := w.Session(ctx, value); fault.Of(err) != fault.Anonymous {
				t.Error(err)
			}
		}
		idle, used, out := start(), start(), start()
		if got, err := w.Session(ctx, idle); err != nil || got.Name != "ada" || got.Environments["ci"] != Operator {
			t.Errorf("%+v, %v", got, err)
		}
		ended("")
		ended("x")
		if err := w.EndSession(ctx, out); err != nil {
			t.Error(err)
		}
		ended(out)
		for range 3 {
			w.clock = w.clock.Add(6 * time.Hour)
			if _, err := w.Session(ctx, used); err != nil {
				t.Error(err)
			}
		}
		ended(idle)
		for w.clock.Sub(time.Unix(1_800_000_000, 0)) < longest {
			if _, err := w.Session(ctx, used); err != nil {
				t.Fatal(err)
			}
			w.clock = w.clock.Add(11 * time.Hour)
		}
		ended(used)
		last := start()
		var n int
		if err := db.Read().QueryRow(`SELECT count(*) FROM access_session`).Scan(&n); err != nil || n != 1 {
			t.Errorf("%d sessions are kept, %v", n, err)
		}
		if err := w.Revoke(ctx, "root", "ada"); err != nil {
			t.Fatal(err)
		}
		ended(last)
		w.create("ada", Viewer)
		ended(last)
		if _, _, err := w.NewSession(ctx, who); fault.Of(err) != fault.Anonymous {
			t.Error(err)
		}
	})
}

func TestFirst(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w, ctx := open(t, db), t.Context()
		path := filepath.Join(t.TempDir(), "data", "admin.token")
		if created, err := w.First(ctx, path); err != nil || !created {
			t.Fatal(created, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatal(info.Mode(), err)
		}
		text, _ := os.ReadFile(path)
		who, err := w.Verify(ctx, strings.TrimSpace(string(text)))
		if err != nil || who.Name != "admin" || who.May(Admin, "") != nil {
			t.Fatalf("%+v, %v", who, err)
		}
		if e := w.events[0]; e.Actor != event.Steer || e.Type != event.TokenCreated {
			t.Errorf("%+v", e)
		}
		w.create("root", Admin)
		if err := w.Revoke(ctx, "root", "admin"); err != nil {
			t.Fatal(err)
		}
		os.Remove(path)
		if created, err := w.First(ctx, path); err != nil || created {
			t.Error("a second first token", err)
		}
		if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
			t.Error(entries)
		}
	})
}

func TestFirstOfTwoServersAtOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w := open(t, db)
		w.journal = func(context.Context, *sql.Tx, *event.Event) error { return nil }
		var wg sync.WaitGroup
		var made [4]bool
		dir := t.TempDir()
		for i := range made {
			wg.Go(func() {
				var err error
				if made[i], err = w.First(t.Context(), filepath.Join(dir, fmt.Sprint(i), "admin.token")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		files, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
		n := 0
		for _, m := range made {
			if m {
				n++
			}
		}
		if n != 1 || len(files) != 1 {
			t.Errorf("%d made, files %v", n, files)
		}
	})
}

func TestFirstReplacesWhatACrashLeft(t *testing.T) {
	w := open(t, databasetest.SQLite(t))
	path := filepath.Join(t.TempDir(), "admin.token")
	os.WriteFile(path, []byte("steer_stale"), 0o644)
	if created, err := w.First(t.Context(), path); err != nil || !created {
		t.Fatal(created, err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 || info.Size() != 71 {
		t.Error(info.Mode(), info.Size())
	}
}

func TestMay(t *testing.T) {
	ada := Identity{Name: "ada", Role: Viewer, Environments: map[id.Environment]Role{"ci": Operator, "uat": Developer}}
	for _, c := range []struct {
		role Role
		env  id.Environment
		want string
	}{
		{Viewer, "", ""}, {Viewer, "production", ""}, {Operator, "ci", ""}, {Developer, "ci", ""},
		{Operator, "uat", "this needs the role operator in uat, and ada is developer there (ask an admin for a token with that role)"},
		{Developer, "", "this needs the role developer everywhere, and ada is viewer, operator in ci, developer in uat (ask an admin for a token with that role)"},
		{Admin, "production", "this needs the role admin in production, and ada is viewer there"},
	} {
		err := ada.May(c.role, c.env)
		if (err == nil) != (c.want == "") || err != nil && (!strings.HasPrefix(err.Error(), c.want) || fault.Of(err) != fault.Denied) {
			t.Errorf("%v in %q: %v, want %q", c.role, c.env, err, c.want)
		}
	}
	if (Identity{Name: "x"}).May(Viewer, "") == nil {
		t.Error("the zero identity may look")
	}
	text, err := json.Marshal(ada)
	if err != nil || string(text) != `{"name":"ada","role":"viewer","environments":{"ci":"operator","uat":"developer"}}` {
		t.Error(string(text), err)
	}
	var r Role
	if json.Unmarshal([]byte(`"admin"`), &r) != nil || r != Admin || json.Unmarshal([]byte(`"root"`), &r) == nil {
		t.Error(r)
	}
}

func TestVerifyFromLimitsWrongTokens(t *testing.T) {
	w, ctx := open(t, databasetest.SQLite(t)), t.Context()
	token := w.create("ada", Viewer)
	try := func(from string) fault.Kind {
		_, err := w.VerifyFrom(ctx, from, "steer_wrong")
		return fault.Of(err)
	}
	for i := range burst {
		if k := try("10.0.0.1"); k != fault.Anonymous {
			t.Fatalf("try %d: %v", i, k)
		}
	}
	if try("10.0.0.1") != fault.TooMuch || try("::ffff:10.0.0.1") != fault.TooMuch || try("10.0.0.2") != fault.Anonymous {
		t.Error("limit is wrong")
	}
	if _, err := w.VerifyFrom(ctx, "10.0.0.1", token); err != nil {
		t.Errorf("a valid token is locked out: %v", err)
	}
	w.clock = w.clock.Add(interval)
	if try("10.0.0.1") != fault.Anonymous || try("10.0.0.1") != fault.TooMuch {
		t.Error("nothing is forgiven")
	}
	for i := range 3 * sources {
		try(fmt.Sprintf("2001:db8:%x::1", i))
	}
	if n := len(w.failed.forgiven); n > sources+1 {
		t.Errorf("%d sources are remembered", n)
	}
	if try("2001:db8:0:0:1:2:3:4") != fault.Anonymous {
		t.Error("a /64 shares one count of ten")
	}
	if try("198.51.100.7") != fault.TooMuch {
		t.Error("sources beyond the bound share one count")
	}
	w.clock = w.clock.Add(time.Hour)
	if try("198.51.100.7") != fault.Anonymous || len(w.failed.forgiven) > 2 {
		t.Errorf("%d sources are remembered for ever", len(w.failed.forgiven))
	}
}
