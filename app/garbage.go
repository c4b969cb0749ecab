package app

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
)

// spare is how many bytes a command may leave lying around.
const spare = 96 << 20

// keepGarbage lets a command that is soon done collect nothing until its memory
// comes to spare, and from then on as usual: collecting would be a fifth of the CPU
// time of a run that has nothing to do.
func keepGarbage() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	before := debug.SetGCPercent(-1)
	if before < 0 {
		return // it is so already
	}
	debug.SetMemoryLimit(spare)
	runtime.AddCleanup(new([16]byte), func(percent int) { // the first collection finds it
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(math.MaxInt64)
	}, before)
}
