package file_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
	"golang.org/x/sys/unix"

	"steer/infra"
	"steer/infra/converge"
	"steer/infra/infratest"
	"steer/infra/resource/file"
	"steer/infra/resource/file/internal/filetest"
)

// purging is a folder that is purged, in which others declare some paths.
func purging(t *testing.T, text string, declared ...string) infra.Resource {
	t.Helper()
	r := resource(t, "directory", "", text)
	r.(infra.Purger).Spare(declared)
	return r
}

// purged lists what a diff says goes.
func purged(d infra.Diff) string {
	var all []string
	for _, f := range d.Fields {
		if f.Name == "purge" {
			all = append(all, f.Old)
		}
	}
	return strings.Join(all, " ")
}

func TestPurge(t *testing.T) {
	infratest.Inside(t, func() { purge(t) })
}

func purge(t *testing.T) {
	h := infra.NewHost(t.Context())
	infratest.Shell(t, `mkdir -p /srv/d/deep/er /srv/d/theirs /srv/d/way/to /srv/d/old/x /srv/outside/in
		touch /srv/d/a /srv/d/b /srv/d/b.bak /srv/d/my.local /srv/d/deep/er/f /srv/d/theirs/f /srv/d/way/to/it /srv/d/way/else /srv/d/old/x/f /srv/d/.hidden /srv/outside/in/f
		mkdir /srv/d/kept && touch /srv/d/kept/x.local /srv/d/kept/y
		ln -s /srv/outside /srv/d/link; ln -s nowhere /srv/d/dangling; mkfifo /srv/d/pipe; printf x > '/srv/d/new
line'`)
	d := purging(t, "{path: /srv/d, purge: true, keep: ['*.local', 'old/x']}", "/srv/d/b", "/srv/d/theirs", "/srv/d/way/to/it", "/srv/d/not/yet")
	diff := filetest.Settle(t, h, d)
	if got := purged(diff); diff.Action != infra.Update || got != ".hidden a dangling deep/ kept/y link new\nline pipe way/else" {
		t.Errorf("%s: %q", diff.Action, got)
	}
	filetest.WantOnly(t, "/srv/d", "b", "b.bak", "kept", "my.local", "old", "theirs", "way")
	filetest.WantOnly(t, "/srv/d/old/x", "f")
	filetest.WantOnly(t, "/srv/d/theirs", "f")
	filetest.WantOnly(t, "/srv/d/way", "to")
	filetest.WantOnly(t, "/srv/d/kept", "x.local")
	filetest.WantOnly(t, "/srv/outside/in", "f") // a link goes, not where it leads
	filetest.WantDiff(t, filetest.Settle(t, h, d), "")

	// What is mounted stays, with its own file system or not; also a file.
	infratest.Shell(t, `mkdir -p /srv/d/tmpfs /srv/d/gone/bind /srv/data && touch /srv/data/precious /srv/d/file
		mount -t tmpfs tmpfs /srv/d/tmpfs && touch /srv/d/tmpfs/precious
		mount --bind /srv/data /srv/d/gone/bind; mount --bind /srv/data/precious /srv/d/file; touch /srv/d/gone/f`)
	if got := purged(filetest.Settle(t, h, d)); got != "gone/f" {
		t.Errorf("%q", got)
	}
	filetest.WantOnly(t, "/srv/data", "precious")
	filetest.WantOnly(t, "/srv/d/tmpfs", "precious")
	infratest.Shell(t, "umount /srv/d/tmpfs /srv/d/gone/bind /srv/d/file && rm -r /srv/d")

	// A new folder has nothing to purge; one declared by way of a link stays.
	d = purging(t, "{path: /srv/d, purge: true}", "/srv/d/current/conf")
	filetest.WantDiff(t, filetest.Settle(t, h, d), "create")
	infratest.Shell(t, "mkdir /srv/d/v1 && ln -s v1 /srv/d/current && touch /srv/d/v1/conf /srv/d/v1/other")
	if got := purged(filetest.Settle(t, h, d)); got != "v1/other" {
		t.Errorf("%q", got)
	}
	// Twenty are named, the rest is counted.
	for i := range 25 {
		filetest.Write(t, fmt.Sprintf("/srv/d/f%02d", i), "")
	}
	if diff := filetest.Settle(t, h, d); len(diff.Fields) != 21 || diff.Fields[20].Old != "and 5 more" {
		t.Errorf("%+v", diff)
	}
	os.MkdirAll("/srv/many", 0o755)
	for i := range 10_001 {
		if err := unix.Mknod(fmt.Sprintf("/srv/many/%d", i), unix.S_IFREG, 0); err != nil {
			t.Fatal(err)
		}
	}
	filetest.WantError(t, h, purging(t, "{path: /srv/many, purge: true}"), "there is more to remove than 10000 files")
	if list, _ := os.ReadDir("/srv/many"); len(list) != 10_001 {
		t.Errorf("%d files are left", len(list))
	}
	// A folder of the system by another name.
	os.Symlink("/usr", "/srv/settings")
	filetest.WantError(t, h, purging(t, "{path: /srv/settings/lib, purge: true}"), "purge: /usr/lib is a folder of the system")

	// What it removes cannot be brought back, and is not said to be.
	filetest.Write(t, "/srv/d/stray", "")
	if _, err := d.(infra.Captured).Capture(t.Context(), h); err == nil {
		t.Error("captured without what is removed")
	}
}

func TestPurgeRefused(t *testing.T) {
	for folder, ok := range map[string]bool{
		"/etc": false, "/usr": false, "/var": false, "/home": false, "/root": false, "/srv": false, "/opt": false, "/home/anna": false, "/usr/bin": false, "/usr/share/doc": false,
		"/usr/local": false, "/var/lib": false, "/var/log": false, "/var/lib/dpkg/info": false, "/var/lib/steer-host": false, "/boot/grub": false, "/proc/sys": false, "/lib/systemd/system": false,
		"/etc/nginx/sites-enabled": true, "/etc/cron.d": true, "/srv/www": true, "/usr/local/bin": true, "/var/lib/shop": true, "/home/anna/bin": true,
	} {
		_, err := filetest.Decode(file.Kinds(), "directory", "{path: "+folder+", purge: true}")
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "purge: "+folder+" is a folder of the system") {
			t.Errorf("%s: %v", folder, err)
		}
	}
	for text, want := range map[string]string{
		"{path: /srv/a, keep: ['*.x']}":                                  "keep: names are for purge",
		"{path: /srv/a, purge: true, keep: ['[']}":                       `"[" is no pattern`,
		"{path: /srv/a, purge: true, keep: [../x]}":                      "is no pattern of names in the folder",
		"{path: /srv/a, purge: true, keep: true}":                        "keep: is for state absent",
		"{path: /srv/a, purge: true, state: absent}":                     "purge: is for a folder that stays",
		"{path: /srv/a, purge: true, state: absent, force: true}":        "purge: is for a folder that stays",
		"{path: /srv/a, purge: true, keep: {a: b}}":                      "keep",
		"{path: /srv/a, state: absent, keep: true, declared: [x], a: 1}": "a: unknown key",
	} {
		if _, err := filetest.Decode(file.Kinds(), "directory", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	// Nothing of it is lost on the way to the host.
	r := purging(t, "{path: /srv/d, purge: true, keep: ['*.x', y]}", "/srv/d/a")
	b, err := yaml.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := filetest.Decode(file.Kinds(), "directory", string(b)); err != nil || cmp.Diff(r, again) != "" {
		t.Errorf("%s: %v %s", b, err, cmp.Diff(r, again))
	}
}

// What was removed because nobody declares it is back after a rollback, and what cannot be
// is told.
func TestPurgeIsUndone(t *testing.T) {
	dir := t.TempDir()
	old := syscall.Umask(0o022)
	defer syscall.Umask(old)
	text := `mkdir -p etc/d/sub/deep etc/d/empty && chmod 700 etc/d/sub && printf declared > etc/d/f
		printf secret > etc/d/sub/deep/a && chmod 600 etc/d/sub/deep/a && printf '\377\0' > etc/d/b && ln -s nowhere etc/d/l && mkfifo etc/d/p && touch 'etc/d/n
n' && truncate -s 5M etc/d/large && ln -s d etc/alias && touch etc/d/aliased`
	infratest.Shell(t, "cd "+dir+" && "+text)
	list := func() string {
		return infratest.Shell(t, "cd "+dir+"/etc/d && find . -mindepth 1 -printf '%P %y %m %l\\n' | sort; cat sub/deep/a b 2>/dev/null | od -An -c || true")
	}
	before := list()
	d, f := resource(t, "directory", dir, "{path: DIR/etc/d, purge: true}"), resource(t, "file", dir, "{path: DIR/etc/d/f, content: declared}")
	d.(infra.Purger).Spare([]string{dir + "/etc/d/f", dir + "/etc/alias/aliased"})
	m := infra.Manifest{Resources: []infra.Declared{
		{Kind: "directory", ID: d.ID(), Resource: d, Role: "r", Class: "files"}, {Kind: "file", ID: f.ID(), Resource: f, Role: "r", Class: "files"},
	}}
	var events []converge.Event
	o := converge.Options{Host: infra.NewHost(t.Context()), Kinds: file.Kinds(), Dir: dir + "/state", Event: func(e converge.Event) { events = append(events, e) }}
	if r, err := converge.Run(t.Context(), m, o); err != nil || r.Changes() != 1 {
		t.Fatalf("%+v %v", events, err)
	}
	filetest.WantOnly(t, dir+"/etc/d", "aliased", "f")
	events = nil
	r, err := converge.Rollback(t.Context(), -1, o)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("large f 644 \n", "", "n\nn f 644 \n", "", "p p 644 \n", "").Replace(before)
	if after := list(); after != want {
		t.Errorf("%s\nwant\n%s\n%+v", after, want, events)
	}
	notes := strings.Join(r.Notes, "\n")
	for _, left := range []string{"d/p is a pipe", "d/large has more than 4 MiB", "has a character that paths can't have here"} {
		if !strings.Contains(notes, left) {
			t.Errorf("nothing says %q:\n%s", left, notes)
		}
	}
	for _, e := range events {
		if b, _ := json.Marshal(e); strings.Contains(string(b), "secret") {
			t.Errorf("%s shows what may be a secret", b)
		}
	}
	// Where Steer remembers things is no folder to purge.
	d = resource(t, "directory", dir, "{path: DIR/etc, purge: true}")
	m.Resources[0].Resource, m.Resources[0].ID, o.Dir = d, d.ID(), dir+"/etc/alias/steer"
	events = nil
	if r, err := converge.Run(t.Context(), m, o); err != nil || !r.Failed() || !strings.Contains(events[0].Why, "is what Steer remembers of this host") {
		t.Errorf("%+v %v", events, err)
	}
}
