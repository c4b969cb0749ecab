package main

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"steer/app"
	"steer/cli"
)

// asSteer makes this program be Steer, which saves building it.
const asSteer = "STEER_BENCH_STEER"

// The floor, and Steer, are this program started again.
func TestMain(m *testing.M) {
	if os.Getenv(asFloor) != "" {
		if err := start(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv(asSteer) != "" {
		os.Exit(cli.Main(context.Background(), cli.Program{Infra: app.Infra(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: os.Getenv}, os.Args[1:]))
	}
	os.Exit(m.Run())
}

func TestBenchOnSteer(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asSteer, "1")
	var out, progress strings.Builder
	dir := t.TempDir()
	if err := start(t.Context(), []string{"-steer", program, "-dir", dir, "-only", "steer", "-files", "7", "-directories", "2", "-users", "0", "-packages", "", "-runs", "1"}, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	if row := regexp.MustCompile(`\| resources \| 9 \| 9 \|(.|\n)*no-op convergence, s \| 0\.\d+ \| 0\.\d+ \|`); !row.MatchString(out.String()) {
		t.Errorf("no figures in\n%s", out.String())
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

func TestWrongBytesAreSeen(t *testing.T) {
	w := workload{dir: t.TempDir(), files: 2, folders: 1}
	os.Mkdir(w.folder(0), 0o755)
	for i := range w.files {
		os.WriteFile(w.file(i), []byte(w.content(i)), 0o644)
	}
	if len(w.content(1)) != 1024 {
		t.Errorf("a file has %d bytes", len(w.content(1)))
	}
	if err := w.check(); err != nil {
		t.Error(err)
	}
	if err := w.floor(); err != nil {
		t.Error(err)
	}
	os.WriteFile(w.file(1), []byte(w.content(0)), 0o644)
	if w.check() == nil || w.floor() == nil {
		t.Error("wrong bytes are not seen")
	}
}

func TestRecaps(t *testing.T) {
	for _, c := range []struct {
		recap, text string
		want        int
		wrong       bool
	}{
		{steerRecap, "here  ok=520  changed=8  failed=0  skipped=0  4ms", 8, false},
		{steerRecap, "here  ok=520  changed=0  failed=1  skipped=7  4ms", 0, true},
		{ansibleRecap, "localhost : ok=5 changed=3 unreachable=0 failed=0 skipped=0", 3, false},
		{ansibleRecap, "localhost : ok=5 changed=3 unreachable=0 failed=1 skipped=0", 0, true},
	} {
		n, err := counted(c.recap)(c.text, 0)
		if n != c.want || (err != nil) != c.wrong {
			t.Errorf("%s: %d, %v", c.text, n, err)
		}
	}
	if n, err := puppetChanges("", 6); err == nil {
		t.Errorf("a failed run of Puppet made %d changes", n)
	}
}
