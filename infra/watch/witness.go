package watch

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"steer/infra"
)

// witness looks for who was around when something changed: hints, no proofs. What is
// the same for all resources is looked up once.
type witness struct {
	root   string // "/", or of a test
	now    time.Time
	host   *infra.Host
	looked bool
	all    []string
}

// Bounds of hints.
const (
	mostHints  = 8
	nearby     = 10 * time.Minute // between what a log tells and the change
	logEnd     = 64 << 10         // of a log that is read
	mostPeople = 5
	patience   = 3 * time.Second // with journalctl
)

// ofFiles are the kinds whose paths have owners that say something.
var ofFiles = []string{"file", "line", "block", "directory", "symlink"}

func (w *witness) path(name string) string { return filepath.Join(w.root, name) }

// hints are those about a change of a resource that was just seen.
func (w *witness) hints(ctx context.Context, d infra.Declared) []string {
	if !w.looked {
		w.looked = true
		w.all = w.around(ctx)
	}
	hints := slices.Clone(w.all)
	if f, ok := d.Resource.(infra.Watched); ok && (slices.Contains(ofFiles, d.Kind)) {
		for _, p := range f.Watch() {
			if owner := w.owner(strings.TrimSuffix(p, "/**")); owner != "" {
				hints = append(hints, owner)
			}
		}
	}
	if s, ok := d.Resource.(infra.Supervised); ok {
		for _, unit := range s.Units() {
			if t := w.journal(ctx, "UNIT="+unit); w.near(t) {
				hints = append(hints, t.hint("systemd"))
			}
		}
	}
	return hints[:min(len(hints), mostHints)]
}

// around are hints about all that changes now.
func (w *witness) around(ctx context.Context) (hints []string) {
	if people := w.people(); len(people) > 0 {
		hints = append(hints, "logged in then: "+strings.Join(people[:min(len(people), mostPeople)], ", "))
	}
	s := sudo(w.tail("/var/log/auth.log"), w.now)
	if s.at.IsZero() {
		s = sudo(w.tail("/var/log/secure"), w.now)
	}
	if s.at.IsZero() {
		if s = w.journal(ctx, "_COMM=sudo"); s.text != "" {
			s.text = sudoer(s.text)
		}
	}
	if w.near(s) && s.text != "" {
		hints = append(hints, s.hint("log"))
	}
	if a := apt(w.tail("/var/log/apt/history.log"), w.now); w.near(a) {
		hints = append(hints, a.hint("log"))
	}
	return hints
}

func (w *witness) near(t trace) bool {
	return !t.at.IsZero() && w.now.Sub(t.at) < nearby && t.at.Sub(w.now) < time.Minute
}

// people are those who are logged in.
func (w *witness) people() (all []string) {
	add := func(p string) {
		if p != "" && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	sessions, _ := os.ReadDir(w.path("/run/systemd/sessions"))
	for _, s := range sessions[:min(len(sessions), 100)] {
		if b, err := os.ReadFile(w.path("/run/systemd/sessions/" + s.Name())); err == nil && s.Type().IsRegular() {
			add(logind(b))
		}
	}
	for _, p := range utmp(w.tail("/run/utmp"), func(pid int) bool {
		_, err := os.Stat(w.path("/proc/" + strconv.Itoa(pid)))
		return err == nil
	}) {
		user, from, _ := strings.Cut(p, " ")
		// logind knows the host, utmp may have another name for it.
		if !slices.ContainsFunc(all, func(o string) bool {
			u, where, _ := strings.Cut(o, " ")
			return u == user && (where == "" || strings.HasPrefix(where, "from") == strings.HasPrefix(from, "from"))
		}) {
			add(p)
		}
	}
	slices.Sort(all)
	return all
}

// owner tells whose a file is, when that is somebody.
func (w *witness) owner(name string) string {
	i, err := os.Lstat(w.path(name))
	if err != nil {
		return ""
	}
	s, ok := i.Sys().(*syscall.Stat_t)
	if !ok || s.Uid == 0 {
		return ""
	}
	return clean("the file belongs to " + w.host.UserName(int(s.Uid)))
}

// tail reads the end of a file.
func (w *witness) tail(name string) []byte {
	f, err := os.OpenFile(w.path(name), os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be a pipe
	if err != nil {
		return nil
	}
	defer f.Close()
	if i, err := f.Stat(); err != nil || !i.Mode().IsRegular() {
		return nil
	} else if from := i.Size() - logEnd; from > 0 {
		// Of utmp only whole records.
		if _, err := f.Seek((from+utmpSize-1)/utmpSize*utmpSize, io.SeekStart); err != nil {
			return nil
		}
	}
	b, _ := io.ReadAll(io.LimitReader(f, logEnd))
	return b
}

// journal is the newest message that matches, as journald(8) has it.
func (w *witness) journal(ctx context.Context, match string) trace {
	if w.root != "/" || w.host.Facts.Init != "systemd" || !w.host.Has("journalctl") {
		return trace{}
	}
	// With --since alone, older ones show the first and not the last.
	out, err := w.host.Exec(ctx, infra.Command{Within: patience, Args: []string{"journalctl", "--quiet", "--no-pager", "--output=json", "--output-fields=MESSAGE", "--reverse", "--lines=1",
		"--since=-" + strconv.Itoa(int(nearby.Seconds())) + "s", match}})
	if err != nil || out.Code != 0 {
		return trace{}
	}
	return journald(out.Stdout)
}
