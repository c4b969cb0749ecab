package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBothGetTheSame: each step that changes does so for both systems.
func TestBothGetTheSame(t *testing.T) {
	b := &bench{dir: t.TempDir(), image: "name", files: 77}
	for _, s := range []state{{"one", "two", "three"}, {"four", "five", "six"}} {
		if err := b.declare(s); err != nil {
			t.Fatal(err)
		}
		for _, files := range [][]string{{"definitions/roles/bench.yaml"}, {"context/Dockerfile", "context/last"}} {
			text := ""
			for _, f := range files {
				part, err := os.ReadFile(filepath.Join(b.dir, f))
				if err != nil {
					t.Fatal(err)
				}
				text += string(part)
			}
			for _, want := range []string{"echo " + s.first + " >", "echo " + s.middle + " >", s.last, "seq 77"} {
				if strings.Count(text, want) != 1 {
					t.Errorf("%v has %q not once:\n%s", files, want, text)
				}
			}
		}
	}
	if a, b := b.never(), b.never(); a == b {
		t.Errorf("%s was there before", b)
	}
}

func TestWrongFlags(t *testing.T) {
	for _, args := range [][]string{{"-runs", "0"}, {"-files", "0"}, {"-no"}} {
		if err := start(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}

func TestMedian(t *testing.T) {
	if m := median([]cost{{3, 1}, {1, 9}, {2, 5}, {10, 2}}); m != (cost{2.5, 3.5}) {
		t.Errorf("got %v", m)
	}
}
