package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is the first process of a node; pid is also its group and session.
type process struct {
	pid   int
	start uint64        // when it began, in ticks after boot: tells it from another with its pid
	ended chan struct{} // closed when it has ended
	exit  string        // how; set before that
}

// stat is what /proc says of a process.
type stat struct {
	state          byte
	group, session int
	start          uint64
}

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	// The command, in parentheses, may hold anything; the rest is numbers.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 {
		return stat{}, fmt.Errorf("read /proc/%d/stat: only %d fields", pid, len(fields))
	}
	s := stat{state: fields[0][0]}
	s.group, _ = strconv.Atoi(fields[2])
	s.session, _ = strconv.Atoi(fields[3])
	s.start, err = strconv.ParseUint(fields[19], 10, 64)
	return s, err
}

// dead says that a process is none any more, or only waits for its parent.
func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' }

// boot identifies this run of the system: pids and ticks mean nothing in another.
func boot() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// adopt returns the process of a record if it still lives.
func adopt(r record) *process {
	if r.PID <= 0 || r.Boot != boot() {
		return nil
	}
	p := &process{pid: r.PID, start: r.Start, ended: make(chan struct{})}
	if !p.alive() {
		if p.group() { // its children are what is left: they hold the ports
			p.kill()
		}
		return nil
	}
	go func() {
		for p.alive() {
			time.Sleep(100 * time.Millisecond)
		}
		p.exit = "ended (Steer was restarted meanwhile and cannot know how)"
		close(p.ended)
	}()
	return p
}

func (p *process) alive() bool {
	s, err := readStat(p.pid)
	return err == nil && s.start == p.start && !s.dead()
}

// group says whether any process of the session lives. The kernel gives a pid
// out again only when no session has it as its number, so if there is a process
// p.pid that began at another time, nothing of this session is left.
func (p *process) group() bool {
	if s, err := readStat(p.pid); err == nil && s.start != p.start {
		return false
	}
	return len(p.members()) > 0
}

// members are the living processes of the session.
func (p *process) members() (r []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil && s.session == p.pid && !s.dead() {
			r = append(r, pid)
		}
	}
	return r
}

// kill ends the whole session by force.
func (p *process) kill() {
	for _, pid := range p.members() {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// stop asks the process group to end, and after grace makes it. It returns when
// nothing of the session is left.
func (p *process) stop(grace time.Duration) error {
	if !p.group() {
		return nil
	}
	if err := syscall.Kill(-p.pid, syscall.SIGTERM); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("signal process group %d: %w", p.pid, err)
	}
	if p.gone(grace) {
		return nil
	}
	for range 50 { // a member may make another while it is being killed
		p.kill()
		if p.gone(100 * time.Millisecond) {
			return nil
		}
	}
	return fmt.Errorf("processes %v of group %d do not end", p.members(), p.pid)
}

// gone waits until nothing of the session is left, at most for d.
func (p *process) gone(d time.Duration) bool {
	pause := 5 * time.Millisecond
	for end := time.Now().Add(d); ; time.Sleep(pause) {
		if !p.group() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		pause = min(2*pause, 100*time.Millisecond)
	}
}
