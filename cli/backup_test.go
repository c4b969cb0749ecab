package cli

import (
	"strings"
	"testing"
	"time"
)

func TestBytesText(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 KiB", 1536: "1.5 KiB", 999 << 10: "999.0 KiB", 1000 << 10: "1.0 MiB", 5 << 30: "5.0 GiB", 1 << 40: "1.0 TiB", 5000 << 40: "5000.0 TiB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestMeter(t *testing.T) {
	m := newMeter()
	if got := m.text(); !strings.HasPrefix(got, "waiting") {
		t.Error(got)
	}
	m.started = time.Now().Add(-10 * time.Second)
	m.begin("metrics/blocks/" + strings.Repeat("x", 100))
	for range 4 {
		m.Write(make([]byte, 5<<20))
	}
	if got := m.text(); !strings.HasPrefix(got, "20.0 MiB, 2.0 MiB/s  metrics/blocks/xxx") || len(got) > 70 {
		t.Error(got)
	}
	m.total = 40 << 20
	if got := m.text(); !strings.HasPrefix(got, "20.0 MiB of 40.0 MiB, 2.0 MiB/s") {
		t.Error(got)
	}
}
