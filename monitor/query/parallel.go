package query

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
)

// grain is how many points are worth another core.
const grain = 32 << 10

// parallel calls f for parts of 0 to n that together make up all of it, on as
// many cores as so many points are worth. The first part's error counts. A panic
// comes back to the caller, where the server outlives it.
func parallel(n, points int, f func(from, to int) error) error {
	parts := min(runtime.GOMAXPROCS(0), n, 1+points/grain)
	if parts <= 1 {
		return f(0, n)
	}
	errs, broken := make([]error, parts), make([]any, parts)
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					broken[i] = fmt.Sprintf("%v\n%s", p, debug.Stack())
				}
			}()
			errs[i] = f(i*n/parts, (i+1)*n/parts)
		})
	}
	wg.Wait()
	for i := range parts {
		if broken[i] != nil {
			panic(broken[i])
		}
		if errs[i] != nil {
			return errs[i]
		}
	}
	return nil
}
