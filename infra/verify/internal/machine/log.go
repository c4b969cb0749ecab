package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// entry is one message of the kernel.
type entry struct {
	at   time.Time
	text string
}

// mostEntries bounds how much of the log is kept while it is looked through.
const mostEntries = 100_000

// log returns the kernel's messages since a time, oldest first, and from when on it knows
// them.
func (m Machine) log(ctx context.Context, since time.Time) ([]entry, time.Time, error) {
	type messages struct {
		entries []entry
		from    time.Time
	}
	load := func() (any, error) {
		entries, from, err := m.readLog(ctx, since)
		return messages{entries, from}, err
	}
	once := m.Once
	if once == nil {
		once = func(_ string, load func() (any, error)) (any, error) { return load() }
	}
	all, err := once("the kernel's log since "+since.String(), load)
	is, _ := all.(messages)
	return is.entries, is.from, err
}

// readLog reads them. They come from /dev/kmsg and, for what came before the oldest one there, from
// systemd's journal. Only messages of the kernel itself count: programs may write there too.
func (m Machine) readLog(ctx context.Context, since time.Time) (all []entry, from time.Time, err error) {
	up, _, _ := strings.Cut(m.text("/proc/uptime"), " ")
	seconds, err := strconv.ParseFloat(up, 64)
	if err != nil {
		return nil, from, errors.New("/proc/uptime tells no time")
	}
	// As dmesg -T does: exact to a second or so, but for hosts that sleep.
	boot := m.Now.Add(-time.Duration(seconds * float64(time.Second)))
	from = m.Now
	first := true
	err = m.kmsg(func(record string) {
		// PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT, see Documentation/ABI/testing/dev-kmsg
		head, text, ok := strings.Cut(record, ";")
		f := strings.SplitN(head, ",", 4)
		if !ok || len(f) < 4 {
			return
		}
		priority, err := strconv.Atoi(f[0])
		micros, err2 := strconv.ParseInt(f[2], 10, 64)
		if err != nil || err2 != nil {
			return
		}
		at := boot.Add(time.Duration(micros) * time.Microsecond)
		if first {
			if first, from = false, at; f[1] == "0" {
				from = boot
			}
		}
		if priority>>3 == 0 && !at.Before(since) {
			text, _, _ = strings.Cut(text, "\n")
			all = append(all, entry{at, text})
		}
		if len(all) > 2*mostEntries {
			all = slices.Clone(all[len(all)-mostEntries:])
		}
	})
	if from.After(since) {
		if older, ok := m.journal(ctx, since, from); ok {
			if len(m.names("/var/log/journal/*")) == 0 { // it is in memory, and began with the machine
				since = later(since, boot)
			}
			return append(older, all...), since, nil
		}
	}
	return all, from, err
}

// kmsg calls f for each record of /dev/kmsg. What is recorded in a file has one a line.
func (m Machine) kmsg(f func(string)) error {
	name := m.path("/dev/kmsg")
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		b, err := m.read("/dev/kmsg")
		for line := range strings.Lines(string(b)) {
			f(line)
		}
		return err
	}
	// Not by os.File, which would wait for messages that are yet to come.
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer syscall.Close(fd)
	buffer := make([]byte, 16<<10)
	for range 2_000_000 { // more than any ring of the kernel holds
		n, err := syscall.Read(fd, buffer)
		switch {
		case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.EINTR): // overwritten meanwhile: the next one is there
			continue
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case err != nil:
			return &os.PathError{Op: "read", Path: name, Err: err}
		}
		f(string(buffer[:n]))
	}
	return nil
}

// journal asks systemd's journal, which keeps messages also over a restart.
func (m Machine) journal(ctx context.Context, since, until time.Time) (all []entry, ok bool) {
	program, found := m.program("journalctl")
	if !found || len(m.names("/var/log/journal"))+len(m.names("/run/log/journal")) == 0 {
		return nil, false
	}
	stamp := func(t time.Time) string { return "@" + strconv.FormatInt(t.Unix(), 10) }
	out, err := run(ctx, 20*time.Second, program, "--quiet", "--no-pager", "--output=short-unix", "--lines="+strconv.Itoa(mostEntries),
		"--since="+stamp(since), "--until="+stamp(until), "_TRANSPORT=kernel", "SYSLOG_FACILITY=0")
	if err != nil {
		return nil, false
	}
	// 1795680119.207045 HOST kernel: TEXT
	line := regexp.MustCompile(`(?m)^(\d+)\.(\d{6}) \S+ kernel: (.*)$`)
	for _, f := range line.FindAllStringSubmatch(string(out), -1) {
		seconds, err := strconv.ParseInt(f[1], 10, 64)
		micros, err2 := strconv.ParseInt(f[2], 10, 64)
		if at := time.Unix(seconds, micros*1000); err == nil && err2 == nil && at.Before(until) {
			all = append(all, entry{at, f[3]})
		}
	}
	return all, true
}

// covered says how far back the log was looked through.
func covered(s *Seen, since, from time.Time) {
	s.looked("the kernel's log since " + clock(later(since, from)))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// logged finds messages of the kernel about what breaks. What was found in another way
// is not told twice.
func (m Machine) logged(ctx context.Context, s *Seen, since time.Time, events []event) {
	entries, from, err := m.log(ctx, since)
	if err != nil {
		s.not("the kernel's log (%v)", err)
		return
	}
	type group struct {
		event
		of          string
		n           int
		first, last entry
	}
	var groups []*group
	for _, e := range entries {
		for _, kind := range events {
			f := kind.FindStringSubmatch(e.text)
			if f == nil || kind.except != nil && kind.except.MatchString(e.text) {
				continue
			}
			of := kind.of
			if len(f) > 1 {
				of = f[1]
			}
			i := slices.IndexFunc(groups, func(g *group) bool { return g.of == of && g.kind == kind.kind })
			if i < 0 {
				i = len(groups)
				groups = append(groups, &group{event: kind, of: of, first: e})
			}
			groups[i].n++
			groups[i].last = e
			break
		}
	}
	for _, g := range groups {
		if s.has(g.of) {
			continue
		}
		when := "at " + clock(g.last.at)
		if g.n > 1 {
			when = fmt.Sprintf("%d times, from %s to %s", g.n, clock(g.first.at), clock(g.last.at))
		}
		s.add(g.of, g.kind, "%s: %s, %s: %q (%s)", g.of, g.what, when, cut(g.last.text), g.next)
	}
	covered(s, since, from)
}
