package host

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"steer/base/fault"
)

// Waves are how many hosts are worked on, and when it is enough.
type Waves struct {
	Parallel int    // hosts at a time, default 10
	Serial   string // hosts of a wave, as a number or a share like 25%; the next wave waits for it. Empty: all
	MaxFail  int    // so many failed hosts are borne before the next wave; fewer than 0: any number
}

// size is how many hosts of n a wave has.
func (w Waves) size(n int) (int, error) {
	if w.Parallel < 0 {
		return 0, fault.Usage(fmt.Errorf("--parallel %d: write how many hosts at a time, from 1", w.Parallel))
	}
	if w.Serial == "" {
		return max(n, 1), nil
	}
	text, share := strings.CutSuffix(w.Serial, "%")
	k, err := strconv.Atoi(text)
	if err != nil || k < 1 || share && k > 100 {
		return 0, fault.Usage(fmt.Errorf("--serial %q: write a number of hosts, or a share from 1%% to 100%%", w.Serial))
	}
	if share {
		k = n * k / 100
	}
	return max(k, 1), nil
}

// Each does something to hosts, wave by wave. do says whether it went well. Hosts of
// waves that did not come are returned: too many before them failed, or ctx ended.
func Each(ctx context.Context, hosts []Host, w Waves, do func(context.Context, Host) bool) (left []Host, err error) {
	size, err := w.size(len(hosts))
	if err != nil {
		return nil, err
	}
	free := make(chan struct{}, cmp.Or(w.Parallel, 10))
	failed := 0
	for wave := range slices.Chunk(hosts, size) {
		if ctx.Err() != nil || w.MaxFail >= 0 && failed > w.MaxFail {
			left = append(left, wave...)
			continue
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, h := range wave {
			free <- struct{}{}
			wg.Go(func() {
				defer func() { <-free }()
				if !do(ctx, h) {
					mu.Lock()
					defer mu.Unlock()
					failed++
				}
			})
		}
		wg.Wait()
	}
	return left, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
