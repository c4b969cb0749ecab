package file_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v4"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
	"steer/infra/infratest"
	"steer/infra/resource/file"
)

// resource decodes a declaration: DIR in it is dir.
func resource(t *testing.T, kind, dir, text string) infra.Resource {
	t.Helper()
	r, err := decode(kind, strings.ReplaceAll(text, "DIR", dir))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

func decode(kind, text string) (infra.Resource, error) {
	k, ok := file.Kinds().Find(kind)
	if !ok {
		return nil, fmt.Errorf("no kind %s", kind)
	}
	r := k.New()
	return r, config.Decode("test.yaml", []byte(text), r)
}

// settle applies what differs, and wants nothing to differ afterwards. The diff
// is that of before.
func settle(t *testing.T, h *infra.Host, r infra.Resource) infra.Diff {
	t.Helper()
	d, err := r.Diff(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if d.Empty() {
		return d
	}
	if err := r.Apply(t.Context(), h, d); err != nil {
		t.Fatal(err)
	}
	left, err := r.Diff(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if !left.Empty() {
		t.Fatalf("applied %+v, and still %+v", d, left)
	}
	return d
}

func wantDiff(t *testing.T, d infra.Diff, want string) {
	t.Helper()
	if d.String() != want {
		t.Errorf("diff %q, want %q: %+v", d, want, d)
	}
}

// wantError wants an error of Diff, or else of Apply.
func wantError(t *testing.T, h *infra.Host, r infra.Resource, want string) error {
	t.Helper()
	d, err := r.Diff(t.Context(), h)
	if err == nil {
		err = r.Apply(t.Context(), h, d)
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	return err
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func wantFile(t *testing.T, path, want string, mode os.FileMode) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || string(b) != want {
		t.Errorf("%s: %q %v, want %q", path, b, err, want)
	}
	if st, err := os.Lstat(path); err == nil && st.Mode() != mode {
		t.Errorf("%s: %v, want %v", path, st.Mode(), mode)
	}
}

// wantOnly wants nothing else in a folder: no leftovers.
func wantOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	var got []string
	for _, e := range list {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("in %s: %q %v, want %q", dir, got, err, names)
	}
}

func TestFile(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	f := resource(t, "file", dir, "{path: DIR/motd, content: \"hi\\n\", mode: '0600'}")
	d := settle(t, h, f)
	wantDiff(t, d, "create content, mode")
	if d.Fields[0].Text != "@@ -0,0 +1,1 @@\n+hi\n" {
		t.Errorf("%q", d.Fields[0].Text)
	}
	path := filepath.Join(dir, "motd")
	wantFile(t, path, "hi\n", 0o600)
	wantDiff(t, settle(t, h, f), "")

	write(t, path, "ho\n") // of the same size
	wantDiff(t, settle(t, h, f), "update content")
	wantFile(t, path, "hi\n", 0o600)
	os.Chmod(path, 0o644)
	d = settle(t, h, f)
	wantDiff(t, d, "update mode")
	if d.Fields[0] != (infra.Field{Name: "mode", Old: "0644", New: "0600"}) {
		t.Errorf("%+v", d.Fields[0])
	}
	wantFile(t, path, "hi\n", 0o600)
	wantOnly(t, dir, "motd")

	wantDiff(t, settle(t, h, f.(infra.Removable).Absent()), "delete state")
	wantOnly(t, dir)
	wantDiff(t, settle(t, h, f.(infra.Removable).Absent()), "")
}

// What is remembered for the removal is decoded again from YAML.
func TestAbsentIsRemembered(t *testing.T) {
	for kind, text := range map[string]string{
		"file": "{path: /a, content: x}", "template": "{path: /a, content: x}", "directory": "{path: /a, mode: '0700'}", "symlink": "{path: /a, target: b}",
		"line": "{path: /a, text: 'x: [y'}", "block": "{path: /a, content: secret, name: n, comment: //}",
		"archive": "{dest: /a, source: x, creates: /a/b}", "git": "{dest: /a, repository: /secret, user: daemon}",
	} {
		r := resource(t, kind, "", text)
		gone := r.(infra.Removable).Absent()
		b, err := yaml.Marshal(gone)
		if err != nil || strings.Contains(string(b), "secret") {
			t.Errorf("%s: %s %v", kind, b, err)
		}
		if again := resource(t, kind, "", string(b)); again.ID() != r.ID() {
			t.Errorf("%s: %s becomes %s", kind, r.ID(), again.ID())
		}
	}
}

func TestFileContents(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	path := filepath.Join(dir, "f")
	for i, c := range []struct{ text, before, want, diff string }{
		{"{path: DIR/f}", "-", "", "create"},
		{"{path: DIR/f}", "kept", "kept", ""},
		{"{path: DIR/f, content: \"\"}", "-", "", "create"},
		{"{path: DIR/f, content: \"\"}", "old", "", "update content"},
		{"{path: DIR/f, content: \"x\"}", "x\n", "x", "update content"}, // only the final newline
		{"{path: DIR/f, content: \"x\\n\"}", "x", "x\n", "update content"},
		{"{path: DIR/f, content: \"a\\r\\nb\\r\\n\"}", "a\nb\n", "a\r\nb\r\n", "update content"},
		{"{path: DIR/f, content: 0644}", "-", "0644", "create content"}, // looks like a number
		{"{path: DIR/f, content: /wD+, encoding: base64}", "-", "\xff\x00\xfe", "create content"},
	} {
		os.Remove(path)
		if c.before != "-" {
			write(t, path, c.before)
		}
		wantDiff(t, settle(t, h, resource(t, "file", dir, c.text)), c.diff)
		if b, err := os.ReadFile(path); err != nil || string(b) != c.want {
			t.Errorf("%d: %q %v, want %q", i, b, err, c.want)
		}
	}
	big := strings.Repeat("x", 300<<10)
	write(t, path, big)
	r := resource(t, "file", dir, "{path: DIR/f, content: '"+big[1:]+"y'}")
	d := settle(t, h, r)
	if want := (infra.Field{Name: "content", Old: "307200 bytes", New: "307200 other bytes"}); len(d.Fields) != 1 || d.Fields[0] != want {
		t.Errorf("%+v", d)
	}
}

func TestFileOfRole(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	for _, content := range []string{"text\n", "", "\x7fELF\x00\xff", "a\r\nb", "\ufeffbom", "\u2028\u0085 trailing \n\n", " # no comment\n\t- x\n"} {
		r := resource(t, "file", dir, "{path: DIR/f, source: files/x}")
		wantError(t, h, r, "files/x of the role was not read")
		read := func(name string) ([]byte, error) {
			if name != "files/x" {
				return nil, errors.New("which?")
			}
			return []byte(content), nil
		}
		if err := r.(infra.Sourced).Source(read, nil); err != nil {
			t.Fatal(err)
		}
		// It gets to the host as YAML.
		b, err := yaml.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		settle(t, h, resource(t, "file", dir, string(b)))
		wantFile(t, filepath.Join(dir, "f"), content, 0o644)
	}
	r := resource(t, "file", dir, "{path: DIR/f, source: files/y}")
	err := r.(infra.Sourced).Source(func(string) ([]byte, error) { return nil, os.ErrNotExist }, nil)
	if err == nil || err.Error() != "source: file does not exist" {
		t.Error(err)
	}
}

func TestContentsSurviveYAML(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		content := rapid.OneOf(rapid.String(), rapid.StringMatching(`([a-z:#'"\\ \t\n\r-]|é){0,40}`), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(rt, "content")
		r := &file.File{Path: "/x", From: "x"}
		if err := r.Source(func(string) ([]byte, error) { return []byte(content), nil }, nil); err != nil {
			rt.Fatal(err)
		}
		b, err := yaml.Marshal(r)
		if err != nil {
			rt.Fatal(err)
		}
		again, err := decode("file", string(b))
		if err != nil {
			rt.Fatalf("%q: %v", b, err)
		}
		if got := again.(*file.File); *got.Content != *r.Content || got.Encoding != r.Encoding {
			rt.Fatalf("%q is %q", content, *got.Content)
		}
	})
}

func TestFileAmongOthers(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	path := filepath.Join(dir, "f")
	text := "{path: DIR/f, content: new}"
	f, forced := resource(t, "file", dir, text), resource(t, "file", dir, "{path: DIR/f, content: new, force: true}")
	wantError(t, h, resource(t, "file", dir, "{path: DIR/no/f, content: x}"), "there is no folder "+dir+"/no (declare it: directory: ")
	write(t, filepath.Join(dir, "plain"), "")
	wantError(t, h, resource(t, "file", dir, "{path: DIR/plain/f, content: x}"), dir+"/plain is no folder")
	wantDiff(t, settle(t, h, resource(t, "file", dir, "{path: DIR/plain/f, state: absent}")), "")

	// A link is replaced, not written through, also one that dangles.
	other := filepath.Join(dir, "other")
	write(t, other, "others")
	for _, to := range []string{"other", "nowhere", "f"} {
		os.Remove(path)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		if to == "other" {
			wantError(t, h, resource(t, "file", dir, "{path: DIR/f, mode: '0600'}"), "is a symlink (name the file to which it leads")
		}
		wantDiff(t, settle(t, h, f), "replace type, content")
		wantFile(t, path, "new", 0o644)
	}
	wantFile(t, other, "others", 0o644)

	os.Remove(path)
	os.MkdirAll(path+"/full", 0o755)
	err := wantError(t, h, f, "f is a directory, not a file (remove it, or write force: true)")
	if fault.Of(err) != fault.Conflict {
		t.Error(fault.Of(err))
	}
	wantError(t, h, forced, "with something in it")
	wantError(t, h, f.(infra.Removable).Absent(), "is a directory")
	os.Remove(path + "/full")
	wantDiff(t, settle(t, h, forced), "replace type, content")

	os.Remove(path)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, h, f, "is a pipe, not a file")
	settle(t, h, forced)
	wantFile(t, path, "new", 0o644)

	os.Remove(path)
	os.Symlink("other", path)
	wantDiff(t, settle(t, h, f.(infra.Removable).Absent()), "delete state")
	wantFile(t, other, "others", 0o644)
	wantOnly(t, dir, "other", "plain")
}

func TestFileKeepsWhatItReplaces(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	path := filepath.Join(dir, "f")
	write(t, path, "old")
	os.Chmod(path, 0o640)
	xattr := unix.Setxattr(path, "user.note", []byte("mine"), 0)
	f := resource(t, "file", dir, "{path: DIR/f, content: new, backup: true, validate: 'grep -q new %s'}")
	settle(t, h, f)
	wantFile(t, path, "new", 0o640)
	wantFile(t, path+".bak", "old", 0o640)
	if value := make([]byte, 10); xattr == nil {
		if n, err := unix.Getxattr(path, "user.note", value); err != nil || string(value[:n]) != "mine" {
			t.Errorf("attribute: %q %v", value[:n], err)
		}
	}
	r := resource(t, "file", dir, "{path: DIR/f, content: bad, validate: 'grep new %s /no/such'}")
	wantError(t, h, r, "validate the new "+path+": grep: ended with code 2: ")
	wantError(t, h, resource(t, "file", dir, "{path: DIR/f, content: bad, validate: 'no-such-program %s'}"), "not found")
	wantFile(t, path, "new", 0o640)

	// What a run that was killed left beside does no harm.
	for _, leave := range []func(p string) error{
		func(p string) error { return os.Symlink(path, p) },
		func(p string) error { return os.WriteFile(p, []byte("half"), 0o666) },
	} {
		if err := leave(filepath.Join(dir, beside("f"))); err != nil {
			t.Fatal(err)
		}
		write(t, path, "old")
		settle(t, h, f)
		wantFile(t, path, "new", 0o640)
	}
	wantOnly(t, dir, "f", "f.bak")
}

// beside is the name under which the new content waits.
func beside(name string) string {
	h := uint32(2166136261)
	for _, c := range []byte(name) {
		h = (h ^ uint32(c)) * 16777619
	}
	return fmt.Sprintf(".steer-%08x.new", h)
}

func TestFileOwners(t *testing.T) {
	infratest.Inside(t, func() { owners(t) })
}

func owners(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), "/srv"
	f := resource(t, "file", dir, "{path: DIR/f, content: x, owner: daemon, group: '4', mode: '4755'}")
	wantDiff(t, settle(t, h, f), "create content, owner, group, mode")
	st, _ := os.Stat("/srv/f")
	if own := st.Sys().(*syscall.Stat_t); own.Uid != 1 || own.Gid != 4 || own.Mode&0o7777 != 0o4755 {
		t.Errorf("%+v", own)
	}
	os.Chown("/srv/f", 0, 0) // which clears the set-user-ID bit
	d := settle(t, h, f)
	wantDiff(t, d, "update owner, group, mode")
	if d.Fields[0] != (infra.Field{Name: "owner", Old: "root", New: "daemon"}) || d.Fields[1].Old != "root" || d.Fields[2].Old != "0755" {
		t.Errorf("%+v", d)
	}
	// A new content keeps the owner.
	settle(t, h, resource(t, "file", dir, "{path: DIR/f, content: y}"))
	if st, _ := os.Stat("/srv/f"); st.Sys().(*syscall.Stat_t).Uid != 1 {
		t.Error("owner was changed")
	}

	// Who does not exist yet is a difference, and may be there when it is applied.
	late := resource(t, "file", dir, "{path: DIR/f, owner: late, group: late}")
	d, err := late.Diff(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	wantDiff(t, d, "update owner, group")
	wantError(t, h, late, "owner: there is no user late (declare it: user: late)")
	if out, err := h.Run(t.Context(), "useradd", "late"); err != nil {
		t.Fatal(out, err)
	}
	h.ForgetAccounts()
	settle(t, h, late)

	// A folder of a user must not become a way to other files, nor a file that is read.
	os.MkdirAll("/home/late", 0o755)
	os.Symlink("/etc", "/home/late/conf")
	os.Lchown("/home/late/conf", 1, 1)
	for kind, text := range map[string]string{
		"file": "{path: /home/late/conf/shadow, content: x, owner: late}", "directory": "{path: /home/late/conf/x, owner: late}",
		"symlink": "{path: /home/late/conf/x, target: y}", "line": "{path: /home/late/conf/passwd, text: x}",
	} {
		wantError(t, h, resource(t, kind, dir, text), "conf on the way is a link that user 1 made, and only links of root are followed")
	}
	os.Lchown("/home/late/conf", 0, 0)
	settle(t, h, resource(t, "file", dir, "{path: /home/late/conf/new, content: x, owner: late}"))
	wantFile(t, "/etc/new", "x", 0o644)

	// A relative link, and one after another.
	os.Symlink("conf", "/home/late/again")
	settle(t, h, resource(t, "file", dir, "{path: /home/late/again/apt/new, content: x}"))
	wantFile(t, "/etc/apt/new", "x", 0o644)
	os.Symlink("loop", "/home/late/loop")
	wantError(t, h, resource(t, "file", dir, "{path: /home/late/loop/x}"), "too many levels of symbolic links")

	// The old content outlives a full disk.
	os.Mkdir("/full", 0o755)
	if err := unix.Mount("tmpfs", "/full", "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	settle(t, h, resource(t, "file", "", "{path: /full/f, content: small}"))
	wantError(t, h, resource(t, "file", "", "{path: /full/f, content: '"+strings.Repeat("x", 100_000)+"'}"), "no space left on device (what was there before is untouched)")
	wantFile(t, "/full/f", "small", 0o644)
	wantOnly(t, "/full", "f")

	// A file that is mounted by itself, as engines of containers do it.
	wantError(t, h, resource(t, "file", "", "{path: /etc/hosts, content: x}"), "something is mounted there")
	wantError(t, h, resource(t, "file", "", "{path: /proc/x, content: x}"), "write /proc/x: ")
}
