package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"sync"
	"time"

	"steer/base/fault"
)

// Bounds of what waits for the server.
const (
	mostQueued  = 1000
	dropped     = 100 // at once, when there are more
	largestPost = 512 << 10
	longestText = 4 << 10 // of a field of a drift
	mostFields  = 20
)

// queue holds reports until the server has them, on disk too.
type queue struct {
	path string
	wake chan struct{}

	mu  sync.Mutex
	all []Report
}

func openQueue(path string) (*queue, error) {
	q := &queue{path: path, wake: make(chan struct{}, 1)}
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the reports that wait: %w", err)
	}
	for line := range bytes.Lines(b) {
		var r Report
		if json.Unmarshal(line, &r) == nil && (r.Drift == nil) != (r.Run == nil) && len(q.all) < mostQueued {
			q.all = append(q.all, r)
		} // else torn by a crash
	}
	q.poke()
	return q, nil
}

// poke makes deliver try at once.
func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// add appends a report. When there are too many, the oldest go.
func (q *queue) add(r Report) error {
	if d := r.Drift; d != nil {
		short := *d
		short.Fields = append(short.Fields[:0:0], d.Fields[:min(len(d.Fields), mostFields)]...)
		for i := range short.Fields {
			f := &short.Fields[i]
			for _, text := range []*string{&f.Text, &f.Old, &f.New} {
				if len(*text) > longestText {
					*text = (*text)[:longestText] + "…"
				}
			}
		}
		r.Drift = &short
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.poke()
	if q.all = append(q.all, r); len(q.all) > mostQueued {
		lost := dropped
		for _, one := range q.all[:dropped] {
			lost += one.Lost
		}
		q.all = append([]Report(nil), q.all[dropped:]...)
		q.all[0].Lost += lost
		return q.write()
	}
	f, err := os.OpenFile(q.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(append([]byte{'\n'}, b...), '\n')) // the first newline ends what a full disk tore
	return errors.Join(err, f.Close())
}

// write puts all on disk anew.
func (q *queue) write() error {
	if len(q.all) == 0 {
		if err := os.Remove(q.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	var b bytes.Buffer
	for _, r := range q.all {
		if err := json.NewEncoder(&b).Encode(r); err != nil {
			return err
		}
	}
	return put(q.path, b.Bytes())
}

// first are the oldest, as many as may be sent at once.
func (q *queue) first() []Report {
	q.mu.Lock()
	defer q.mu.Unlock()
	size, n := 0, 0
	for ; n < min(len(q.all), MostReports); n++ {
		b, _ := json.Marshal(q.all[n])
		if size += len(b); size > largestPost && n > 0 {
			break
		}
	}
	return append([]Report(nil), q.all[:n]...)
}

// sent drops reports that first returned. Some of them may have been dropped since.
func (q *queue) sent(all []Report) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	last := all[len(all)-1]
	for i, r := range q.all[:min(len(q.all), len(all))] {
		if r.At.Equal(last.At) && r.Drift == last.Drift && r.Run == last.Run {
			q.all = append([]Report(nil), q.all[i+1:]...)
			return q.write()
		}
	}
	return nil
}

// deliver sends what waits.
func (a *Agent) deliver(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		all := a.queue.first()
		if len(all) == 0 {
			select {
			case <-ctx.Done():
			case <-a.queue.wake:
			}
			continue
		}
		within, cancel := context.WithTimeout(ctx, answering)
		res, err := a.ask(within, http.MethodPost, "/api/v1/hosts/drift", map[string]any{"reports": all})
		cancel()
		switch {
		case err == nil:
			res.Body.Close()
		case fault.Of(err) == fault.Invalid || fault.Of(err) == fault.NotFound: // sending them again would not help
			a.log.Error("the server refuses reports: they are dropped", "reports", len(all), "error", err)
		default:
			t := time.NewTimer(backoff(failures))
			select {
			case <-ctx.Done():
			case <-a.back:
			case <-t.C:
			}
			t.Stop()
			failures++
			continue
		}
		failures = 0
		if err := a.queue.sent(all); err != nil {
			a.log.Error("forget reports that were sent", "error", err)
		}
	}
}
