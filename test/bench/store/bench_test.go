package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The whole of it, on a Steer of these sources.
func TestBenchOnSteer(t *testing.T) {
	program := filepath.Join(t.TempDir(), "steer")
	if out, err := exec.Command("go", "build", "-o", program, "steer").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	var out, progress strings.Builder
	err := start(t.Context(), []string{
		"-steer", program, "-dir", t.TempDir(), "-only", "steer,steer-default", "-series", "250", "-points", "90",
		"-rounds", "3", "-paced", "1", "-pace", "2s", // longer than a sync takes: what comes before the kill is kept
	}, &out, &progress)
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, row := range []string{
		`\| missing points \| 0 \| 0 \|`, `\| wrong points \| 0 \| 0 \|`, // a, b
		`\| points compared \| 22500 \| 22500 \|`, `\| points compared \| 400 \|`,
		`\| share of a core at its own pace \| \d+\.\d{3} \|`,
		`\| disk bytes per point, metrics only \| \d+\.\d{3} \| \d+\.\d{3} \|`,
	} {
		if !regexp.MustCompile(row).MatchString(out.String()) {
			t.Errorf("no row %s in\n%s", row, out.String())
		}
	}
}

func TestWhatCantBeMeasured(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-only nothing", `unknown system "nothing"`},
		{"-only steer -steer /nowhere/steer", "none of the systems is here"},
		{"-workload c", "none of a, b, million"},
		{"-rounds 0", "at least one round"},
	} {
		var out, progress strings.Builder
		err := start(t.Context(), append(strings.Fields(c.args), "-dir", t.TempDir()), &out, &progress)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.args, err, c.want)
		}
	}
}
