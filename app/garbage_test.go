package app

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestGarbageIsKeptOnceOnly(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	collected := func() {
		t.Helper()
		for n := 0; percent() > 1000 || debug.SetMemoryLimit(-1) != math.MaxInt64; n++ {
			if n > 1000 {
				t.Fatalf("it stays at %d %%, with a limit of %d bytes", percent(), debug.SetMemoryLimit(-1))
			}
			runtime.GC() // as when memory comes to the limit
			runtime.Gosched()
		}
	}
	collected() // after other tests
	before := percent()
	keepGarbage()
	keepGarbage()
	if now := percent(); now < 1000 {
		t.Fatalf("garbage is collected from %d %% on", now)
	}
	if collected(); percent() != before {
		t.Errorf("it was %d %% before, and is %d %% now", before, percent())
	}
}

// percent is GOGC, very large when it is off.
func percent() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
