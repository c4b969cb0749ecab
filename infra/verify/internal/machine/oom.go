package machine

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// OOM looks for processes of a name (empty: any) that the kernel killed since a time for
// want of memory. The kernel's log says which and when; without it, as in a container,
// there is only a counter, see killed.
func (m Machine) OOM(ctx context.Context, name string, since time.Time) (s Seen, err error) {
	if !m.Container {
		entries, from, err := m.log(ctx, since)
		if err == nil {
			m.kills(&s, entries, name)
			covered(&s, since, from)
			return s, nil
		}
		s.not("the kernel's log (%v)", err)
	} else {
		s.not("the kernel's log (that of a container is the machine's beneath it)")
	}
	if name != "" {
		s.not("%s alone (only the log tells names)", name)
		return s, nil
	}
	return s, m.killed(&s, since)
}

// kills reads the two lines of each kill (mm/oom_kill.c of the kernel):
//
//	oom-kill:constraint=CONSTRAINT_MEMCG,…,task_memcg=/system.slice/db.service,task=mysqld,pid=312,uid=104
//	Memory cgroup out of memory: Killed process 312 (mysqld) total-vm:…kB, anon-rss:812344kB, …
func (m Machine) kills(s *Seen, entries []entry, name string) {
	group := regexp.MustCompile(`^oom-kill:.*,task_memcg=(.*),task=.*,pid=(\d+),`)
	kill := regexp.MustCompile(`^(Memory cgroup out|Out) of memory[^:]*: Killed process (\d+) \((.*)\),? total-vm:\d+kB, anon-rss:(\d+)kB`)
	in := map[string]string{}
	for _, e := range entries {
		if f := group.FindStringSubmatch(e.text); f != nil {
			in[f[2]] = f[1]
		}
		f := kill.FindStringSubmatch(e.text)
		if f == nil || name != "" && f[3] != name {
			continue
		}
		who := fmt.Sprintf("%s[%s]", f[3], f[2])
		kilobytes, _ := strconv.ParseInt(f[4], 10, 64)
		why, next := "the machine had no memory left", "give the machine more memory, or its services limits of their own"
		if strings.HasPrefix(f[1], "Memory") {
			why, next = "its group "+cmp.Or(in[f[2]], "has no name and")+" reached its limit", "raise the limit, or find what it needs the memory for"
		}
		s.add(who, "killed", "%s: the kernel killed it at %s, when it had %d MiB: %s (%s)", who, clock(e.at), kilobytes>>10, why, next)
	}
}

// memory is what earlier looks saw of a counter that has no times.
type memory struct {
	Start time.Time `json:"start"` // of what is counted: a counter begins anew with it
	Looks []look    `json:"looks"` // when the counter had changed, oldest first
}

type look struct {
	At    time.Time `json:"at"`
	Count int       `json:"count"`
}

const (
	memoryFile = "/run/steer-oom.json"
	mostLooks  = 100
)

// killed reads the counter of kills of this container, or of the machine if its log may
// not be read. When they were is known by what earlier looks saw, kept in /run: between
// the look before and the one that saw the counter risen. What was counted before the first
// look, unless that is all within the time, is not told.
func (m Machine) killed(s *Seen, since time.Time) error {
	n, what, ok, err := m.counted()
	if err != nil || !ok {
		s.not("the kernel's counter of kills (it has none here)")
		return err
	}
	is := memory{Start: m.start()}
	var was memory
	if b, err := m.read(memoryFile); err == nil && json.Unmarshal(b, &was) == nil && was.Start.Sub(is.Start).Abs() < time.Minute {
		is.Looks = was.Looks
	}
	before := len(is.Looks)
	if before == 0 && is.Start.After(since) {
		is.Looks = []look{{is.Start, 0}}
	}
	if k := len(is.Looks); k == 0 || is.Looks[k-1].Count != n {
		is.Looks = append(is.Looks, look{m.Now.UTC(), n})
	}
	is.Looks = is.Looks[max(0, len(is.Looks)-mostLooks):]
	for i, l := range is.Looks {
		if i == 0 || l.At.Before(since) || l.Count <= is.Looks[i-1].Count {
			continue
		}
		s.add(what, "kill "+strconv.Itoa(l.Count), "%s: the kernel killed %s for want of memory between %s and %s (give it more memory, or find what needs it; the kernel's log, on the machine, says which)",
			what, count(l.Count-is.Looks[i-1].Count, "process", "processes"), clock(is.Looks[i-1].At), clock(l.At))
	}
	s.looked("the counter of " + what)
	if len(is.Looks) == before {
		return nil
	}
	b, err := json.Marshal(is)
	if err != nil {
		return err
	}
	if err := m.keep(b); err != nil {
		s.not("kills before this look (what it saw can't be kept: %v)", err)
	}
	return nil
}

func (m Machine) keep(b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(m.path(memoryFile)), "steer-oom-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), m.path(memoryFile))
	}
	if err != nil {
		os.Remove(f.Name()) //nolint:errcheck // the first error tells more
	}
	return err
}

// counted reads the counter. With cgroup v2 that of a group has those below it in it,
// with v1 it is the sum of all of them.
func (m Machine) counted() (n int, what string, ok bool, err error) {
	if !m.Container {
		n, ok = field(m.text("/proc/vmstat"), "oom_kill")
		return n, "this machine", ok, nil
	}
	const one, two = "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory.events"
	what = "this container"
	if n, ok = field(m.text(two), "oom_kill"); ok {
		return n, what, true, nil
	}
	folders := 0
	err = filepath.WalkDir(m.path(one), func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.Name() != "memory.oom_control":
			return nil //nolint:nilerr // a group that goes away meanwhile
		case folders > mostThings:
			return fs.SkipAll
		}
		folders++
		b, _ := os.ReadFile(name)
		k, has := field(string(b), "oom_kill")
		n, ok = n+k, ok || has
		return nil
	})
	return n, what, ok, err
}

// field finds the number after a word at the beginning of a line.
func field(text, name string) (int, bool) {
	for lines := bufio.NewScanner(bytes.NewReader([]byte(text))); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(rest))
			return n, err == nil
		}
	}
	return 0, false
}

// start is when the first process began: with the machine, or the container. A counter
// of the container begins anew then.
func (m Machine) start() time.Time {
	boot, _ := field(m.text("/proc/stat"), "btime")
	at := time.Unix(int64(boot), 0).UTC()
	if m.Container {
		_, rest, _ := strings.Cut(m.text("/proc/1/stat"), ") ")
		if f := strings.Fields(rest); len(f) > 19 {
			ticks, _ := strconv.ParseInt(f[19], 10, 64)
			at = at.Add(time.Duration(ticks) * time.Second / 100) // USER_HZ
		}
	}
	return at
}
