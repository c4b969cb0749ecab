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

	"steer/base/fault"
	"steer/infra"
	"steer/infra/infratest"
	"steer/infra/resource/file"
	"steer/infra/resource/file/internal/filetest"
)

func resource(t *testing.T, kind, dir, text string) infra.Resource {
	t.Helper()
	return filetest.Resource(t, file.Kinds(), kind, dir, text)
}

func TestFile(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	f := resource(t, "file", dir, "{path: DIR/motd, content: \"hi\\n\", mode: '0600'}")
	d := filetest.Settle(t, h, f)
	filetest.WantDiff(t, d, "create content, mode")
	if d.Fields[0].Text != "@@ -0,0 +1,1 @@\n+hi\n" {
		t.Errorf("%q", d.Fields[0].Text)
	}
	path := filepath.Join(dir, "motd")
	filetest.WantFile(t, path, "hi\n", 0o600)
	filetest.WantDiff(t, filetest.Settle(t, h, f), "")

	filetest.Write(t, path, "ho\n") // of the same size
	filetest.WantDiff(t, filetest.Settle(t, h, f), "update content")
	filetest.WantFile(t, path, "hi\n", 0o600)
	os.Chmod(path, 0o644)
	d = filetest.Settle(t, h, f)
	filetest.WantDiff(t, d, "update mode")
	if d.Fields[0] != (infra.Field{Name: "mode", Old: "0644", New: "0600"}) {
		t.Errorf("%+v", d.Fields[0])
	}
	filetest.WantFile(t, path, "hi\n", 0o600)
	filetest.WantOnly(t, dir, "motd")

	filetest.WantDiff(t, filetest.Settle(t, h, f.(infra.Removable).Absent()), "delete state")
	filetest.WantOnly(t, dir)
	filetest.WantDiff(t, filetest.Settle(t, h, f.(infra.Removable).Absent()), "")
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
			filetest.Write(t, path, c.before)
		}
		filetest.WantDiff(t, filetest.Settle(t, h, resource(t, "file", dir, c.text)), c.diff)
		if b, err := os.ReadFile(path); err != nil || string(b) != c.want {
			t.Errorf("%d: %q %v, want %q", i, b, err, c.want)
		}
	}
	big := strings.Repeat("x", 300<<10)
	filetest.Write(t, path, big)
	r := resource(t, "file", dir, "{path: DIR/f, content: '"+big[1:]+"y'}")
	d := filetest.Settle(t, h, r)
	if want := (infra.Field{Name: "content", Old: "307200 bytes", New: "307200 other bytes"}); len(d.Fields) != 1 || d.Fields[0] != want {
		t.Errorf("%+v", d)
	}
}

func TestFileOfRole(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	for _, content := range []string{"text\n", "", "\x7fELF\x00\xff", "a\r\nb", "\ufeffbom", "\u2028\u0085 trailing \n\n", " # no comment\n\t- x\n"} {
		r := resource(t, "file", dir, "{path: DIR/f, source: files/x}")
		filetest.WantError(t, h, r, "files/x of the role was not read")
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
		filetest.Settle(t, h, resource(t, "file", dir, string(b)))
		filetest.WantFile(t, filepath.Join(dir, "f"), content, 0o644)
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
		again, err := filetest.Decode(file.Kinds(), "file", string(b))
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
	filetest.WantError(t, h, resource(t, "file", dir, "{path: DIR/no/f, content: x}"), "there is no folder "+dir+"/no (declare it: directory: ")
	filetest.Write(t, filepath.Join(dir, "plain"), "")
	filetest.WantError(t, h, resource(t, "file", dir, "{path: DIR/plain/f, content: x}"), dir+"/plain is no folder")
	filetest.WantDiff(t, filetest.Settle(t, h, resource(t, "file", dir, "{path: DIR/plain/f, state: absent}")), "")

	// A link is replaced, not written through, also one that dangles.
	other := filepath.Join(dir, "other")
	filetest.Write(t, other, "others")
	for _, to := range []string{"other", "nowhere", "f"} {
		os.Remove(path)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		if to == "other" {
			filetest.WantError(t, h, resource(t, "file", dir, "{path: DIR/f, mode: '0600'}"), "is a symlink (name the file to which it leads")
		}
		filetest.WantDiff(t, filetest.Settle(t, h, f), "replace type, content")
		filetest.WantFile(t, path, "new", 0o644)
	}
	filetest.WantFile(t, other, "others", 0o644)

	os.Remove(path)
	os.MkdirAll(path+"/full", 0o755)
	err := filetest.WantError(t, h, f, "f is a directory, not a file (remove it, or write force: true)")
	if fault.Of(err) != fault.Conflict {
		t.Error(fault.Of(err))
	}
	filetest.WantError(t, h, forced, "with something in it")
	filetest.WantError(t, h, f.(infra.Removable).Absent(), "is a directory")
	os.Remove(path + "/full")
	filetest.WantDiff(t, filetest.Settle(t, h, forced), "replace type, content")

	os.Remove(path)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	filetest.WantError(t, h, f, "is a pipe, not a file")
	filetest.Settle(t, h, forced)
	filetest.WantFile(t, path, "new", 0o644)

	os.Remove(path)
	os.Symlink("other", path)
	filetest.WantDiff(t, filetest.Settle(t, h, f.(infra.Removable).Absent()), "delete state")
	filetest.WantFile(t, other, "others", 0o644)
	filetest.WantOnly(t, dir, "other", "plain")
}

func TestFileKeepsWhatItReplaces(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	path := filepath.Join(dir, "f")
	filetest.Write(t, path, "old")
	os.Chmod(path, 0o640)
	xattr := unix.Setxattr(path, "user.note", []byte("mine"), 0)
	f := resource(t, "file", dir, "{path: DIR/f, content: new, backup: true, validate: 'grep -q new %s'}")
	filetest.Settle(t, h, f)
	filetest.WantFile(t, path, "new", 0o640)
	filetest.WantFile(t, path+".bak", "old", 0o640)
	if value := make([]byte, 10); xattr == nil {
		if n, err := unix.Getxattr(path, "user.note", value); err != nil || string(value[:n]) != "mine" {
			t.Errorf("attribute: %q %v", value[:n], err)
		}
	}
	r := resource(t, "file", dir, "{path: DIR/f, content: bad, validate: 'grep new %s /no/such'}")
	filetest.WantError(t, h, r, "validate the new "+path+": grep: ended with code 2: ")
	filetest.WantError(t, h, resource(t, "file", dir, "{path: DIR/f, content: bad, validate: 'no-such-program %s'}"), "not found")
	filetest.WantFile(t, path, "new", 0o640)

	// What a run that was killed left beside does no harm.
	for _, leave := range []func(p string) error{
		func(p string) error { return os.Symlink(path, p) },
		func(p string) error { return os.WriteFile(p, []byte("half"), 0o666) },
	} {
		if err := leave(filepath.Join(dir, beside("f"))); err != nil {
			t.Fatal(err)
		}
		filetest.Write(t, path, "old")
		filetest.Settle(t, h, f)
		filetest.WantFile(t, path, "new", 0o640)
	}
	filetest.WantOnly(t, dir, "f", "f.bak")
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
	filetest.WantDiff(t, filetest.Settle(t, h, f), "create content, owner, group, mode")
	st, _ := os.Stat("/srv/f")
	if own := st.Sys().(*syscall.Stat_t); own.Uid != 1 || own.Gid != 4 || own.Mode&0o7777 != 0o4755 {
		t.Errorf("%+v", own)
	}
	os.Chown("/srv/f", 0, 0) // which clears the set-user-ID bit
	d := filetest.Settle(t, h, f)
	filetest.WantDiff(t, d, "update owner, group, mode")
	if d.Fields[0] != (infra.Field{Name: "owner", Old: "root", New: "daemon"}) || d.Fields[1].Old != "root" || d.Fields[2].Old != "0755" {
		t.Errorf("%+v", d)
	}
	// A new content keeps the owner.
	filetest.Settle(t, h, resource(t, "file", dir, "{path: DIR/f, content: y}"))
	if st, _ := os.Stat("/srv/f"); st.Sys().(*syscall.Stat_t).Uid != 1 {
		t.Error("owner was changed")
	}

	// Who does not exist yet is a difference, and may be there when it is applied.
	late := resource(t, "file", dir, "{path: DIR/f, owner: late, group: late}")
	d, err := late.Diff(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	filetest.WantDiff(t, d, "update owner, group")
	filetest.WantError(t, h, late, "owner: there is no user late (declare it: user: late)")
	if out, err := h.Run(t.Context(), "useradd", "late"); err != nil {
		t.Fatal(out, err)
	}
	h.ForgetAccounts()
	filetest.Settle(t, h, late)

	// A folder of a user must not become a way to other files, nor a file that is read.
	os.MkdirAll("/home/late", 0o755)
	os.Symlink("/etc", "/home/late/conf")
	os.Lchown("/home/late/conf", 1, 1)
	for kind, text := range map[string]string{
		"file": "{path: /home/late/conf/shadow, content: x, owner: late}", "directory": "{path: /home/late/conf/x, owner: late}",
		"symlink": "{path: /home/late/conf/x, target: y}", "line": "{path: /home/late/conf/passwd, text: x}",
	} {
		filetest.WantError(t, h, resource(t, kind, dir, text), "conf on the way is a link that user 1 made, and only links of root are followed")
	}
	os.Lchown("/home/late/conf", 0, 0)
	filetest.Settle(t, h, resource(t, "file", dir, "{path: /home/late/conf/new, content: x, owner: late}"))
	filetest.WantFile(t, "/etc/new", "x", 0o644)

	// A relative link, and one after another.
	os.Symlink("conf", "/home/late/again")
	filetest.Settle(t, h, resource(t, "file", dir, "{path: /home/late/again/apt/new, content: x}"))
	filetest.WantFile(t, "/etc/apt/new", "x", 0o644)
	os.Symlink("loop", "/home/late/loop")
	filetest.WantError(t, h, resource(t, "file", dir, "{path: /home/late/loop/x}"), "too many levels of symbolic links")

	// The old content outlives a full disk.
	os.Mkdir("/full", 0o755)
	if err := unix.Mount("tmpfs", "/full", "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	filetest.Settle(t, h, resource(t, "file", "", "{path: /full/f, content: small}"))
	filetest.WantError(t, h, resource(t, "file", "", "{path: /full/f, content: '"+strings.Repeat("x", 100_000)+"'}"), "no space left on device (what was there before is untouched)")
	filetest.WantFile(t, "/full/f", "small", 0o644)
	filetest.WantOnly(t, "/full", "f")

	// A file that is mounted by itself, as engines of containers do it.
	filetest.WantError(t, h, resource(t, "file", "", "{path: /etc/hosts, content: x}"), "something is mounted there")
	filetest.WantError(t, h, resource(t, "file", "", "{path: /proc/x, content: x}"), "write /proc/x: ")
}
