package verify

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"steer/infra"
)

var processKind = Kind{
	Name: "process",
	Doc: `Processes of a name: that of the program, without its path, as ps shows it under comm.
Those that ended and wait to be collected don't count.`,
	Key:     "name",
	Example: "process: {name: cron, count: 1, user: root}",
	Stable:  []string{"running", "user"},
	New:     func() Subject { return &process{} },
}

type process struct {
	Name    string `yaml:"name" doc:"Name of the program."`
	Running *bool  `yaml:"running" doc:"Whether there is one." default:"true"`
	Count   Number `yaml:"count" doc:"How many there are."`
	User    Text   `yaml:"user" doc:"Users that they run as."`
}

func (p *process) ID() string { return p.Name }

func (p *process) Check() error { return plainName("name", p.Name) }

func (p *process) Look(_ context.Context, h *infra.Host) (Found, error) {
	all, err := infra.Memo(h, "processes", listProcesses)
	if err != nil {
		return nil, err
	}
	count := 0
	var users []string
	for _, one := range all {
		if one.name != p.Name {
			continue
		}
		count++
		if u := h.UserName(one.uid); !slices.Contains(users, u) {
			users = append(users, u)
		}
	}
	if count == 0 {
		return Found{"running": false, "count": 0}, nil
	}
	slices.Sort(users)
	return Found{"running": true, "count": count, "user": users}, nil
}

type running struct {
	pid, uid int
	name     string
}

// listProcesses reads /proc. Processes that end meanwhile are left out.
func listProcesses() ([]running, error) {
	entries, err := os.ReadDir("/proc")
	var all []running
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		info, err2 := os.Stat(dir)
		begin, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
		if err != nil || err2 != nil || begin < 0 || end < begin || len(stat) < end+3 || stat[end+2] == 'Z' || stat[end+2] == 'X' {
			continue
		}
		p := running{pid: pid, name: string(stat[begin+1 : end])}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			p.uid = int(st.Uid)
		}
		if len(p.name) == 15 { // the kernel cuts there: the command line may know the rest
			line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
			first, _, _ := bytes.Cut(line, []byte{0})
			if whole := filepath.Base(string(first)); strings.HasPrefix(whole, p.name) {
				p.name = whole
			}
		}
		all = append(all, p)
	}
	return all, err
}
