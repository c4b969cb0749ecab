// Package prometheustest starts real servers that speak Prometheus' protocols,
// for tests.
package prometheustest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The servers that Start knows, by the names of their programs.
const (
	VictoriaMetrics = "victoria-metrics"
	Prometheus      = "prometheus"
)

// Late is the window in which the Prometheus that Start starts takes old points.
const Late = 24 * time.Hour

// Server is one server on a free port of this machine. It ends with the test.
type Server struct {
	URL string

	t       testing.TB
	program string
	args    []string
	health  string
	cmd     *exec.Cmd
	gone    chan struct{}
	log     bytes.Buffer
}

// Start starts a server and waits until it answers. Without its program the test
// is skipped, or fails if STEER_REQUIRE_ALL is set.
func Start(t testing.TB, kind string) *Server {
	t.Helper()
	program, err := exec.LookPath(kind)
	if err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatalf("%s is not installed, and STEER_REQUIRE_ALL is set", kind)
		}
		t.Skipf("%s is not installed", kind)
	}
	dir, err := os.MkdirTemp("", "steer-"+kind+"-")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, program: program}
	// Between looking for a free port and listening somebody else may take it.
	for range 5 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		l.Close()
		s.URL = "http://" + address
		s.configure(kind, dir, address)
		if err = s.launch(); err == nil {
			break
		}
		t.Logf("%s on %s: %v", kind, address, err)
	}
	t.Cleanup(func() {
		s.Stop()
		os.RemoveAll(dir)
		if t.Failed() {
			t.Logf("%s says:\n%s", kind, tail(s.log.Bytes(), 4<<10))
		}
	})
	if s.cmd == nil {
		t.Fatalf("%s does not start:\n%s", kind, s.log.Bytes())
	}
	return s
}

func (s *Server) configure(kind, dir, address string) {
	if kind == VictoriaMetrics {
		s.health = "/health"
		s.args = []string{"-storageDataPath=" + dir, "-httpListenAddr=" + address, "-retentionPeriod=5y", "-memory.allowedBytes=128MB"}
		return
	}
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("storage:\n  tsdb:\n    out_of_order_time_window: %dh\n", Late/time.Hour)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.health = "/-/ready"
	s.args = []string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--storage.tsdb.retention.time=5y",
		"--web.listen-address=" + address, "--web.enable-remote-write-receiver"}
}

func (s *Server) launch() error {
	cmd := exec.Command(s.program, s.args...)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
	for start := time.Now(); time.Since(start) < 30*time.Second; {
		select {
		case <-gone:
			return fmt.Errorf("it ended: %s", cmd.ProcessState)
		case <-time.After(20 * time.Millisecond):
		}
		if err := ask(http.MethodGet, s.URL+s.health); err == nil {
			s.cmd, s.gone = cmd, gone
			return nil
		}
	}
	_ = cmd.Process.Kill()
	<-gone
	return fmt.Errorf("it does not answer")
}

// Restart starts the server again after Stop, at its old address.
func (s *Server) Restart() {
	s.t.Helper()
	if err := s.launch(); err != nil {
		s.t.Fatalf("start %s again: %v\n%s", s.program, err, tail(s.log.Bytes(), 4<<10))
	}
}

// Stop ends the server in good order.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(os.Interrupt)
	select {
	case <-s.gone:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.gone
	}
	s.cmd = nil
}

// CPU is the time that the server says it has worked.
func (s *Server) CPU() time.Duration {
	res, err := http.Get(s.URL + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "process_cpu_seconds_total "); ok {
			if seconds, err := strconv.ParseFloat(text, 64); err == nil {
				return time.Duration(seconds * float64(time.Second))
			}
		}
	}
	s.t.Fatalf("%s does not say how long it worked", s.program)
	return 0
}

// Searchable makes VictoriaMetrics show what it has taken at once, which else
// takes ten seconds for new series.
func (s *Server) Searchable() {
	if filepath.Base(s.program) == VictoriaMetrics {
		_ = ask(http.MethodPost, s.URL+"/internal/force_flush")
	}
}

// KeepSearchable calls Searchable again and again until the test ends.
func (s *Server) KeepSearchable() {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				s.Searchable()
			}
		}
	})
	s.t.Cleanup(func() {
		close(stop)
		wg.Wait()
	})
}

func ask(method, url string) error {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	return nil
}

func tail(b []byte, n int) []byte { return b[max(len(b)-n, 0):] }
