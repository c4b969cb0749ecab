package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/base/config"
	"steer/infra"
	"steer/infra/infratest"
)

func TestRefused(t *testing.T) {
	for _, c := range []struct{ kind, text, want string }{
		{"command", "{}", "run: say what to run"},
		{"command", "{run: a, args: [b]}", "run: say what to run"},
		{"command", "{run: ' '}", "run: say what to run"},
		{"command", "{args: ['']}", "args[0]: the program is missing"},
		{"command", "{run: a, creates: x}", "creates: \"x\" is no absolute path"},
		{"command", "{run: a, dir: x}", "dir: \"x\" is no absolute path"},
		{"command", "{run: a, env: {'A B': c}}", "is no name of a variable"},
		{"command", "{run: a, timeout: 0s}", "timeout: must be more than 0"},
		{"command", "{run: a, codes: [0, 256]}", "codes[1]: 256 is not from 0 to 255"},
		{"puppet", "{}", "manifest: is missing"},
		{"puppet", "{manifest: /etc/site.pp}", "manifest: \"/etc/site.pp\" is no name of a file of the role"},
		{"puppet", "{manifest: a.pp, files: [../b]}", "files[0]: \"../b\" is no name"},
		{"ansible", "{playbook: a.yml, contents: {/etc/passwd: x}}", "is no name of a file of the role"},
		{"ansible", "{playbook: a.yml, timeout: -1s}", "timeout: must be more than 0"},
	} {
		kind, _ := Kinds().Find(c.kind)
		if err := config.Decode("test.yaml", []byte(c.text), kind.New()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %s", c.kind, c.text, err, c.want)
		}
	}
}

// needs says why a command has to run, "" if it has not.
func needs(t *testing.T, h *infra.Host, r infra.Resource) string {
	t.Helper()
	d, err := r.Diff(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if d.Empty() {
		return ""
	}
	if d.Action != infra.Run || len(d.Fields) != 2 {
		t.Fatalf("%+v", d)
	}
	return d.Fields[1].New
}

func TestGuards(t *testing.T) {
	h := infra.NewHost(t.Context())
	dir := t.TempDir()
	there, gone := filepath.Join(dir, "there"), filepath.Join(dir, "gone")
	if err := os.Symlink("nowhere", there); err != nil { // a dangling link is there
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"{run: x}", "nothing says when it is needed: it runs each time"},
		{"{run: x, on_notify: true}", ""},
		{"{run: x, creates: " + there + "}", ""},
		{"{run: x, creates: " + gone + "}", gone + " is missing"},
		{"{run: x, removes: " + there + "}", there + " is there"},
		{"{run: x, removes: " + gone + "}", ""},
		{"{run: x, only_if: 'true'}", "only_if ended with code 0"},
		{"{run: x, only_if: exit 3}", ""},
		{"{run: x, unless: 'true'}", ""},
		{"{run: x, unless: exit 3}", "unless ended with code 3"},
		{"{run: x, creates: " + gone + ", unless: 'true'}", ""},
		{"{run: x, creates: " + gone + ", unless: 'false'}", gone + " is missing, unless ended with code 1"},
		{"{run: x, only_if: 'test \"$A\" = \"b c\"', env: {A: b c}}", "only_if ended with code 0"},
		{"{run: x, only_if: 'test $PWD = " + dir + "', dir: " + dir + "}", "only_if ended with code 0"},
		{"{run: x, only_if: 'true', user: nobody-here}", "there is no user nobody-here yet to ask only_if"},
		{"{run: x, unless: 'true', dir: " + gone + "}", "there is no folder " + gone + " yet to ask unless in"},
	} {
		if got := needs(t, h, infratest.Decoded(t, &Command{}, c[0])); got != c[1] {
			t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
	if _, err := infratest.Decoded(t, &Command{}, "{run: x, only_if: sleep 60, timeout: 50ms}").Diff(t.Context(), h); err == nil || !strings.Contains(err.Error(), "ask only_if: run /bin/sh") {
		t.Error(err)
	}
}

func TestRun(t *testing.T) {
	h := infra.NewHost(t.Context())
	dir := t.TempDir()
	run := func(text string) error {
		t.Helper()
		return infratest.Decoded(t, &Command{}, text).Apply(t.Context(), h, infra.Diff{Action: infra.Run})
	}
	out := filepath.Join(dir, "out")
	made := infratest.Decoded(t, &Command{}, "{run: 'echo \"$A\" > out', creates: "+out+", dir: "+dir+", env: {A: hello}}")
	if needs(t, h, made) == "" {
		t.Fatal("not needed")
	}
	if err := made.Apply(t.Context(), h, infra.Diff{}); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(out); string(b) != "hello\n" || needs(t, h, made) != "" {
		t.Errorf("%q", b)
	}
	// No shell touches arguments.
	literal := filepath.Join(dir, "a b;$HOME*")
	if err := run("{args: [touch, '" + literal + "']}"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(literal); err != nil {
		t.Error(err)
	}
	if err := run("{run: exit 3, codes: [0, 3]}"); err != nil {
		t.Error(err)
	}
	for _, c := range [][2]string{
		{"{run: 'echo out; echo no space >&2; exit 3', codes: [0, 1]}", "ended with code 3 (done is 0, 1):\nout\nno space"},
		{"{run: exit 0, codes: [1]}", "ended with code 0 (done is 1), and wrote nothing"},
		{"{run: 'seq 1 100; exit 1'}", "ended with code 1:\n…\n91\n92\n"},
		{"{run: printf '\\377'; exit 1}", "ended with code 1:\n?"},
		{"{run: 'true', creates: " + dir + "/never}", "never is still missing (correct creates"},
		{"{run: 'true', removes: " + out + "}", "out is still there (correct removes"},
		{"{args: [no-such-program]}", "no-such-program"},
		{"{run: sleep 60, timeout: 50ms}", "not done within 50ms, killed"},
		{"{run: 'kill -9 $$'}", "signal: killed"},
	} {
		start := time.Now()
		if err := run(c[0]); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v\nwant %s", c[0], err, c[1])
		}
		if time.Since(start) > 20*time.Second {
			t.Errorf("%s took too long", c[0])
		}
	}
}

func TestNotified(t *testing.T) {
	h := infra.NewHost(t.Context())
	count := filepath.Join(t.TempDir(), "count")
	lines := func() int {
		b, _ := os.ReadFile(count)
		return strings.Count(string(b), "\n")
	}
	told := infratest.Decoded(t, &Command{}, "{run: 'echo >> "+count+"', on_notify: true}")
	for range 2 {
		if err := told.Notify(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		told = infratest.Decoded(t, &Command{}, "{run: 'echo >> "+count+"', on_notify: true}") // of the next run
	}
	if lines() != 2 {
		t.Errorf("ran %d times", lines())
	}
	always := infratest.Decoded(t, &Command{}, "run: echo >> "+count)
	if err := always.Apply(t.Context(), h, infra.Diff{}); err != nil {
		t.Fatal(err)
	}
	if err := always.Notify(t.Context(), h); err != nil || lines() != 3 {
		t.Errorf("%v, ran %d times: a notification must not repeat it", err, lines())
	}
	guarded := infratest.Decoded(t, &Command{}, "{run: 'echo >> "+count+"', on_notify: true, only_if: 'false'}")
	if err := guarded.Notify(t.Context(), h); err != nil || lines() != 3 {
		t.Errorf("%v, ran in spite of only_if", err)
	}
}

func TestOrder(t *testing.T) {
	c := infratest.Decoded(t, &Command{}, "{args: [/opt/app/setup], creates: /opt/app/data, user: web, dir: /srv/app/}")
	if got := strings.Join(append(c.Gives(), c.Needs()...), " "); got != "path:/opt/app/data user:web path:/srv/app path:/opt/app/setup" {
		t.Error(got)
	}
	if named := infratest.Decoded(t, &Command{}, "{run: x y, name: setup}"); named.ID() != "setup" || c.ID() != "/opt/app/setup" {
		t.Error(named.ID(), c.ID())
	}
}

func TestAsUser(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		c := infratest.Decoded(t, &Command{}, "{run: 'id -un > /tmp/who; echo $HOME >> /tmp/who; useradd made', user: nobody, codes: [0, 1, 127]}")
		if err := c.Apply(t.Context(), h, infra.Diff{}); err != nil {
			t.Fatal(err)
		}
		if b, _ := os.ReadFile("/tmp/who"); string(b) != "nobody\n/nonexistent\n" {
			t.Errorf("%q", b)
		}
		// What a command may have changed is looked up anew.
		if _, ok, _ := h.User("made"); ok {
			t.Error("nobody made a user")
		}
		if err := infratest.Decoded(t, &Command{}, "run: useradd made").Apply(t.Context(), h, infra.Diff{}); err != nil {
			t.Fatal(err)
		}
		if _, ok, _ := h.User("made"); !ok {
			t.Error("the user that a command made is not seen")
		}
	})
}
