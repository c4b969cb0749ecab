package balance

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"steer/base/database/databasetest"
)

// cutter answers nothing: it reads a request's header and breaks the connection.
func cutter(t *testing.T) (string, *atomic.Int64) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var n atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					n.Add(1)
				}
			}()
		}
	}()
	return l.Addr().String(), &n
}

func TestRetriesOnlyWhatIsSafe(t *testing.T) {
	cut, reached := cutter(t)
	closed, _ := net.Listen("tcp", "127.0.0.1:0")
	closed.Close()
	good := node(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body) // begins to answer before it has read all
	})
	big := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB, more than is kept
	for _, c := range []struct {
		name, bad, method string
		body              []byte
		key               string
		want              int // status, when the bad one was asked first; 0: 200 or 502
	}{
		{"GET, cut", cut, "GET", nil, "", 200},
		{"PUT with a small body, cut", cut, "PUT", []byte("hello"), "", 200},
		{"POST with a key, cut", cut, "POST", []byte("hello"), "k1", 200},
		{"POST, cut", cut, "POST", []byte("hello"), "", 502},
		{"PUT with a big body, cut", cut, "PUT", big, "", 0},
		{"POST, refused", closed.Addr().String(), "POST", []byte("hello"), "", 200},
		{"POST with a big body, refused", closed.Addr().String(), "POST", big, "", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, databasetest.SQLite(t), nil)
			client := &http.Client{Transport: &http.Transport{}} // no connections to a balancer of before
			defer client.CloseIdleConnections()
			for range 40 { // until the bad one was drawn first
				reached.Store(0)
				f := shop("b1", c.bad, address(good))
				f.Health.Interval = time.Hour
				at := set(t, b, f)
				r, _ := http.NewRequest(c.method, "http://"+at+"/", bytes.NewReader(c.body))
				if c.key != "" {
					r.Header.Set("Idempotency-Key", c.key)
				}
				response, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(response.Body)
				if err != nil {
					t.Error(err)
				}
				response.Body.Close()
				if response.StatusCode == 200 && !bytes.Equal(got, c.body) {
					t.Fatalf("body of %d bytes came back as %d", len(c.body), len(got))
				}
				asked := reached.Load() > 0
				for _, n := range b.Status()[0].Backends {
					asked = asked || n.Address["http"] == c.bad && n.Requests > 0
				}
				if want := c.want; asked && response.StatusCode != want && (want != 0 || response.StatusCode != 200 && response.StatusCode != 502) {
					t.Fatalf("status %d, want %d: %s", response.StatusCode, c.want, got[:min(len(got), 200)])
				}
				if asked {
					return
				}
				set(t, b, shop("b1"))
			}
			t.Fatal("the bad one was never asked")
		})
	}
}

func TestReplayKeepsAlsoWhatALateAttemptRead(t *testing.T) {
	in, out := io.Pipe()
	r := &replay{from: in}
	first, _ := r.begin()
	read := make(chan error)
	go func() {
		_, err := first.Read(make([]byte, 5))
		read <- err
	}()
	io.WriteString(out, "hello")
	<-read
	second, ok := r.begin()
	if !ok {
		t.Fatal("no second attempt")
	}
	if _, err := first.Read(make([]byte, 5)); err != errStale {
		t.Fatal(err)
	}
	go func() {
		io.WriteString(out, " world")
		out.Close()
	}()
	if all, err := io.ReadAll(second); string(all) != "hello world" || err != nil {
		t.Fatalf("%q %v", all, err)
	}
}
