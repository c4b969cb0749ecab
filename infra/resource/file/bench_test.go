package file_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steer/infra"
	"steer/infra/converge"
	"steer/infra/resource/file"
	"steer/infra/resource/file/internal/filetest"
)

// fleet is 20 folders and 500 files of 1 KiB.
func fleet(b testing.TB, dir string) infra.Manifest {
	var m infra.Manifest
	add := func(kind, text string) {
		r, err := filetest.Decode(file.Kinds(), kind, text)
		if err != nil {
			b.Fatal(err)
		}
		m.Resources = append(m.Resources, infra.Declared{Kind: kind, ID: r.ID(), Resource: r, Role: "bench", Place: "bench.yaml:1", Class: "files"})
	}
	for i := range 20 {
		add("directory", fmt.Sprintf("{path: %s/etc/d%02d, mode: '0755', owner: root, group: root}", dir, i))
	}
	for i := range 500 {
		content := strings.Repeat(fmt.Sprintf("line %06d of it\n", i), 64)
		add("file", fmt.Sprintf("{path: %s/etc/d%02d/f%03d, mode: '0644', owner: root, group: root, content: %q}", dir, i%20, i, content))
	}
	return m
}

// BenchmarkNoOp compares 520 resources that are as declared.
func BenchmarkNoOp(b *testing.B) {
	dir := b.TempDir()
	m := fleet(b, dir)
	o := converge.Options{Host: infra.NewHost(b.Context()), Kinds: file.Kinds(), Dir: filepath.Join(dir, "state")}
	if r, err := converge.Run(b.Context(), m, o); err != nil || r.Counts[converge.Changed] != 520 {
		b.Skip("needs root", r, err)
	}
	for b.Loop() {
		o.Host = infra.NewHost(b.Context())
		if r, err := converge.Run(b.Context(), m, o); err != nil || r.Counts[converge.OK] != 520 {
			b.Fatal(r, err)
		}
	}
}

// BenchmarkFirst creates them.
func BenchmarkFirst(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		m := fleet(b, dir)
		o := converge.Options{Host: infra.NewHost(b.Context()), Kinds: file.Kinds(), Dir: filepath.Join(dir, "state")}
		if r, err := converge.Run(b.Context(), m, o); err != nil || r.Counts[converge.Changed] != 520 {
			b.Skip("needs root", r, err)
		}
	}
}

// BenchmarkPurge compares a folder of 200 files, all of them declared among 500.
func BenchmarkPurge(b *testing.B) {
	dir := b.TempDir()
	var declared []string
	for i := range 500 {
		at := fmt.Sprintf("%s/%d/f%d", dir, i%50, i)
		if i < 200 {
			at = fmt.Sprintf("%s/d/f%d", dir, i)
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, nil, 0o644)); err != nil {
			b.Fatal(err)
		}
		declared = append(declared, at)
	}
	r, err := filetest.Decode(file.Kinds(), "directory", "{path: "+dir+"/d, purge: true}")
	if err != nil {
		b.Fatal(err)
	}
	r.(infra.Purger).Spare(declared)
	h := infra.NewHost(b.Context())
	for b.Loop() {
		if d, err := r.Diff(b.Context(), h); err != nil || !d.Empty() {
			b.Fatal(d, err)
		}
	}
}
