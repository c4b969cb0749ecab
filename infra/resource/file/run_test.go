package file_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steer/infra"
	"steer/infra/converge"
	"steer/infra/resource/file"
	"steer/infra/resource/file/internal/filetest"
)

// The kinds in whole runs: in an order that works, a second time without changes, and
// away when they are no longer declared.
func TestWholeRuns(t *testing.T) {
	dir := t.TempDir()
	manifest := func(all ...string) infra.Manifest {
		var m infra.Manifest
		for _, one := range all {
			kind, text, _ := strings.Cut(one, " ")
			r := resource(t, kind, dir+"/etc", text)
			k, _ := file.Kinds().Find(kind)
			m.Resources = append(m.Resources, infra.Declared{Kind: kind, ID: r.ID(), Resource: r, Role: "web", Place: "web.yaml:1", Class: k.Class})
		}
		return m
	}
	run := func(m infra.Manifest, want string) {
		t.Helper()
		var got []string
		o := converge.Options{Host: infra.NewHost(t.Context()), Kinds: file.Kinds(), Dir: filepath.Join(dir, "state"), Event: func(e converge.Event) {
			if e.Status != converge.OK {
				got = append(got, strings.ReplaceAll(e.Ref, dir+"/etc", "")+" "+string(e.Status)+strings.TrimPrefix(" "+e.Why, " no longer declared"))
			}
		}}
		if _, err := converge.Run(t.Context(), m, o); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i] = strings.TrimSpace(got[i])
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("events %q, want %q", strings.Join(got, ", "), want)
		}
	}
	all := manifest(
		"line {path: DIR/conf/a, text: two}", // waits for the file, that for its folder
		"line {path: DIR/conf/a, text: three}",
		"file {path: DIR/conf/a, mode: '0600'}",
		"symlink {path: DIR/conf/b, target: a}",
		"directory {path: DIR/conf}",
		"block {path: DIR/conf/a, name: x, content: four}",
	)
	run(all, "directory:/conf changed, file:/conf/a changed, line:/conf/a:two changed, line:/conf/a:three changed, symlink:/conf/b changed, block:/conf/a:x changed")
	filetest.WantFile(t, dir+"/etc/conf/a", "two\nthree\n# BEGIN steer x\nfour\n# END steer x\n", 0o600)
	run(all, "")
	os.Chmod(dir+"/etc/conf/a", 0o644)
	run(all, "file:/conf/a changed")
	run(manifest("file {path: DIR/conf/a}", "line {path: DIR/conf/a, text: two}"),
		"block:/conf/a:x changed, symlink:/conf/b changed, line:/conf/a:three changed")
	filetest.WantFile(t, dir+"/etc/conf/a", "two\n", 0o600)
	filetest.Write(t, dir+"/etc/conf/mine", "mine")
	run(manifest(), "line:/conf/a:two changed, file:/conf/a changed")
	filetest.WantOnly(t, dir+"/etc/conf", "mine") // and the folder, in which something is
}
