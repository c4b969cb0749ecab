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
	before := percent()
	keepGarbage()
	t.Cleanup(func() { debug.SetGCPercent(int(before)); debug.SetMemoryLimit(math.MaxInt64) })
	if now := percent(); now == before {
		t.Fatalf("garbage is collected from %d %% on", now)
	}
	for n := 0; percent() != before; n++ { // what happens when memory comes to the limit
		if n > 1000 {
			t.Fatalf("it stays at %d %%", percent())
		}
		runtime.GC()
		runtime.Gosched()
	}
	for n := 0; debug.SetMemoryLimit(-1) != math.MaxInt64; n++ {
		if n > 1000 {
			t.Fatal("there is a limit on memory still")
		}
		runtime.GC()
	}
}

// percent is GOGC, very large when it is off.
func percent() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
