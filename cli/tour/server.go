package tour

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// server is "steer serve" as a process of its own.
type server struct {
	data string
	log  string // file that it writes to
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
	how  error         // it ended; read after gone

	url, token string
}

const (
	startTime = 30 * time.Second
	stopTime  = 20 * time.Second // from SIGTERM to SIGKILL
)

// startServer returns once the server is ready for everything.
func startServer(ctx context.Context, program, data, log string, args, env []string) (*server, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	defer file.Close()
	s := &server{data: data, log: log, gone: make(chan struct{})}
	s.cmd = exec.Command(program, args...)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Env = file, file, env
	s.cmd.SysProcAttr = child()
	started := make(chan error, 1)
	go func() {
		// The system may bind a child to the thread that started it.
		runtime.LockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.how = s.cmd.Wait()
			close(s.gone)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start server: %w", err)
	}
	if err := s.ready(ctx); err != nil {
		return s, err // so that the caller can stop it and show its log
	}
	return s, nil
}

func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("the server was not ready within %s", startTime))
	defer cancel()
	for {
		if s.up(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.gone:
			return fmt.Errorf("the server ended while it started: %w", s.ended())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// up reads what the server writes when it listens, and asks whether it is ready.
func (s *server) up(ctx context.Context) bool {
	url, err := os.ReadFile(filepath.Join(s.data, "server.url"))
	if err != nil {
		return false
	}
	token, err := os.ReadFile(filepath.Join(s.data, "admin.token"))
	if err != nil {
		return false
	}
	s.url, s.token = strings.TrimRight(strings.TrimSpace(string(url)), "/"), strings.TrimSpace(string(token))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func (s *server) ended() error {
	if s.how == nil {
		return errors.New("exit status 0")
	}
	return s.how
}

// stop ends the server and returns when it is gone.
func (s *server) stop() error {
	select {
	case <-s.gone:
		return nil
	default:
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.gone:
		return s.how
	case <-time.After(stopTime):
		s.cmd.Process.Kill()
		<-s.gone
		return fmt.Errorf("the server did not stop within %s of SIGTERM and was killed", stopTime)
	}
}

// address is where the server takes something, from what it prints at its start.
func (s *server) address(what string) string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if at, ok := strings.CutPrefix(strings.TrimSpace(line), what); ok {
			return strings.TrimSpace(at)
		}
	}
	return ""
}

// tail is the end of what the server wrote.
func (s *server) tail(lines int) string {
	const most = 64 << 10
	f, err := os.Open(s.log)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > most {
		f.Seek(-most, io.SeekEnd)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// sweep ends what still runs out of a folder that is about to be removed: nodes
// of services outlive the server on purpose, and a server that was killed could
// not stop what it had started.
func sweep(folder string) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for end := time.Now().Add(3 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			left := inside(folder)
			if len(left) == 0 {
				return
			}
			for _, pid := range left {
				syscall.Kill(pid, sig)
			}
			if time.Now().After(end) {
				break
			}
		}
	}
}

// inside lists the processes whose program or working directory is in a folder.
// Where there is no /proc it finds none.
func inside(folder string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscanf(e.Name(), "%d", &pid); err != nil || pid == os.Getpid() {
			continue
		}
		for _, link := range []string{"exe", "cwd"} {
			if to, err := os.Readlink(filepath.Join("/proc", e.Name(), link)); err == nil && strings.HasPrefix(to, folder+"/") {
				found = append(found, pid)
				break
			}
		}
	}
	return found
}
