package packages

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"steer/infra"
)

// The files of dpkg and apt that are read directly, as deb-control(5) and dpkg's
// documentation describe them.
const (
	aptStatus = "/var/lib/dpkg/status"
	aptAuto   = "/var/lib/apt/extended_states"
)

// onDisk keeps what was read from a file until the file is another one.
type onDisk[T any] struct {
	mu    sync.Mutex
	stamp string
	value T
}

// read calls load when one of the files or folders changed. A file that is missing is
// like an empty one.
func (c *onDisk[T]) read(load func(data []string) (T, error), files ...string) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var zero T
	var stamp strings.Builder
	for _, name := range files {
		info, err := os.Stat(name)
		switch {
		case err == nil:
			fmt.Fprintf(&stamp, "%d %d,", info.ModTime().UnixNano(), info.Size())
		case errors.Is(err, fs.ErrNotExist):
			stamp.WriteString("-,")
		default:
			return zero, fmt.Errorf("read what is installed: %w", err)
		}
	}
	if c.stamp == stamp.String() {
		return c.value, nil
	}
	var data []string
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EISDIR) {
			return zero, fmt.Errorf("read what is installed: %w", err)
		}
		data = append(data, string(b))
	}
	value, err := load(data)
	if err != nil {
		return zero, err
	}
	c.stamp, c.value = stamp.String(), value
	return value, nil
}

// paragraphs calls each with the wanted fields of every paragraph of control data.
func paragraphs(data string, wanted []string, each func(map[string]string)) {
	one := map[string]string{}
	for line := range strings.Lines(data) {
		switch line[0] {
		case ' ', '\t':
			continue // the fields that are read here are one line long
		case '\r', '\n':
			if strings.Trim(line, "\r\n") == "" && len(one) > 0 {
				each(one)
				clear(one)
			}
			continue
		}
		for _, name := range wanted {
			if line[0] == name[0] && len(line) > len(name) && line[len(name)] == ':' && line[:len(name)] == name {
				one[name] = strings.TrimSpace(line[len(name)+1:])
			}
		}
	}
	if len(one) > 0 {
		each(one)
	}
}

// parseStatus reads dpkg's status file and apt's extended states.
func parseStatus(status, extended string) *inventory {
	type entry struct {
		name, arch string
		installed
	}
	var all []entry
	native := ""
	virtual := map[string][]string{}
	inv := &inventory{has: map[string]installed{}, provides: listed(virtual)}
	paragraphs(status, []string{"Package", "Status", "Version", "Architecture", "Provides"}, func(f map[string]string) {
		words := strings.Fields(f["Status"]) // what is wanted, an error flag, what is
		if len(words) != 3 || words[2] == "not-installed" {
			return
		}
		e := entry{f["Package"], f["Architecture"], installed{Version: f["Version"], State: words[2], Held: words[0] == "hold"}}
		if words[1] != "ok" {
			e.State = words[2] + ", to be installed again"
		}
		if e.name == "dpkg" {
			native = e.arch // dpkg has the architecture that names without one mean
		}
		all = append(all, e)
		if e.State == configured {
			return
		}
		for p := range strings.SplitSeq(f["Provides"], ",") {
			p, _, _ = strings.Cut(strings.TrimSpace(p), " ")
			if p, _, _ = strings.Cut(p, ":"); p != "" {
				virtual[p] = append(virtual[p], e.name)
			}
		}
	})
	inv.native = native
	auto := map[string]bool{}
	paragraphs(extended, []string{"Package", "Architecture", "Auto-Installed"}, func(f map[string]string) {
		if f["Auto-Installed"] == "1" {
			auto[f["Package"]+":"+f["Architecture"]] = true
		}
	})
	for _, e := range all {
		arch := e.arch
		if arch == "all" {
			arch = native
		}
		e.Auto = auto[e.name+":"+arch]
		inv.has[e.name+":"+e.arch] = e.installed
		if arch == native {
			inv.has[e.name], inv.has[e.name+":"+native] = e.installed, e.installed
		}
	}
	return inv
}

// simulated is a line of apt-get --simulate about what it would unpack:
//
//	Inst NAME [OLD] (NEW LABEL:VERSION/SUITE, … [ARCH])
var simulated = infra.Pattern(`(?m)^Inst (\S+) \[(\S+)\] \((\S+) ?(.*) \[\S+\]\)`)

// parseSimulation reads what apt-get --simulate would upgrade.
func parseSimulation(out string) []update {
	var all []update
	for _, m := range simulated().FindAllStringSubmatch(out, -1) {
		all = append(all, update{Name: m[1], Old: m[2], New: m[3], Security: secure(m[4])})
	}
	return all
}

// secure tells whether one of the releases that a version is from is for security.
// Debian and Ubuntu call the suite SUITE-security.
func secure(releases string) bool {
	for r := range strings.SplitSeq(releases, ",") {
		r, _, _ = strings.Cut(strings.TrimSpace(r), " ")
		if strings.HasSuffix(r, "-security") || strings.HasSuffix(r, "/updates") && strings.HasPrefix(r, "Debian-Security:") {
			return true
		}
	}
	return false
}

// parsePolicy reads from apt-cache policy which packages have a version for security
// between the installed one, which *** marks, and the newest, which is listed first.
func parsePolicy(out string) map[string]bool {
	found := map[string]bool{}
	name, table := "", false
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line != "" && line[0] != ' ':
			name, table = strings.TrimSuffix(line, ":"), false
		case strings.HasPrefix(line, "  Version table:"):
			table = true
		case strings.HasPrefix(line, " *** "):
			table = false
		case table && strings.HasPrefix(line, "        "): // PRIORITY URL SUITE/COMPONENT ARCH Packages
			if w := strings.Fields(line); len(w) >= 3 {
				if suite, _, _ := strings.Cut(w[2], "/"); strings.HasSuffix(suite, "-security") {
					found[name] = true
				}
			}
		}
	}
	return found
}

// newest is the latest of the times at which files were written.
func newest(files ...string) time.Time {
	var t time.Time
	for _, name := range files {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(t) {
			t = info.ModTime()
		}
	}
	return t
}
