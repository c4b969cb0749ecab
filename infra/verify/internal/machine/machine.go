// Package machine looks for what wears out or breaks on a machine without anybody's
// doing: disks, memory, file systems, processes that wait for ever or die for want of
// memory. It reads what the kernel tells below a root folder, and asks smartctl and
// journalctl where they are.
package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Machine is where is looked.
type Machine struct {
	Root string // folder with proc, sys, dev, etc and usr; empty: that of this machine
	Now  time.Time
	// Container says that the machine beneath belongs to somebody else: what the kernel
	// tells of it is left out.
	Container bool
	// Once returns what load returned the first time; nil: it is loaded each time.
	Once func(key string, load func() (any, error)) (any, error)
}

// Finding is something wrong with one thing.
type Finding struct {
	Of   string `json:"of"`   // the thing: md0, sda1, mysqld[312]; with Kind the same as long as the trouble is
	Kind string `json:"kind"` // the trouble, in one word: degraded, errors
	Text string `json:"text"` // what is wrong and, in parentheses at its end, what a person does next
}

// Seen is what a look found out.
type Seen struct {
	Findings []Finding
	Looked   []string // what was looked at: devices, counters, logs
	Not      []string // what was not, and why
}

func (s *Seen) add(of, kind, format string, args ...any) {
	if len(s.Findings) < mostFindings {
		s.Findings = append(s.Findings, Finding{of, kind, fmt.Sprintf(format, args...)})
	}
}

// has tells whether something was already found about a thing.
func (s *Seen) has(of string) bool {
	return slices.ContainsFunc(s.Findings, func(f Finding) bool { return f.Of == of })
}

func (s *Seen) looked(what string) {
	s.Looked = append(s.Looked, what)
}

func (s *Seen) not(format string, args ...any) { s.Not = append(s.Not, fmt.Sprintf(format, args...)) }

// Join takes over what another look found.
func (s *Seen) Join(o Seen) {
	s.Findings = append(s.Findings, o.Findings...)
	s.Looked, s.Not = once(append(s.Looked, o.Looked...)), once(append(s.Not, o.Not...))
}

// once leaves out what stands there a second time.
func once(all []string) (out []string) {
	for _, s := range all {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// Note words what was looked at, and what not.
func (s Seen) Note() string {
	var parts []string
	if len(s.Looked) > 0 {
		parts = append(parts, "looked at "+list(s.Looked))
	}
	if len(s.Not) > 0 {
		parts = append(parts, "not at "+list(s.Not))
	}
	return strings.Join(parts, "; ")
}

// mostNamed is how many things a note names.
const mostNamed = 12

func list(all []string) string {
	text := strings.Join(all[:min(len(all), mostNamed)], ", ")
	if more := len(all) - mostNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Bounds of what is looked at.
const (
	mostFindings = 100
	mostFile     = 1 << 20 // bytes
	mostThings   = 1000    // devices, mounts
)

// noHardware is why a container is not asked for any.
const noHardware = "hardware (a container has none of its own; the machine beneath it is another host)"

func (m Machine) path(name string) string { return filepath.Join("/", m.Root, name) }

// read reads a file of the kernel; one that is not there is empty.
func (m Machine) read(name string) ([]byte, error) {
	f, err := os.Open(m.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(&limited{f, mostFile})
	// A device that goes away meanwhile is none.
	if errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ESRCH) {
		return nil, nil
	}
	return b.Bytes(), err
}

// limited ends a file early. Unlike io.LimitReader it says so.
type limited struct {
	f    *os.File
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("read %s: is longer than %d bytes", l.f.Name(), mostFile)
	}
	n, err := l.f.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// text is the only line of a file; empty when it is not there or may not be read.
func (m Machine) text(name string) string {
	b, _ := m.read(name)
	return strings.TrimSpace(string(b))
}

// number is the number in a file; ok is false when there is none.
func (m Machine) number(name string) (n int64, ok bool) {
	n, err := strconv.ParseInt(m.text(name), 10, 64)
	return n, err == nil
}

// names lists paths below the root, without the root.
func (m Machine) names(pattern string) []string {
	all, _ := filepath.Glob(m.path(pattern))
	for i, name := range all {
		all[i] = "/" + strings.TrimPrefix(strings.TrimPrefix(name, filepath.Clean("/"+m.Root)), "/")
	}
	return all[:min(len(all), mostThings)]
}

// link is the last part of what a link leads to.
func (m Machine) link(name string) string {
	to, _ := os.Readlink(m.path(name))
	return filepath.Base(to)
}

// program finds a program of the machine.
func (m Machine) program(name string) (string, bool) {
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if p, err := exec.LookPath(m.path(filepath.Join(dir, name))); err == nil {
			return p, true
		}
	}
	return "", false
}

// run returns what a program writes, whatever its exit code is.
func run(ctx context.Context, within time.Duration, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	// A process that waits for a dead disk cannot be killed: nobody waits for it.
	cmd.WaitDelay = time.Second
	out := &bounded{}
	cmd.Stdout = out
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s is not done within %s", filepath.Base(args[0]), within)
	case err != nil && !errors.As(err, &exit):
		return nil, err
	}
	return out.Bytes(), nil
}

// bounded keeps the first 16 MiB.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if room := 16<<20 - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

// clock words a time.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// epoch words a time in seconds since 1970.
func epoch(seconds int64) string { return clock(time.Unix(seconds, 0)) }

// count words a number of things.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// cut shortens a line of a log.
func cut(s string) string {
	if len(s) > 120 {
		return strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}
