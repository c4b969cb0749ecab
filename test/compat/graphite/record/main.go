// Command record asks graphite-web all requests of the comparison and writes
// down its answers. It needs a copy of graphite-web's repository and Debian's
// packages for it, see the README one folder up.
package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"steer/test/compat/graphite"
)

//go:embed serve.py
var script []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("record", flag.ContinueOnError)
	checkout := f.String("graphite-web", "", "folder with a copy of graphite-web's repository")
	python := f.String("python", "/usr/bin/python3", "the Python that has its packages")
	into := f.String("into", "test/compat/graphite/testdata", "folder to write to, a file for each file of cases")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *checkout == "" {
		return fmt.Errorf("give the folder of graphite-web with -graphite-web")
	}
	cases, err := graphite.Cases()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "graphite-web-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	address, end, err := serve(ctx, *python, *checkout, dir)
	if err != nil {
		return err
	}
	defer end()

	files := map[string]*bytes.Buffer{}
	began, refused, size := time.Now(), 0, 0
	for _, c := range cases {
		g, err := ask(ctx, address, c.Ask)
		if err != nil {
			return fmt.Errorf("ask %q: %w", c.Line, err)
		}
		if g.Status >= 400 {
			refused++
		}
		if files[c.File] == nil {
			files[c.File] = &bytes.Buffer{}
		}
		enc := json.NewEncoder(files[c.File])
		enc.SetEscapeHTML(false)
		if err := enc.Encode(g); err != nil {
			return fmt.Errorf("write down the answer to %q: %w", c.Line, err)
		}
	}
	for name, answers := range files {
		size += answers.Len()
		if err := os.WriteFile(filepath.Join(*into, name+".jsonl"), answers.Bytes(), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "%d answers, %d of them errors, %d KB, %.0f s\n", len(cases), refused, size/1024, time.Since(began).Seconds())
	return nil
}

// serve starts graphite-web over the data set.
func serve(ctx context.Context, python, checkout, dir string) (address string, end func(), err error) {
	data, err := os.Create(filepath.Join(dir, "series.json"))
	if err != nil {
		return "", nil, err
	}
	if err := graphite.Write(data); err != nil {
		return "", nil, err
	}
	if err := data.Close(); err != nil {
		return "", nil, err
	}
	name := filepath.Join(dir, "serve.py")
	if err := os.WriteFile(name, script, 0o600); err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, python, name, checkout, dir)
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = time.Second
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start graphite-web: %w", err)
	}
	end = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "http://") {
			return lines.Text(), end, nil
		}
	}
	end()
	return "", nil, fmt.Errorf("start graphite-web: it ended before it listened")
}

func ask(ctx context.Context, address, question string) (graphite.Golden, error) {
	g := graphite.Golden{Ask: question}
	// Some wrong arguments keep graphite-web busy for ever.
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", address+question, nil)
	if err != nil {
		return g, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return g, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return g, err
	}
	if g.Status = answer.StatusCode; g.Status >= 400 {
		return g, nil
	}
	if g.Type, _, err = mime.ParseMediaType(answer.Header.Get("Content-Type")); err != nil {
		return g, err
	}
	g.Body, err = graphite.Plain(question, graphite.Body(g.Type, body))
	return g, err
}
