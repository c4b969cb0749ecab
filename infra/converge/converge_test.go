package converge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/infratest"
)

// world is a host of one test: folders for things and for what the host remembers.
type world struct {
	t      *testing.T
	dir    string
	state  string
	events []converge.Event
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), state: filepath.Join(t.TempDir(), "state")}
	return w
}

func (w *world) note(name, text string, with ...func(*infra.Declared)) infra.Declared {
	p := filepath.Join(w.dir, name)
	d := infra.Declared{Kind: "note", ID: p, Resource: &infratest.Note{Path: p, Text: text, State: "present"}, Class: "notes", Role: "r", Place: "r.yaml:1"}
	for _, f := range with {
		f(&d)
	}
	return d
}

func (w *world) bell(with ...func(*infra.Declared)) infra.Declared {
	p := filepath.Join(w.dir, "bell")
	d := infra.Declared{Kind: "bell", ID: p, Resource: &infratest.Bell{Path: p}, Role: "r"}
	for _, f := range with {
		f(&d)
	}
	return d
}

func (w *world) tellsBell(d *infra.Declared) {
	d.Notify = []string{"bell:" + filepath.Join(w.dir, "bell")}
}

// run converges, and returns the results as "note:a changed create; …".
func (w *world) run(o converge.Options, all ...infra.Declared) (string, converge.Report) {
	w.t.Helper()
	got, report, err := w.try(w.t.Context(), o, all...)
	if err != nil {
		w.t.Fatal(err)
	}
	return got, report
}

func (w *world) try(ctx context.Context, o converge.Options, all ...infra.Declared) (string, converge.Report, error) {
	w.events = nil
	o.Host, o.Kinds, o.Dir = infra.NewHost(ctx), infratest.Kinds(), w.state
	o.Event = func(e converge.Event) { w.events = append(w.events, e) }
	report, err := converge.Run(ctx, infra.Manifest{Resources: all}, o)
	return w.told(), report, err
}

// told are the events in one line.
func (w *world) told() string {
	var got []string
	for _, e := range w.events {
		line := strings.TrimSpace(strings.ReplaceAll(e.Ref, w.dir+"/", "") + " " + string(e.Status) + " " + string(e.Diff.Action))
		if e.Why != "" {
			line += " (" + strings.ReplaceAll(e.Why, w.dir+"/", "") + ")"
		}
		got = append(got, line)
	}
	slices.Sort(got)
	return strings.Join(got, "; ")
}

func (w *world) is(got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("got  %s\nwant %s", got, want)
	}
}

func (w *world) file(name string) string {
	b, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		return "(none)"
	}
	return string(b)
}

func (w *world) write(name, text string) {
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func TestConverge(t *testing.T) {
	w := newWorld(t)
	a, b, bell := w.note("a", "x", w.tellsBell), w.note("b", "y"), w.bell()

	got, r := w.run(converge.Options{DryRun: true}, a, b, bell)
	w.is(got, "bell:bell planned run (notified); note:a planned create; note:b planned create")
	if _, err := os.Stat(w.state); err == nil {
		t.Error("a dry run wrote state")
	}
	if r.Changes() != 3 || r.Failed() {
		t.Errorf("%+v", r)
	}

	got, first := w.run(converge.Options{}, a, b, bell)
	w.is(got, "bell:bell changed run (notified); note:a changed create; note:b changed create")
	w.is(w.file("a")+w.file("b")+w.file("bell"), "xyrung\n")
	if first.Generation != 1 {
		t.Errorf("generation %d", first.Generation)
	}

	before, _ := os.Stat(filepath.Join(w.state, "state.json"))
	got, second := w.run(converge.Options{}, a, b, bell)
	w.is(got, "bell:bell ok; note:a ok; note:b ok")
	if after, _ := os.Stat(filepath.Join(w.state, "state.json")); !after.ModTime().Equal(before.ModTime()) {
		t.Error("nothing changed, and the state was written")
	}
	if second.Hash != first.Hash || second.Generation != 1 {
		t.Errorf("first %+v, second %+v", first, second)
	}

	w.write("b", "drifted")
	got, dry := w.run(converge.Options{DryRun: true}, a, b, bell)
	w.is(got, "bell:bell ok; note:a ok; note:b planned update")
	if text := w.events[slices.IndexFunc(w.events, func(e converge.Event) bool { return e.Status == converge.Planned })].Diff.Fields[0].Text; !strings.Contains(text, "-drifted") || !strings.Contains(text, "+y") {
		t.Errorf("diff %q", text)
	}
	if dry.Hash == first.Hash {
		t.Error("a host that drifted has the hash of one that did not")
	}
	_, healed := w.run(converge.Options{}, a, b, bell)
	if w.file("b") != "y" || healed.Hash != first.Hash || healed.Generation != 2 {
		t.Errorf("%q %+v", w.file("b"), healed)
	}
}

// TestNoLongerDeclared: what a run created goes when nobody declares it any more; what
// was there before stays.
func TestNoLongerDeclared(t *testing.T) {
	w := newWorld(t)
	w.write("old", "mine")
	w.run(converge.Options{}, w.note("a", "x"), w.note("b", "y"), w.note("old", "yours"))
	got, _ := w.run(converge.Options{Tags: []string{"none"}}, w.note("b", "y"))
	w.is(got, "")
	got, _ = w.run(converge.Options{DryRun: true}, w.note("b", "y"))
	w.is(got, "note:a planned delete (no longer declared); note:b ok")
	got, _ = w.run(converge.Options{}, w.note("b", "y"))
	w.is(got, "note:a changed delete (no longer declared); note:b ok")
	w.is(w.file("a")+w.file("b")+w.file("old"), "(none)yyours")
	got, _ = w.run(converge.Options{}, w.note("b", "y"))
	w.is(got, "note:b ok")
	// Declared again, then gone behind our back: nothing to remove is fine.
	w.run(converge.Options{}, w.note("a", "x"), w.note("b", "y"))
	os.Remove(filepath.Join(w.dir, "a"))
	got, _ = w.run(converge.Options{})
	w.is(got, "note:a ok (no longer declared); note:b changed delete (no longer declared)")
}

// TestToldAcrossTags: a resource that no tag selects is still told, and only that.
func TestToldAcrossTags(t *testing.T) {
	w := newWorld(t)
	tagged := func(d *infra.Declared) { d.Tags = []string{"config"} }
	got, _ := w.run(converge.Options{Tags: []string{"config"}}, w.note("a", "x", w.tellsBell, tagged), w.note("b", "y"), w.bell())
	w.is(got, "bell:bell changed run (notified); note:a changed create")
	w.is(w.file("a")+w.file("b")+w.file("bell"), "x(none)rung\n")
	got, _ = w.run(converge.Options{}, w.note("a", "x", w.tellsBell, tagged), w.note("b", "y"), w.bell())
	w.is(got, "bell:bell ok; note:a ok; note:b changed create")
}

// TestTornMemory: what a full disk or a death tore in the list of what was created costs
// one entry and not those after it.
func TestTornMemory(t *testing.T) {
	w := newWorld(t)
	if err := os.MkdirAll(w.state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.state, "created.jsonl"), []byte(`{"kind":"note","id":"/to`), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d := w.note("a", "x")
	d.Resource.(*infratest.Note).Applied = cancel // the run ends before it takes the list over
	if _, _, err := w.try(ctx, converge.Options{}, d); err == nil {
		t.Error("not cut off")
	}
	got, _ := w.run(converge.Options{})
	w.is(got, "note:a changed delete (no longer declared)")
}

func TestFailure(t *testing.T) {
	w := newWorld(t)
	other := func(d *infra.Declared) { d.Role = "other" }
	all := []infra.Declared{
		w.note("a", "BREAK", w.tellsBell), w.bell(), w.note("b", "y"),
		w.note("c", "z", other), w.note("d", "z", other, func(d *infra.Declared) { d.After = []string{"note:" + filepath.Join(w.dir, "a")} }),
	}
	got, r := w.run(converge.Options{}, all...)
	w.is(got, "bell:bell skipped (note:a failed); note:a failed create (cannot be written: BREAK); note:b skipped (note:a failed before it); note:c changed create; note:d skipped (note:a failed)")
	if !r.Failed() || r.Counts[converge.Failed] != 1 || r.Counts[converge.Skipped] != 3 {
		t.Errorf("%+v", r)
	}
	state, err := converge.ReadState(w.state)
	if err != nil || state.Hash != "" || !state.Converged.IsZero() || state.Applying != nil {
		t.Errorf("%+v %v", state, err)
	}
}

func TestSensitive(t *testing.T) {
	w := newWorld(t)
	w.write("a", "old hunter2")
	secret := func(d *infra.Declared) { d.Sensitive = true }
	for _, text := range []string{"new hunter2", "BREAK hunter2"} {
		w.run(converge.Options{}, w.note("a", text, secret))
		b, _ := json.Marshal(w.events)
		if all := string(b); strings.Contains(all, "hunter2") || !strings.Contains(all, "(sensitive)") {
			t.Error(all)
		}
	}
	state, _ := os.ReadFile(filepath.Join(w.state, "state.json"))
	if strings.Contains(string(state), "hunter2") {
		t.Errorf("%s", state)
	}
}

func TestUnattended(t *testing.T) {
	w := newWorld(t)
	ask := func(d *infra.Declared) { d.Heal = infra.AskDrift }
	// What was never as declared is no drift.
	w.write("a", "before")
	got, r := w.run(converge.Options{Unattended: true}, w.note("a", "x", ask), w.note("b", "y"))
	w.is(got, "note:a changed update; note:b changed create")
	w.write("a", "drifted")
	w.write("b", "drifted")
	got, r = w.run(converge.Options{Unattended: true}, w.note("a", "x", ask), w.note("b", "y"))
	w.is(got, "note:a drifted update (left as it is: heal is ask); note:b changed update")
	for _, e := range w.events {
		if !e.Drift {
			t.Errorf("%+v is drift", e)
		}
	}
	got, _ = w.run(converge.Options{Unattended: true}, w.note("a", "x", ask), w.note("b", "y"))
	w.is(got, "note:a drifted update (left as it is: heal is ask); note:b ok")
	if r.Failed() || w.file("a") != "drifted" {
		t.Errorf("%+v", r)
	}
	// A new declaration is none either, whatever stands there.
	got, _ = w.run(converge.Options{Unattended: true}, w.note("a", "z", ask))
	w.is(got, "note:a changed update; note:b changed delete (no longer declared)")
	w.write("a", "drifted")
	got, _ = w.run(converge.Options{}, w.note("a", "z", ask))
	w.is(got, "note:a changed update")
}

func TestLocked(t *testing.T) {
	w := newWorld(t)
	inner := ""
	d := w.note("a", "x")
	d.Resource.(*infratest.Note).Applied = func() {
		_, err := converge.Run(t.Context(), infra.Manifest{}, converge.Options{Host: &infra.Host{}, Dir: w.state})
		if inner = fmt.Sprint(err); fault.Of(err) != fault.Conflict {
			t.Errorf("got %v", err)
		}
	}
	w.run(converge.Options{}, d)
	if !strings.Contains(inner, fmt.Sprintf("another run changes this host: process %d since 2", os.Getpid())) {
		t.Error(inner)
	}
}

// TestKilled: a run that dies in the middle is noticed by the next one, which
// finishes what it began: it knows what was created, and whom to tell.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("STEER_TEST_KILLED"); dir != "" {
		w := &world{t: t, dir: dir, state: filepath.Join(dir, "state")}
		last := w.note("c", "z")
		last.Resource.(*infratest.Note).Applied = func() { p, _ := os.FindProcess(os.Getpid()); p.Kill(); select {} }
		last.Class = ""
		w.run(converge.Options{By: "somebody"}, w.note("a", "x", w.tellsBell), w.note("b", "y"), last, w.bell(func(d *infra.Declared) { d.After = []string{last.Ref()} }))
	}
	w := newWorld(t)
	w.state = filepath.Join(w.dir, "state")
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "STEER_TEST_KILLED="+w.dir)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("%v\n%s", err, out)
	}
	w.is(w.file("a")+w.file("b")+w.file("c")+w.file("bell"), "xy(none)(none)")
	state, err := converge.ReadState(w.state)
	if err != nil || state.Applying == nil || state.Applying.By != "somebody" || len(state.Owned) != 3 {
		t.Fatalf("%+v %v", state, err)
	}
	// a is as declared already, and the bell was never told.
	got, r := w.run(converge.Options{}, w.note("a", "x", w.tellsBell), w.bell())
	w.is(got, "bell:bell changed run (notified); note:a ok; note:b changed delete (no longer declared); note:c ok (no longer declared)")
	if r.CutOff == nil || r.CutOff.By != "somebody" || w.file("bell") != "rung\n" {
		t.Errorf("%+v", r)
	}
	got, r = w.run(converge.Options{}, w.note("a", "x", w.tellsBell), w.bell())
	w.is(got, "bell:bell ok; note:a ok")
	if r.CutOff != nil {
		t.Errorf("%+v", r.CutOff)
	}
}

func TestEnded(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	d := w.note("a", "x")
	d.Class = ""
	d.Resource.(*infratest.Note).Applied = cancel
	got, _, err := w.try(ctx, converge.Options{}, d, w.note("b", "y"))
	w.is(got, "note:a changed create; note:b skipped (the run was ended)")
	if err == nil {
		t.Error("no error")
	}
	if state, _ := converge.ReadState(w.state); state.Applying == nil {
		t.Errorf("%+v", state)
	}
}

func TestStateThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	w.state = filepath.Join(w.dir, "file", "state")
	w.write("file", "")
	if _, _, err := w.try(t.Context(), converge.Options{}, w.note("a", "x")); err == nil || !strings.Contains(err.Error(), "make the folder for the state of this host") {
		t.Error(err)
	}
	if w.file("a") != "(none)" {
		t.Error("changed although it could not be remembered")
	}
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	var all []infra.Declared
	for i := range 300 {
		all = append(all, w.note(fmt.Sprint("n", i), fmt.Sprint(i)))
	}
	_, r := w.run(converge.Options{Parallel: 16}, all...)
	if r.Counts[converge.Changed] != 300 {
		t.Errorf("%+v", r)
	}
	if state, err := converge.ReadState(w.state); err != nil || len(state.Owned) != 300 || len(state.Leaves) != 300 {
		t.Errorf("%d owned, %d leaves, %v", len(state.Owned), len(state.Leaves), err)
	}
}

// TestEqualHosts: what tells a host from its equals is no difference.
func TestEqualHosts(t *testing.T) {
	w := newWorld(t)
	hash := func(name, address, text string) string {
		h := infra.NewHost(t.Context())
		h.Facts.Name, h.Facts.FQDN, h.Facts.Addresses = name, name+".example.com", []string{address}
		r, err := converge.Run(t.Context(), infra.Manifest{Resources: []infra.Declared{w.note("a", text)}},
			converge.Options{Host: h, Kinds: infratest.Kinds(), Dir: filepath.Join(t.TempDir(), "state")})
		if err != nil {
			t.Fatal(err)
		}
		for ref := range r.Leaves {
			if strings.Contains(ref, name) {
				t.Errorf("the leaf %s tells the host", ref)
			}
		}
		return r.Hash
	}
	one := hash("web-1", "10.0.0.1", "I am web-1.example.com at 10.0.0.1")
	if two := hash("web-2", "10.0.0.2", "I am web-2.example.com at 10.0.0.2"); two != one {
		t.Error("two equal hosts have different hashes")
	}
	if three := hash("web-3", "10.0.0.3", "I am web-1.example.com at 10.0.0.1"); three == one {
		t.Error("a host that says that it is another is equal")
	}
}

// TestPlanReadsLikeRoles: a dry run tells its results in the order of the roles, although
// many resources are compared at the same time.
func TestPlanReadsLikeRoles(t *testing.T) {
	w := newWorld(t)
	var all []infra.Declared
	for i := range 100 {
		name := fmt.Sprintf("n%02d", i)
		w.write(name, strings.Repeat("old", (i%10)*10000)) // some take longer than others
		all = append(all, w.note(name, "new"))
	}
	for range 5 {
		w.run(converge.Options{DryRun: true}, all...)
		if !slices.IsSortedFunc(w.events, func(a, b converge.Event) int { return strings.Compare(a.Ref, b.Ref) }) || len(w.events) != len(all) {
			t.Fatal("the results come in another order")
		}
	}
}

// TestSkippedRemoval: what is no longer declared, and stays since its role failed, is told
// as such.
func TestSkippedRemoval(t *testing.T) {
	w := newWorld(t)
	w.run(converge.Options{}, w.note("a", "x"), w.note("b", "y"))
	got, _ := w.run(converge.Options{}, w.note("a", "BREAK"))
	w.is(got, "note:a failed update (cannot be written: BREAK); note:b skipped (no longer declared; note:a failed before it)")
	got, _ = w.run(converge.Options{}, w.note("a", "x"))
	w.is(got, "note:a ok; note:b changed delete (no longer declared)")
}
