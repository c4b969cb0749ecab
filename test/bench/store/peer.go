package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os/exec"
	"strings"
)

// peer is a system that takes Graphite lines.
type peer interface {
	// Name is how -only calls it.
	Name() string
	// Find says which program it is and which version, or why it can't run here.
	Find() (version string, err error)
	// Command starts it on a data folder; points come every step seconds.
	Command(ctx context.Context, dir string, a addresses, step int64) (*exec.Cmd, error)
	// Ready says whether it takes lines and answers.
	Ready(ctx context.Context, a addresses) error
	// Fetch reads what it has of a host into t.
	Fetch(ctx context.Context, dir string, a addresses, host string, t *table) error
	// Metrics are the parts of the data folder that hold the metrics.
	Metrics(dir string) []string
}

// addresses are where a system listens, 127.0.0.1:PORT.
type addresses struct{ graphite, http, more string }

// freeAddresses are free when it is asked: the systems can't all say which port
// they took when they are told to take any.
func freeAddresses() (a addresses, err error) {
	for _, into := range []*string{&a.graphite, &a.http, &a.more} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return a, err
		}
		defer l.Close()
		*into = l.Addr().String()
	}
	return a, nil
}

// table is what a system gives back for a host: a column of values per series,
// from start on, missing ones NaN.
type table struct {
	start, step int64
	points      int
	columns     map[string][]float64
	stray       int // points that were never sent, by their time
}

func newTable(start, step int64, points int) *table {
	return &table{start: start, step: step, points: points, columns: map[string][]float64{}}
}

func (t *table) end() int64 { return t.start + int64(t.points-1)*t.step }

func (t *table) column(name string) []float64 {
	c := t.columns[name]
	if c == nil {
		c = make([]float64, t.points)
		for i := range c {
			c[i] = math.NaN()
		}
		t.columns[name] = c
	}
	return c
}

// put enters a value at a time in seconds.
func (t *table) put(column []float64, at int64, v float64) {
	i := (at - t.start) / t.step
	if at < t.start || i >= int64(t.points) || (at-t.start)%t.step != 0 {
		t.stray++
		return
	}
	column[i] = v
}

// get asks over HTTP; the answer is to be closed.
func get(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		b, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		return nil, fmt.Errorf("get %s: %s: %s", url, res.Status, strings.TrimSpace(string(b)))
	}
	return res.Body, nil
}

func healthy(ctx context.Context, url string) error {
	body, err := get(ctx, url)
	if err != nil {
		return err
	}
	return body.Close()
}

// debian is the version of an installed package.
func debian(program, pkg string) (string, error) {
	if _, err := exec.LookPath(program); err != nil {
		return "", errors.New(program + " is not on PATH")
	}
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", pkg).Output()
	if err != nil {
		return "version unknown", nil
	}
	return string(out), nil
}
