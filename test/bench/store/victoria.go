package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"steer/test/bench/server"
)

// victoria is VictoriaMetrics, the single server.
type victoria struct{ queries atomic.Int64 }

const victoriaProgram = "victoria-metrics"

func (*victoria) Name() string          { return "victoria" }
func (*victoria) Find() (string, error) { return server.Debian(victoriaProgram, "victoria-metrics") }

func (*victoria) Command(ctx context.Context, dir string, a server.Addresses, _ int64) (*exec.Cmd, error) {
	return exec.CommandContext(ctx, victoriaProgram, "-storageDataPath="+dir, "-retentionPeriod=30d",
		"-httpListenAddr="+a.HTTP, "-graphiteListenAddr="+a.Graphite), nil
}

func (*victoria) Ready(ctx context.Context, a server.Addresses) error {
	return server.Healthy(ctx, "http://"+a.HTTP+"/health")
}

// Metrics are values and names; the third folder, cache, it makes anew.
func (*victoria) Metrics(dir string) []string {
	return []string{filepath.Join(dir, "data"), filepath.Join(dir, "indexdb")}
}

// Fetch exports the stored points as they are. No two queries have the same
// filters: it remembers for ten seconds that filters found no series.
func (v *victoria) Fetch(ctx context.Context, _ string, a server.Addresses, host string, t *table) error {
	q := url.Values{
		"match[]": {"{__name__=~" + strconv.Quote(regexp.QuoteMeta(host+".")+".*") + `,query!="` + strconv.FormatInt(v.queries.Add(1), 10) + `"}`},
		"start":   {strconv.FormatInt(t.start, 10)}, "end": {strconv.FormatInt(t.end(), 10)},
	}
	body, err := server.Get(ctx, "http://"+a.HTTP+"/api/v1/export?"+q.Encode())
	if err != nil {
		return err
	}
	defer body.Close()
	for d := json.NewDecoder(body); ; {
		var s struct {
			Metric     map[string]string
			Values     []float64
			Timestamps []int64 // milliseconds
		}
		if err := d.Decode(&s); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		column := t.column(s.Metric["__name__"])
		for i, at := range s.Timestamps {
			t.put(column, at/1000, s.Values[i])
		}
	}
}

// settle merges all that can be merged, as happens by itself in time. The answer
// comes at once and the end stands in the log.
func (*victoria) settle(ctx context.Context, r *run) error {
	if err := server.Healthy(ctx, "http://"+r.addr.HTTP+"/internal/force_merge"); err != nil {
		return err
	}
	return r.proc.Until(ctx, 50*time.Millisecond, "wait for the forced merge", func() (bool, error) {
		b, err := os.ReadFile(r.proc.Log)
		if err != nil {
			return false, err
		}
		_, after, _ := bytes.Cut(b, []byte("forced merge for partition_prefix"))
		return bytes.Contains(after, []byte("successfully finished")), errors.New("no such line in the log")
	})
}
