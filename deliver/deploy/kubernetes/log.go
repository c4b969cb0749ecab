package kubernetes

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"strconv"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
	"steer/deliver/deploy/kubernetes/internal/api"
)

const (
	keptLines = 1000        // of a node that was stopped
	followGap = time.Second // at which it is asked again for a log that ended
)

// Logs implements deploy.Driver.
func (d *Driver) Logs(ctx context.Context, node string, lines int, follow bool) (io.ReadCloser, error) {
	if !deploy.Folder(node) {
		return nil, fault.New(fault.NotFound, "logs of node %q: no such node", node)
	}
	n := d.get(node)
	if n == nil {
		return deploy.Past(d.o.Dir, node, lines, d.o.Retain)
	}
	if !follow {
		var past deploy.Ending
		if err := n.s.read(ctx, n.pod(), &past, &mark{}, lines, false); err != nil && !notYet(err) {
			return nil, fault.New(fault.Of(err), "logs of node %s: %w", node, err)
		}
		return io.NopCloser(bytes.NewReader(past.Bytes())), nil
	}
	var at mark
	return deploy.Follow(ctx, followGap, func() bool { return d.get(node) != nil }, func(to io.Writer) error {
		err := n.s.read(ctx, n.pod(), to, &at, lines, true)
		if notYet(err) {
			err = nil
		}
		return err
	}), nil
}

// pod is the name of the pod that stands for the node now, "" if there is none.
func (n *node) pod() string {
	if _, all, err := n.s.see(n.name); err == nil && len(all) > 0 {
		return choose(all).Meta.Name
	}
	return ""
}

// notYet tells whether there is no log since nothing runs yet, or runs no more.
func notYet(err error) bool {
	of := fault.Of(err)
	return of == fault.NotFound || of == fault.Invalid
}

// mark is where in a log one is: after the lines of a time, some of which may share it.
type mark struct {
	time  time.Time
	lines int // of that time
}

// read copies the output of a pod after a mark, which moves; from an empty one, the
// last lines. The API resumes by the second, so each line comes with its time.
func (s *space) read(ctx context.Context, pod string, to io.Writer, at *mark, lines int, follow bool) error {
	if pod == "" {
		return fault.New(fault.NotFound, "it has no pod")
	}
	query := url.Values{"timestamps": {"true"}, "container": {containerName}}
	if at.time.IsZero() {
		query.Set("tailLines", strconv.Itoa(lines))
	} else {
		query.Set("sinceTime", at.time.Format(time.RFC3339))
	}
	if follow {
		query.Set("follow", "true")
	}
	answer, err := s.Read(ctx, s.Path(api.Pods, pod, "log"), query)
	if err != nil {
		return err
	}
	defer answer.Close()
	from := *at // what was read before
	skip := from.lines
	for r := bufio.NewReaderSize(answer, 64<<10); ; {
		line, err := r.ReadSlice('\n')
		stamp, text, ok := bytes.Cut(line, []byte(" "))
		if when, e := time.Parse(time.RFC3339Nano, string(stamp)); ok && e == nil {
			switch {
			case when.Before(from.time):
				text = nil
			case when.Equal(from.time) && skip > 0:
				skip--
				text = nil
			case when.Equal(at.time):
				at.lines++
			default:
				*at = mark{when, 1}
			}
			line = text
		}
		if len(line) > 0 {
			if _, err := to.Write(line); err != nil {
				return err
			}
		}
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a long line has no time
			if line, err = r.ReadSlice('\n'); len(text) > 0 {
				if _, err := to.Write(line); err != nil {
					return err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.New(fault.Unavailable, "read log: %w", err)
		}
	}
}
