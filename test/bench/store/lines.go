package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"steer/test/bench/values"
)

// lines are a workload as Graphite lines, one file per connection: the kernel
// sends a file by itself, so that the sender takes next to nothing away from
// the system that is measured.
type lines struct {
	files []string
	bytes int64
}

// writeLines writes points from up to until (not included) of a workload, in
// order of time. The sequences stand where the points before left them.
func writeLines(dir string, w *workload, seq [][]values.Sequence, from, until int) (*lines, error) {
	l := &lines{}
	all := metrics()
	for c := range w.conns {
		path := filepath.Join(dir, fmt.Sprintf("%s-%d-%d.lines", w.name, from, c))
		n, err := writeConnection(path, w, all, seq, c, from, until)
		if err != nil {
			return nil, fmt.Errorf("write lines to %s: %w", path, err)
		}
		l.files = append(l.files, path)
		l.bytes += n
	}
	return l, nil
}

func writeConnection(path string, w *workload, all []metric, seq [][]values.Sequence, c, from, until int) (n int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 1<<20)
	var prefixes []string
	for h := c; h < w.hosts(); h += w.conns {
		prefixes = append(prefixes, w.host(h)+".")
	}
	for p := from; p < until; p++ {
		stamp := strconv.FormatInt(w.at(p), 10) + "\n"
		for i, prefix := range prefixes {
			host := seq[c+i*w.conns]
			for m := range host {
				line := append(out.AvailableBuffer(), prefix...)
				line = append(append(line, all[m].name...), ' ')
				line = append(values.Append(line, host[m].Next(), all[m].kind.Decimals()), ' ')
				line = append(line, stamp...)
				n += int64(len(line))
				if _, err := out.Write(line); err != nil {
					return n, err
				}
			}
		}
	}
	return n, out.Flush()
}

// begin are the sequences of all hosts, before the first point.
func (w *workload) begin() [][]values.Sequence {
	all := metrics()
	seq := make([][]values.Sequence, w.hosts())
	for h := range seq {
		seq[h] = w.sequences(h, all)
	}
	return seq
}

func (l *lines) remove() {
	for _, f := range l.files {
		os.Remove(f)
	}
}

// send sends every file over a connection of its own and returns when the last
// byte is with the kernel. It reports when the first was sent.
func (l *lines) send(ctx context.Context, address string, pace time.Duration) (first time.Time, err error) {
	conns := make([]*net.TCPConn, len(l.files))
	for i := range conns {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return first, fmt.Errorf("send lines: %w", err)
		}
		defer c.Close()
		conns[i] = c.(*net.TCPConn)
	}
	first = time.Now()
	done := make(chan error, len(conns))
	for i, c := range conns {
		go func() { done <- sendFile(ctx, c, l.files[i], first, pace) }()
	}
	for range conns {
		if e := <-done; e != nil && err == nil {
			err = fmt.Errorf("send lines to %s: %w", address, e)
		}
	}
	return first, err
}

// sendFile sends a file, spread evenly over the time pace if that isn't 0.
func sendFile(ctx context.Context, c *net.TCPConn, path string, begin time.Time, pace time.Duration) error {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if pace == 0 {
		if _, err := c.ReadFrom(f); err != nil {
			return err
		}
		return c.CloseWrite()
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	const slices = 600
	b := make([]byte, st.Size()/slices+1)
	for i := range slices {
		n, err := f.Read(b)
		if n == 0 {
			break
		}
		if err != nil {
			return err
		}
		select {
		case <-time.After(time.Until(begin.Add(pace * time.Duration(i) / slices))):
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := c.Write(b[:n]); err != nil {
			return err
		}
	}
	return c.CloseWrite()
}

// ownCPU is what this program has used so far, in seconds.
func ownCPU() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u) //nolint:errcheck // it has no way to fail
	return seconds(u.Utime) + seconds(u.Stime)
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
