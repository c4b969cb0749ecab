package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steer/base/fault"
)

func pipe() (net.Conn, net.Conn) { return net.Pipe() }

func TestDeadPeerIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := pipe()
		l := newLink(here, here)
		start := time.Now()
		// For a while there are pulses, then silence.
		far := newLink(there, there)
		ctx, cancel := context.WithCancel(t.Context())
		go far.pulse(ctx)
		time.AfterFunc(10*time.Minute, cancel)
		_, err := l.hear()
		if took := time.Since(start) - 10*time.Minute; err == nil || took > deadAfter || took < deadAfter-pulseEvery-time.Second {
			t.Errorf("noticed after %s: %v", took, err)
		}
		if _, err := far.hear(); err == nil {
			t.Error("the connection is not closed")
		}
	})
}

func TestPeerThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, _ := pipe()
		l := newLink(here, here)
		start := time.Now()
		if _, err := io.WriteString(l, strings.Repeat("x", 100_000)); err == nil || time.Since(start) != deadAfter {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}

func TestSlowConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := pipe()
		l, far := newLink(here, here), newLink(there, there)
		go l.pulse(t.Context())
		go func() {
			time.Sleep(time.Hour) // a long run with nothing to tell
			io.WriteString(l, "done")
			l.Close()
		}()
		if b, err := io.ReadAll(far); string(b) != "done" || err != nil {
			t.Errorf("%q %v", b, err)
		}
	})
}

func TestBackoff(t *testing.T) {
	for failures, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		want *= time.Second
		low, high := want, time.Duration(0)
		for range 2000 {
			d := backoff(failures)
			low, high = min(low, d), max(high, d)
		}
		if low < want/2 || high > want || high-low < want/4 {
			t.Errorf("after %d failures from %s to %s, want up to %s", failures, low, high, want)
		}
	}
}

// A host whose server is gone converges by itself once an hour, unless it is paused.
func TestAlone(t *testing.T) {
	for _, paused := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			if err := put(dir+"/"+IdentityFile, []byte("url: http://127.0.0.1:1\nhost: web-1\ncredential: host_x\n")); err != nil {
				t.Fatal(err)
			}
			var runs []time.Duration
			start := time.Now()
			a, err := NewAgent(AgentOptions{Dir: dir, Log: slog.New(slog.DiscardHandler), Converge: func(context.Context) (Run, error) {
				switch runs = append(runs, time.Since(start)); len(runs) {
				case 1:
					return Run{Counts: map[string]int{"changed": 1}}, nil
				case 2:
					return Run{}, fault.New(fault.Conflict, "another run")
				}
				return Run{}, errors.New("no disk")
			}})
			if err != nil {
				t.Fatal(err)
			}
			a.status.Paused = paused
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Hour)
			defer cancel()
			a.alone(ctx)
			if paused {
				if len(runs) > 0 {
					t.Errorf("paused, and it ran after %v", runs)
				}
				return
			}
			if len(runs) < 4 || runs[0] < time.Hour {
				t.Errorf("ran after %v", runs)
			}
			for i := 1; i < len(runs); i++ {
				if gap := runs[i] - runs[i-1]; gap < time.Hour || gap > time.Hour+aloneLater+time.Minute {
					t.Errorf("ran after %v", runs)
				}
			}
			all := a.queue.first()
			if len(all) != len(runs)-1 || all[0].Run.Counts["changed"] != 1 || all[0].Run.Failed || !all[1].Run.Failed || all[1].Run.Error != "no disk" {
				t.Errorf("%+v", all)
			}
		})
	}
}
