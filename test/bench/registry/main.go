// Command registry measures how long docker push and docker pull take with Steer's
// registry and with Debian's docker-registry, in turns, with images of one layer of
// bytes that cannot be compressed. Beside them it sends and fetches the same bytes
// without Docker, whose compression takes most of the time of a push.
//
// Wall time is that of the command as users type it, CPU time the user and system time of
// the registry meanwhile. Each image is pulled after it was removed from Docker, and has to
// have the same id. The report, in Markdown, goes to standard output, progress to
// standard error.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"steer/test/bench/report"
	"steer/test/bench/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// system is a registry that runs.
type system struct {
	name, host, token string
	process           *server.Process
	figures           map[string][]float64
}

type bench struct {
	dir      string
	progress io.Writer
	systems  []*system
}

func start(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	var steer, sizes string
	var runs int
	f := flag.NewFlagSet("registry", flag.ContinueOnError)
	f.SetOutput(progress)
	f.StringVar(&steer, "steer", "bin/steer", "the steer to measure")
	f.StringVar(&sizes, "sizes", "8,200", "sizes of the images, in MB")
	f.IntVar(&runs, "runs", 3, "runs, of which the median counts")
	if err := f.Parse(args); err != nil {
		return err
	}
	b := &bench{progress: progress}
	if b.dir, err = os.MkdirTemp("", "steer-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	defer func() {
		for _, s := range b.systems {
			s.process.Stop(context.WithoutCancel(ctx))
		}
	}()
	machine := server.Machine()
	if err := b.launch(ctx, steer); err != nil {
		return err
	}
	var rows []report.Row
	for _, text := range strings.Split(sizes, ",") {
		size, err := strconv.Atoi(text)
		if err != nil || size < 1 || runs < 1 {
			return errors.New("-sizes are numbers of MB, and -runs is at least 1")
		}
		for _, s := range b.systems {
			s.figures = map[string][]float64{}
		}
		for range runs {
			content := make([]byte, size*1_000_000)
			rand.Read(content)
			for _, s := range b.systems { // in turns, so that all see the same machine
				if err := b.docker(ctx, s, content); err != nil {
					return err
				}
				if err := b.plain(ctx, s, content); err != nil {
					return err
				}
			}
		}
		for _, title := range []string{"docker push", "docker pull", "plain push", "plain pull"} {
			for _, unit := range []string{"s", "CPU s of the registry"} {
				row := report.Row{Title: fmt.Sprintf("%s of %d MB, %s", title, size, unit), Format: "%.2f", Ratio: true}
				for _, s := range b.systems {
					all := s.figures[title+unit]
					slices.Sort(all)
					row.Values = append(row.Values, all[len(all)/2])
				}
				rows = append(rows, row)
			}
		}
	}
	var names []string
	for _, s := range b.systems {
		names = append(names, s.name)
	}
	fmt.Fprintf(out, "%s, at the end %.2f\n\nMedian of %d runs.\n\n", machine, server.Load(), runs)
	report.Table(out, names, rows)
	return nil
}

// launch starts the registries.
func (b *bench) launch(ctx context.Context, steer string) error {
	at, err := server.FreeAddresses()
	if err != nil {
		return err
	}
	data := filepath.Join(b.dir, "steer")
	p, err := server.Launch(exec.Command(steer, "serve", "--data", data, "--set", "listen="+at.HTTP, "--set", "receive.graphite.tcp=127.0.0.1:0",
		"--set", "receive.graphite.udp=127.0.0.1:0", "--set", "receive.statsd.udp=127.0.0.1:0"), filepath.Join(b.dir, "steer.log"))
	if err != nil {
		return err
	}
	s := &system{name: "steer", host: at.HTTP, process: p}
	b.systems = append(b.systems, s)
	if err := p.Until(ctx, 50*time.Millisecond, "ready", func() (bool, error) { return server.Healthy(ctx, "http://"+s.host+"/readyz") == nil, nil }); err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(data, "admin.token"))
	if err != nil {
		return err
	}
	s.token = strings.TrimSpace(string(token))
	if err := b.run(ctx, s.token, "docker", "login", "-u", "bench", "--password-stdin", s.host); err != nil {
		return err
	}
	peer, err := exec.LookPath("docker-registry")
	if err != nil {
		fmt.Fprintln(b.progress, "docker-registry is not installed (Debian has it): measuring Steer alone")
		return nil
	}
	if at, err = server.FreeAddresses(); err != nil {
		return err
	}
	config := filepath.Join(b.dir, "registry.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\nhttp: {addr: %q}\n", filepath.Join(b.dir, "peer"), at.HTTP)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	if p, err = server.Launch(exec.Command(peer, "serve", config), filepath.Join(b.dir, "peer.log")); err != nil {
		return err
	}
	b.systems = append(b.systems, &system{name: "docker-registry", host: at.HTTP, process: p})
	return p.Until(ctx, 50*time.Millisecond, "ready", func() (bool, error) { return server.Healthy(ctx, "http://"+at.HTTP+"/v2/") == nil, nil })
}

func (b *bench) run(ctx context.Context, stdin string, command ...string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+filepath.Join(b.dir, "docker"))
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, out)
	}
	return nil
}

// timed measures a step.
func (b *bench) timed(s *system, title string, step func() error) error {
	cpu, begun := s.process.CPU(), time.Now()
	if err := step(); err != nil {
		return fmt.Errorf("%s: %s: %w", s.name, title, err)
	}
	took := time.Since(begun).Seconds()
	s.figures[title+"s"] = append(s.figures[title+"s"], took)
	key := title + "CPU s of the registry"
	s.figures[key] = append(s.figures[key], s.process.CPU()-cpu)
	fmt.Fprintf(b.progress, "%-16s %-12s %7.2f s\n", s.name, title, took)
	return nil
}

// docker pushes and pulls an image.
func (b *bench) docker(ctx context.Context, s *system, content []byte) error {
	ref := s.host + "/bench/image:1"
	root := filepath.Join(b.dir, "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "content"), content, 0o644); err != nil {
		return err
	}
	if err := b.run(ctx, "", "sh", "-c", "tar -C "+root+" -c . | docker import - "+ref); err != nil {
		return err
	}
	defer b.run(context.WithoutCancel(ctx), "", "docker", "rmi", "-f", ref) //nolint:errcheck // a failure before is told
	id, err := exec.CommandContext(ctx, "docker", "image", "inspect", "-f", "{{.Id}}", ref).Output()
	if err != nil {
		return err
	}
	if err := b.timed(s, "docker push", func() error { return b.run(ctx, "", "docker", "push", "-q", ref) }); err != nil {
		return err
	}
	if err := b.run(ctx, "", "docker", "rmi", ref); err != nil {
		return err
	}
	if err := b.timed(s, "docker pull", func() error { return b.run(ctx, "", "docker", "pull", "-q", ref) }); err != nil {
		return err
	}
	again, err := exec.CommandContext(ctx, "docker", "image", "inspect", "-f", "{{.Id}}", ref).Output()
	if err == nil && !bytes.Equal(id, again) {
		err = fmt.Errorf("%s: pushed %s, pulled %s", s.name, id, again)
	}
	return err
}

// plain sends and fetches a blob.
func (b *bench) plain(ctx context.Context, s *system, content []byte) error {
	sum := sha256.Sum256(content)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	ask := func(method, path string, body []byte, want int) (*http.Response, error) {
		r, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if s.token != "" {
			r.SetBasicAuth("bench", s.token)
		}
		res, err := http.DefaultClient.Do(r)
		if err == nil && res.StatusCode != want {
			res.Body.Close()
			err = fmt.Errorf("%s %s: %s", method, path, res.Status)
		}
		return res, err
	}
	base := "http://" + s.host + "/v2/bench/plain/blobs/"
	if err := b.timed(s, "plain push", func() error {
		res, err := ask("POST", base+"uploads/", nil, http.StatusAccepted)
		if err != nil {
			return err
		}
		res.Body.Close()
		to, err := res.Location()
		if err != nil {
			return err
		}
		query := to.Query()
		query.Set("digest", digest)
		to.RawQuery = query.Encode()
		if res, err = ask("PUT", to.String(), content, http.StatusCreated); err != nil {
			return err
		}
		return res.Body.Close()
	}); err != nil {
		return err
	}
	return b.timed(s, "plain pull", func() error {
		res, err := ask("GET", base+digest, nil, http.StatusOK)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		n, err := io.Copy(io.Discard, res.Body)
		if err == nil && n != int64(len(content)) {
			err = fmt.Errorf("%d of %d bytes came", n, len(content))
		}
		return err
	})
}
