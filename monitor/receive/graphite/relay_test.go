package graphite

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRelayOfCarbon: Carbon's own relay takes lines, and hands them on as pickles.
func TestRelayOfCarbon(t *testing.T) {
	if _, err := exec.LookPath("carbon-relay"); err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal("carbon-relay is not installed, and STEER_REQUIRE_ALL is set")
		}
		t.Skip("carbon-relay is not installed (Debian: graphite-carbon)")
	}
	const points = 1200 // more than one message
	c := collect(points + 1)
	r, err := New(Options{Config: Config{Pickle: "127.0.0.1:0"}, Sink: c.sink})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()

	dir, line, pickle := t.TempDir(), free(t), free(t)
	conf := fmt.Sprintf(`[relay]
STORAGE_DIR = %[1]s
CONF_DIR = %[1]s
LOG_DIR = %[1]s
PID_DIR = %[1]s
USER =
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = %[2]d
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = %[3]d
RELAY_METHOD = consistent-hashing
DESTINATIONS = %[4]s:a
MAX_QUEUE_SIZE = 100000
CARBON_METRIC_INTERVAL = 0
`, dir, line, pickle, r.Pickle())
	for name, text := range map[string]string{"carbon.conf": conf, "storage-schemas.conf": "[all]\npattern = .*\nretentions = 60s:1d\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	relay := exec.CommandContext(ctx, "carbon-relay", "--config="+filepath.Join(dir, "carbon.conf"), "--pidfile="+filepath.Join(dir, "pid"), "--logfile=-", "--nodaemon", "start")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	defer func() {
		if text, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("log of carbon-relay:\n%s", text)
		}
	}()
	relay.Stdout, relay.Stderr = log, log
	if err := relay.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { relay.Wait(); close(ended) }()
	defer func() { cancel(); <-ended }()

	to := fmt.Sprintf("127.0.0.1:%d", line)
	var conn net.Conn
	for conn == nil { // until it listens
		select {
		case <-ended:
			t.Fatal("carbon-relay ended")
		case <-time.After(50 * time.Millisecond):
			conn, _ = net.Dial("tcp", to)
		}
	}
	var lines strings.Builder
	for i := range points {
		fmt.Fprintf(&lines, "relayed.m%d %d.5 1600000000\n", i, i)
	}
	fmt.Fprintf(&lines, "relayed.tagged;b=2;a=1 7 1600000001\n")
	if _, err := conn.Write([]byte(lines.String())); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	select {
	case <-c.all:
	case <-time.After(time.Minute):
		t.Fatalf("only %d points have come", r.Accepted.Load())
	}
	if c.got["relayed.m1199"] != 1199.5 || c.got["relayed.tagged;a=1;b=2"] != 7 || c.from["relayed.m0"] != "graphite pickle 127.0.0.1" || r.Bad.Load() != 0 {
		t.Errorf("bad %d, from %q", r.Bad.Load(), c.from["relayed.m0"])
	}
}

// free is a port that nobody has, for a program that must be told one.
func free(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
