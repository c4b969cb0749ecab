package store

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"steer/base/metric"
)

// The crash test kills a process that writes, again and again on one folder.
//
// Step n is ten seconds of the store's time. In it, crashSeries series get the
// first value of slot n and the final one of slot n - crashLate.
const (
	crashSeries = 40
	crashLate   = 7
	crashStart  = 1_800_000_000 / 600 * 600
)

func crashValue(series, slot int, final bool) float64 {
	v := float64(slot)*1.5 + float64(series)*1e6
	if final {
		v += 0.25
	}
	return v
}

func crashOptions(dir string, step *int) Options {
	return Options{
		Config: Config{Sync: "3ms", Schemas: filepath.Join(dir, "schemas.conf"), Aggregation: filepath.Join(dir, "aggregation.conf"), Flush: 1},
		Dir:    filepath.Join(dir, "store"),
		Log:    slog.New(slog.DiscardHandler),
		Now:    func() time.Time { return time.Unix(crashStart+int64(*step)*10, 0) },
		limit:  limits{segment: 20_000},
	}
}

// TestCrashChild is the process that is killed.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv("STEER_CRASH_DIR")
	if dir == "" {
		return // only the crash test starts it so
	}
	step, err := strconv.Atoi(os.Getenv("STEER_CRASH_STEP"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(crashOptions(dir, &step))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	go func() {
		for { // Run would flush once a second
			if err := s.flush(); err != nil {
				panic(err)
			}
			time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
		}
	}()
	for ; ; step++ {
		var points []metric.Point
		for i := range crashSeries {
			name := []byte(fmt.Sprint("crash.s", i))
			points = append(points, metric.Point{Name: name, Time: crashStart + int64(step)*10, Value: crashValue(i, step, false)})
			if late := step - crashLate; late >= 0 {
				points = append(points, metric.Point{Name: name, Time: crashStart + int64(late)*10, Value: crashValue(i, late, true)})
			}
		}
		if err := s.Write(ctx, points); err != nil {
			t.Fatal(err)
		}
		if step%3 == 0 {
			if err := s.Sync(ctx); err != nil {
				t.Fatal(err)
			}
			fmt.Printf("synced %d\n", step)
		}
	}
}

func TestCrash(t *testing.T) {
	rounds := 20
	if n, err := strconv.Atoi(os.Getenv("STEER_SOAK")); err == nil {
		rounds = n
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"schemas.conf":     "[all]\npattern = .*\nretentions = 10s:2h,1m:1d,10m:60d\n",
		"aggregation.conf": "[all]\npattern = .*\nxFilesFactor = 0\naggregationMethod = sum\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	synced, checked := -1, 0
	for round := range rounds {
		start := synced + 1
		if n := crashRound(t, dir, start); n >= 0 {
			synced = n
		}
		if synced < 0 {
			continue
		}
		step := synced
		s, err := Open(crashOptions(dir, &step))
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		checked += crashCheck(t, s, synced)
		if st := s.Stats(); st.Damaged > 0 {
			t.Errorf("round %d: %+v", round, st)
		}
		if round%2 == 0 { // else the next one finds what this one left
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		} else {
			s.closed = true
			s.release()
		}
		if t.Failed() {
			t.Fatalf("round %d, synced up to %d", round, synced)
		}
	}
	t.Logf("%d rounds, %d steps, %d values checked", rounds, synced+1, checked)
}

// crashRound runs the child for a random time and returns the last step that it
// said was synced.
func crashRound(t *testing.T, dir string, start int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), "STEER_CRASH_DIR="+dir, "STEER_CRASH_STEP="+strconv.Itoa(start))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := -1
	var kill *time.Timer
	lines := bufio.NewScanner(out)
	var other []string
	for lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), "synced "); ok {
			if kill == nil { // counted from when it works
				kill = time.AfterFunc(time.Duration(rand.IntN(250))*time.Millisecond, func() { cmd.Process.Kill() })
			}
			last, _ = strconv.Atoi(n)
		} else {
			other = append(other, lines.Text())
		}
	}
	err = cmd.Wait()
	if err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the writer ended by itself: %v\n%s", err, strings.Join(other, "\n"))
	}
	return last
}

// crashCheck reads everything that was synced. What came later may be there too.
func crashCheck(t *testing.T, s *Store, synced int) (checked int) {
	t.Helper()
	var names []string
	for i := range crashSeries {
		names = append(names, fmt.Sprint("crash.s", i))
	}
	now := int64(crashStart + synced*10)
	for k, a := range []struct{ step, keep int64 }{{10, 7200}, {60, 86400}, {600, 60 * 86400}} {
		from := max(now-a.keep, now-a.keep/4*3, crashStart-1)
		if k > 0 { // just out of what the finer one covers
			from = min(from, now-[]int64{0, 7201, 86401}[k])
		}
		got, err := s.Fetch(context.Background(), Request{Names: names, From: from, Until: now})
		if err != nil || len(got) != crashSeries {
			t.Fatalf("fetch: %d series, %v", len(got), err)
		}
		for i, series := range got {
			if series.Step != a.step {
				t.Fatalf("step %d, want %d", series.Step, a.step)
			}
			for j, v := range series.Values {
				first := (int(series.Start) + j*int(a.step) - crashStart) / 10
				last := first + int(a.step)/10 - 1
				if first < 0 || last > synced {
					continue
				}
				// The final values of slots up to this one are synced; those of
				// later slots may be there.
				sure, maybe := 0.0, 0.0
				for slot := first; slot <= last; slot++ {
					sure += crashValue(i, slot, slot <= synced-crashLate)
					maybe += crashValue(i, slot, true)
				}
				checked++
				if !(v >= sure-1e-6 && v <= maybe+1e-6) || math.IsNaN(v) {
					t.Errorf("%s slots %d to %d of %d: %v, want %v to %v", series.Name, first, last, synced, v, sure, maybe)
					return checked
				}
			}
		}
	}
	return checked
}
