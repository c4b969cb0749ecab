package tour

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// eventually waits until ok, or fails the test.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 10 s: %s", what)
		}
	}
}

func TestTrafficCountsAnswersAndFailures(t *testing.T) {
	var mode atomic.Int32 // 0 fine, 1 error status, 2 cut in the middle of the body
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch mode.Load() {
		case 1:
			w.WriteHeader(http.StatusBadGateway)
		case 2:
			w.Header().Set("Content-Length", "10")
			w.Write([]byte("half"))
		default:
			w.Header().Set("X-Version", "b1")
			w.Write([]byte("whole"))
		}
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()

	tr := startTraffic(server.URL, []string{"/a", "/b"}, 400)
	eventually(t, "50 answers", func() bool { return tr.counted().answered >= 50 })
	if c := tr.counted(); c.failed != 0 || c.error() != nil {
		t.Errorf("failures of a good server: %+v", c)
	}
	if c := tr.counted(); c.versions["b1"] != c.answered {
		t.Errorf("%d answers, by version %v", c.answered, c.versions)
	}
	if n := connections.Load(); n > clients {
		t.Errorf("%d connections for %d clients: they are not kept", n, clients)
	}
	mode.Store(1)
	eventually(t, "a failure by status", func() bool { return tr.counted().failed > 0 })
	mode.Store(2)
	before := tr.counted().failed + clients // those that still had the status
	eventually(t, "a failure by a cut answer", func() bool { return tr.counted().failed > before })
	c := tr.end()
	if c.sent != c.answered+c.failed {
		t.Errorf("sent %d, answered %d, failed %d", c.sent, c.answered, c.failed)
	}
	if len(c.failures) != failuresKept {
		t.Errorf("%d failures are told, want the first %d", len(c.failures), failuresKept)
	}
	if err := c.error(); err == nil || !strings.Contains(err.Error(), "502 Bad Gateway") {
		t.Errorf("error: %v", err)
	}
	if after := tr.counted(); after.sent != c.sent {
		t.Errorf("%d requests after the end", after.sent-c.sent)
	}
}

func TestTrafficFinishesWhatIsUnderWay(t *testing.T) {
	under := make(chan struct{}, clients)
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		under <- struct{}{}
		<-release
	}))
	defer server.Close()
	tr := startTraffic(server.URL, []string{"/"}, 1000)
	<-under
	tr.stop()
	time.AfterFunc(20*time.Millisecond, func() { close(release) })
	if c := tr.end(); c.failed != 0 || c.answered == 0 {
		t.Errorf("stopping made failures: %+v", c)
	}
}

func TestTrafficInterval(t *testing.T) {
	tr := &traffic{}
	for rate, want := range map[int]time.Duration{40: 400 * time.Millisecond, 16: time.Second, 5: 3200 * time.Millisecond, 0: 16 * time.Second} {
		tr.setRate(rate)
		if got := tr.interval(); got != want {
			t.Errorf("interval at %d a second is %s, want %s", rate, got, want)
		}
	}
}
