package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"steer/test/bench/report"
)

// bench is one measurement of both.
type bench struct {
	steer, from, dir string
	image            string // name of all images here, and of the container
	files, runs      int
	progress         io.Writer
	rows             []row
	fresh            int // counts what was never there before
}

// row is what one kind of run cost both.
type row struct {
	title         string
	steer, docker []cost
}

// cost is seconds.
type cost struct{ wall, cpu float64 }

// state is what the steps are.
type state struct{ first, middle, last string }

// run runs commands one after the other, and tells what they cost together.
func (b *bench) run(ctx context.Context, commands ...[]string) (c cost, out string, err error) {
	for _, words := range commands {
		cmd := exec.CommandContext(ctx, words[0], words[1:]...)
		cmd.Dir = b.dir
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 20 * time.Second
		start := time.Now()
		text, err := cmd.CombinedOutput()
		c.wall += time.Since(start).Seconds()
		if ctx.Err() != nil {
			return c, "", ctx.Err()
		}
		if err != nil {
			return c, "", fmt.Errorf("%s: %w: %.2000s", strings.Join(words, " "), err, text)
		}
		c.cpu += (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
		out = string(text)
	}
	return c, out, nil
}

func (b *bench) bake(more ...string) []string {
	return append([]string{b.steer, "bake", "bench", "--definitions", "definitions", "--from", "base.tar", "--cache", "cache", "--tag", b.image + ":steer"}, more...)
}

func (b *bench) build() []string {
	return []string{"docker", "build", "--tag", b.image + ":docker", "context"}
}

// prepare makes the base, and has both bake it once.
func (b *bench) prepare(ctx context.Context, s state) error {
	base := filepath.Join(b.dir, "base.tar")
	if is, err := os.Stat(b.from); err == nil && is.Mode().IsRegular() {
		from, err := filepath.Abs(b.from)
		if err != nil {
			return err
		}
		if err := os.Symlink(from, base); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(b.progress, "make a base of %s\n", b.from)
		if err := put(filepath.Join(b.dir, "nothing/roles/nothing.yaml"), "description: The base.\nresources:\n- directory: /srv\n"); err != nil {
			return err
		}
		if _, _, err := b.run(ctx, []string{b.steer, "bake", "nothing", "--definitions", "nothing", "--from", b.from, "--cache", "cache", "--rootfs", "base.tar"}); err != nil {
			return err
		}
	}
	if err := b.declare(s); err != nil {
		return err
	}
	fmt.Fprintln(b.progress, "all for the first time")
	_, _, err := b.run(ctx, []string{"docker", "import", "base.tar", b.image + ":base"}, b.build(), b.bake("--out", "layout"))
	return err
}

func (b *bench) never() string {
	b.fresh++
	return fmt.Sprintf("%d-%d", os.Getpid(), b.fresh)
}

// measure runs everything.
func (b *bench) measure(ctx context.Context) (err error) {
	s := state{b.never(), b.never(), b.never()}
	if err := b.prepare(ctx, s); err != nil {
		return err
	}
	save := []string{"docker", "save", "--output", "docker.tar", b.image + ":docker"}
	away := []string{"docker", "rm", "--force", b.image}
	start := func(which, network string) []string {
		return []string{"docker", "run", "--detach", "--network=" + network, "--name", b.image, b.image + ":" + which, "sleep", "1000"}
	}
	deploys, err := b.openReplacer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, deploys.close()) }()
	if err := deploys.replace(ctx); err != nil { // there is one before
		return err
	}
	for _, k := range []struct {
		title         string
		change        func(*state)
		steer, docker [][]string
		then          func(context.Context) error // of Steer
	}{
		{"nothing changed", func(*state) {}, [][]string{b.bake("--out", "layout")}, [][]string{b.build()}, nil},
		{"last step changed", func(s *state) { s.last = b.never() }, [][]string{b.bake("--out", "layout")}, [][]string{b.build()}, nil},
		{"step in the middle changed", func(s *state) { s.middle = b.never() }, [][]string{b.bake("--out", "layout")}, [][]string{b.build()}, nil},
		{"first step changed", func(s *state) { s.first = b.never() }, [][]string{b.bake("--out", "layout")}, [][]string{b.build()}, nil},
		{"nothing changed, with a file", func(*state) {}, [][]string{b.bake("--out", "steer.tar")}, [][]string{b.build(), save}, nil},
		{"last step changed, with a file", func(s *state) { s.last = b.never() }, [][]string{b.bake("--out", "steer.tar")}, [][]string{b.build(), save}, nil},
		{"last step changed, until a container of it runs instead", func(s *state) { s.last = b.never() },
			[][]string{b.bake("--out", "steer.tar"), {"docker", "load", "--input", "steer.tar"}, away, start("steer", "none")}, [][]string{b.build(), away, start("docker", "none")}, nil},
		{"last step changed, until a container of it runs instead, as a deploy", func(s *state) { s.last = b.never() },
			[][]string{b.bake("--out", "layout")}, [][]string{b.build(), away, start("docker", "bridge")}, deploys.replace},
	} {
		r := row{title: k.title}
		for range b.runs {
			k.change(&s)
			if err := b.declare(s); err != nil {
				return err
			}
			c, _, err := b.run(ctx, k.steer...)
			if err != nil {
				return err
			}
			if k.then != nil {
				start := time.Now()
				if err := k.then(ctx); err != nil {
					return err
				}
				c.wall += time.Since(start).Seconds()
			}
			d, _, err := b.run(ctx, k.docker...)
			if err != nil {
				return err
			}
			r.steer, r.docker = append(r.steer, c), append(r.docker, d)
			fmt.Fprintf(b.progress, "%s: %.3f s, %.3f s of CPU; docker %.3f s\n", k.title, c.wall, c.cpu, d.wall)
		}
		b.rows = append(b.rows, r)
		if err := b.check(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// check looks for the steps in both images.
func (b *bench) check(ctx context.Context, s state) error {
	const look = "cat /etc/shop/first /srv/files/1 /srv/last; ls /srv/files | wc -l; stat -c '%U %a' /etc/shop; cat /etc/shop/c"
	want := fmt.Sprintf("%s\n%s\n%s\n%d\nshop 750\nc\n", s.first, s.middle, s.last, b.files)
	if _, _, err := b.run(ctx, b.bake("--out", "check.tar"), []string{"docker", "load", "--input", "check.tar"}); err != nil {
		return err
	}
	for _, which := range []string{"steer", "docker"} {
		_, out, err := b.run(ctx, []string{"docker", "run", "--rm", "--network=none", b.image + ":" + which, "sh", "-c", look})
		if err != nil {
			return err
		}
		if out != want {
			return fmt.Errorf("the image of %s has %q, want %q", which, out, want)
		}
	}
	return nil
}

// declare writes the steps for both.
func (b *bench) declare(s state) error {
	user := "useradd --system --user-group --shell /usr/sbin/nologin shop"
	first := fmt.Sprintf("mkdir -p /etc/shop && echo %s > /etc/shop/first", s.first)
	middle := fmt.Sprintf("rm -rf /srv/files && mkdir -p /srv/files && cd /srv/files && for i in $(seq %d); do echo %s > $i; done", b.files, s.middle)
	all := map[string]string{
		"definitions/roles/bench.yaml": fmt.Sprintf(`description: What the bench declares.
resources:
- command: {name: first, run: %q}
- user: {name: shop, system: true}
- directory: {path: /etc/shop, owner: shop, group: shop, mode: "0750"}
- command: {name: middle, run: %q}
- file: {path: /etc/shop/a, content: "a\n"}
- file: {path: /etc/shop/b, content: "b\n"}
- file: {path: /etc/shop/c, content: "c\n"}
- command: {name: link, run: "ln -s /etc/shop/a /srv/a"}
- file: {path: /srv/last, content: "%s\n"}
`, first, middle, s.last),
		"context/Dockerfile": fmt.Sprintf("FROM %s:base\nLABEL steer.role=bench\nRUN %s\nRUN %s\nRUN chown shop:shop /etc/shop && chmod 750 /etc/shop\nRUN %s\nCOPY a b c /etc/shop/\nRUN ln -s /etc/shop/a /srv/a\nCOPY last /srv/last\n", b.image, first, user, middle),
		"context/a":          "a\n", "context/b": "b\n", "context/c": "c\n", "context/last": s.last + "\n",
	}
	for name, text := range all {
		if err := put(filepath.Join(b.dir, name), text); err != nil {
			return err
		}
	}
	return nil
}

func put(file, text string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// remove takes everything away again: also images without a name, which each change leaves.
func (b *bench) remove() error {
	ctx := context.Background()
	err := os.RemoveAll(b.dir)
	for _, words := range [][]string{
		{"docker", "rm", "--force", b.image},
		{"docker", "image", "rm", "--force", b.image + ":steer", b.image + ":docker"},
		{"docker", "image", "prune", "--all", "--force", "--filter", "label=steer.role=bench"},
		{"docker", "image", "rm", "--force", b.image + ":base"},
	} {
		if out, e := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); e != nil && !strings.Contains(string(out), "No such") {
			err = errors.Join(err, fmt.Errorf("%s: %w: %s", strings.Join(words, " "), e, out))
		}
	}
	return err
}

func median(all []cost) cost {
	middle := func(of func(cost) float64) float64 {
		var v []float64
		for _, c := range all {
			v = append(v, of(c))
		}
		slices.Sort(v)
		return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	}
	return cost{middle(func(c cost) float64 { return c.wall }), middle(func(c cost) float64 { return c.cpu })}
}

// write writes the report.
func (b *bench) write(out io.Writer) {
	var rows []report.Row
	for _, r := range b.rows {
		s, d := median(r.steer), median(r.docker)
		rows = append(rows, report.Row{Title: r.title + ", s", Format: "%.3f", Ratio: true, Values: []float64{s.wall, d.wall}},
			report.Row{Title: "· CPU s", Format: "%.3f", Values: []float64{s.cpu, math.NaN()}})
	}
	report.Table(out, []string{"steer", "docker"}, rows)
}
