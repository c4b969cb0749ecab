package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
)

// victoria is VictoriaMetrics, the single server.
type victoria struct{ queries atomic.Int64 }

const victoriaProgram = "victoria-metrics"

func (*victoria) Name() string          { return "victoria" }
func (*victoria) Find() (string, error) { return debian(victoriaProgram, "victoria-metrics") }

func (*victoria) Command(ctx context.Context, dir string, a addresses) (*exec.Cmd, error) {
	return exec.CommandContext(ctx, victoriaProgram, "-storageDataPath="+dir, "-retentionPeriod=30d",
		"-httpListenAddr="+a.http, "-graphiteListenAddr="+a.graphite), nil
}

func (*victoria) Ready(ctx context.Context, a addresses) error {
	return healthy(ctx, "http://"+a.http+"/health")
}

// Metrics is all of it, values (data) and names (indexdb): it keeps nothing else.
func (*victoria) Metrics(dir string) string { return filepath.Clean(dir) }

// Fetch exports the stored points as they are. No two queries have the same
// filters: it remembers for ten seconds that filters found no series.
func (v *victoria) Fetch(ctx context.Context, _ string, a addresses, host string, t *table) error {
	q := url.Values{
		"match[]": {"{__name__=~" + strconv.Quote(regexp.QuoteMeta(host+".")+".*") + `,query!="` + strconv.FormatInt(v.queries.Add(1), 10) + `"}`},
		"start":   {strconv.FormatInt(t.start, 10)}, "end": {strconv.FormatInt(t.end(), 10)},
	}
	body, err := get(ctx, "http://"+a.http+"/api/v1/export?"+q.Encode())
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

// settle merges all that can be merged, as it does by itself in time.
func (*victoria) settle(ctx context.Context, a addresses) error {
	return healthy(ctx, "http://"+a.http+"/internal/force_merge")
}
