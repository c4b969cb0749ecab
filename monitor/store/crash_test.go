package store

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"steer/base/metric"
)

// The crash test kills a process that writes, again and again on one folder.
//
// Step n is ten seconds of the store's time. In it, crashSeries series get the
// first value of slot n and the final one of slot n - crashLate, a new series is born
// that never gets another point, and some series that come and go get a value. Every
// crashRules steps the rules change while the store runs.
const (
	crashSeries = 20
	crashGuests = 9
	crashLate   = 7
	crashStart  = 1_800_000_000 / 600 * 600
	crashRules  = 180 // a multiple of the longest interval
)

// crashRetentions follow each other: the first archive longer, with one archive more,
// the last archive longer.
func crashRetentions() []string {
	return []string{"10s:2h,1m:1d,10m:60d", "10s:3h,1m:1d,10m:60d", "10s:2h,30s:6h,1m:1d,10m:60d", "10s:2h,1m:1d,10m:90d"}
}

func crashRulesAt(step int) Rules {
	all := crashRetentions()
	r := sums(all[step/crashRules%len(all)])
	r.Schemas.Data = append([]byte("- {name: short, pattern: '^crash.(new|guest)', retentions: '10s:10m'}\n"), r.Schemas.Data...)
	return r
}

func crashValue(series, slot int, final bool) float64 {
	v := float64(slot)*1.5 + float64(series)*1e6
	if final {
		v += 0.25
	}
	if series%3 == 1 {
		v /= 3 // no decimal number
	}
	return v
}

// crashGuest says whether a series that comes and goes is there.
func crashGuest(series, step int) bool { return (step/250+series)%3 == 0 }

func crashOptions(dir string, rules int, step *int) Options {
	return Options{
		Config: Config{Sync: "3ms", Flush: 1},
		Rules:  crashRulesAt(rules),
		Dir:    filepath.Join(dir, "store"),
		Log:    slog.New(slog.DiscardHandler),
		Now:    func() time.Time { return time.Unix(crashStart+int64(*step)*10, 0) },
		limit:  limits{segment: 20_000, loose: 20, forget: 50 * 10 * time.Second},
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
	disk := &crashDisk{phase: os.Getenv("STEER_CRASH_PHASE")}
	if disk.left, err = strconv.Atoi(os.Getenv("STEER_CRASH_LEFT")); err != nil {
		t.Fatal(err)
	}
	if disk.state, err = os.OpenFile(filepath.Join(dir, "state"), os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		t.Fatal(err)
	}
	rules, err := strconv.Atoi(os.Getenv("STEER_CRASH_RULES"))
	if err != nil {
		t.Fatal(err)
	}
	o := crashOptions(dir, rules, &step)
	o.disk = disk
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	disk.note(crashIdle)
	ctx := context.Background()
	go func() {
		for { // Run would flush once a second
			if err := s.flush(); err != nil {
				panic(err)
			}
			disk.note(crashIdle)
			time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
		}
	}()
	for ; ; step++ {
		if step%crashRules == 0 {
			if err := s.Sync(ctx); err != nil {
				t.Fatal(err)
			}
			fmt.Printf("synced %d\n", step-1)
			if err := s.Apply(crashRulesAt(step)); err != nil {
				t.Fatal(err)
			}
			fmt.Printf("rules %d\n", step)
		}
		var points []metric.Point
		add := func(name string, slot int, v float64) {
			points = append(points, metric.Point{Name: []byte(name), Time: crashStart + int64(slot)*10, Value: v})
		}
		for i := range crashSeries {
			name := fmt.Sprint("crash.s", i)
			add(name, step, crashValue(i, step, false))
			if late := step - crashLate; late >= 0 {
				add(name, late, crashValue(i, late, true))
			}
		}
		add(fmt.Sprint("crash.new.", step), step, float64(step))
		for i := range crashGuests {
			if crashGuest(i, step) {
				add(fmt.Sprintf("crash.guest;n=%d", i), step, float64(step))
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

// crasher runs the rounds.
type crasher struct {
	t       *testing.T
	dir     string
	synced  int // the last step that the process said was on disk
	rules   int // the step whose rules are in force
	checked int // values
	listed  int // series that were listed at most
	kills   map[string]int
}

func TestCrash(t *testing.T) {
	rounds := 20
	if n, err := strconv.Atoi(os.Getenv("STEER_SOAK")); err == nil {
		rounds = n
	}
	c := &crasher{t: t, dir: t.TempDir(), synced: -1, kills: map[string]int{}}
	phases := crashAims()
	rand.Shuffle(len(phases), func(i, j int) { phases[i], phases[j] = phases[j], phases[i] })
	for round := range rounds {
		aim := "" // any time
		if round%3 > 0 {
			aim = phases[(round-round/3)%len(phases)]
		}
		c.round(aim)
		if c.synced < 0 {
			continue
		}
		step := c.synced
		s, err := Open(crashOptions(c.dir, c.rules, &step))
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		c.check(s, step)
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
			t.Fatalf("round %d, synced up to %d", round, c.synced)
		}
	}
	t.Logf("%d kills, %d steps, %d values checked, %d of %d series at a time", rounds, c.synced+1, c.checked, c.listed, crashSeries+crashGuests+c.synced+1)
	for _, phase := range slices.Sorted(maps.Keys(c.kills)) {
		t.Logf("%4d kills: %s", c.kills[phase], phase)
	}
	for _, phase := range phases {
		if c.kills[phase] == 0 && rounds > 3*len(phases) {
			t.Errorf("no kill: %s", phase)
		}
	}
}

// crashAims are the phases that rounds aim at.
func crashAims() (all []string) {
	for _, p := range crashPhases {
		all = append(all, p.phase)
		if slices.Contains([]string{"blocks written", "blocks published", "names appended", "rules remembered", "log removed"}, p.phase) {
			all = append(all, "new rules: "+p.phase)
		}
	}
	all = append(all, "merged blocks published")
	return slices.DeleteFunc(all, func(p string) bool { return p == "rules remembered" })
}

// round starts the process and kills it, or lets it kill itself in a phase.
func (c *crasher) round(aim string) {
	t := c.t
	t.Helper()
	after := time.Duration(rand.IntN(250)) * time.Millisecond
	left := 1 + rand.IntN(4)*rand.IntN(4)
	if slices.Contains([]string{"log read", "names read", "blocks opened"}, aim) {
		left = 1 + rand.IntN(2) // a start has few operations
	} else if aim != "" {
		after = time.Second // should it not come there
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), "STEER_CRASH_DIR="+c.dir, "STEER_CRASH_STEP="+strconv.Itoa(c.synced+1), "STEER_CRASH_RULES="+strconv.Itoa(c.rules),
		"STEER_CRASH_PHASE="+aim, "STEER_CRASH_LEFT="+strconv.Itoa(left))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := make(chan bool, 1)
	var kill *time.Timer
	lines := bufio.NewScanner(out)
	var other []string
	for lines.Scan() {
		if n, ok := strings.CutPrefix(lines.Text(), "rules "); ok {
			c.rules, _ = strconv.Atoi(n)
		} else if n, ok := strings.CutPrefix(lines.Text(), "synced "); ok {
			if kill == nil { // counted from when it works
				kill = time.AfterFunc(after, func() {
					killed <- true
					cmd.Process.Kill()
				})
			}
			c.synced, _ = strconv.Atoi(n)
		} else {
			other = append(other, lines.Text())
		}
	}
	if kill != nil {
		kill.Stop()
	}
	if err = cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the writer ended by itself: %v\n%s", err, strings.Join(other, "\n"))
	}
	phase := aim
	select {
	case <-killed:
		state, err := os.ReadFile(filepath.Join(c.dir, "state"))
		if err != nil {
			t.Fatal(err)
		}
		phase = strings.TrimSpace(string(state[:crashRecord]))
	default:
	}
	c.kills[phase]++
}

// check reads everything that was synced. What came later may be there too.
func (c *crasher) check(s *Store, step int) {
	c.t.Helper()
	var names []string
	for i := range crashSeries {
		names = append(names, fmt.Sprint("crash.s", i))
	}
	now := int64(crashStart + step*10)
	archives := s.plan([]byte(names[0])).archives
	for k, a := range archives {
		from := max(now-min(a.keep/4*3, 7000), crashStart-1) // so far all rules reach
		if k > 0 {                                           // just out of what the finer one covers
			from = min(max(now-a.keep/4*3, crashStart-1), now-archives[k-1].keep-1)
		}
		got, err := s.Fetch(context.Background(), Request{Names: names, From: from, Until: now})
		if err != nil || len(got) != crashSeries {
			c.t.Fatalf("fetch: %d series, %v", len(got), err)
		}
		for i, series := range got {
			if series.Step != a.step {
				c.t.Fatalf("step %d, want %d", series.Step, a.step)
			}
			// The archive that comes and goes shows what others have of the time when it
			// was away. What comes for it after it went is not in it when it is back,
			// and where the finer archive ends some minutes may be missing.
			span := a.step
			if a.step == 30 {
				span = 600
			}
			sum := 0.0
			for j, v := range series.Values {
				at := series.Start + int64(j)*a.step
				if v == v {
					sum += v
				}
				if (at+a.step)%span != 0 {
					continue
				}
				first, slack := at+a.step-span, 0.0
				if a.step == 30 {
					slack = crashLate * 0.25
				}
				if a.step == 30 && now-first > 7200 {
					slack = 12 * crashValue(i, int(at-crashStart)/10+2, true)
				}
				if first >= series.Start {
					c.compare(i, first, span, sum, slack, now)
				}
				if sum = 0; c.t.Failed() {
					return
				}
			}
		}
	}
	c.checkGuests(s, step)
}

// compare compares what a series adds up to from a time on with what was written.
func (c *crasher) compare(series int, from, span int64, v, slack float64, now int64) {
	first := (int(from) - crashStart) / 10
	last := first + int(span)/10 - 1
	if first < 0 || last > c.synced {
		return
	}
	// The final values of slots up to this one are synced; those of later slots may
	// be there.
	sure, maybe := 0.0, 0.0
	for slot := first; slot <= last; slot++ {
		sure += crashValue(series, slot, slot <= c.synced-crashLate)
		maybe += crashValue(series, slot, true)
	}
	c.checked++
	if !(v >= sure-slack-1e-6 && v <= maybe+1e-6) {
		c.t.Errorf("crash.s%d slots %d to %d of %d, %d s ago: %.17g, want %.17g to %.17g, slack %v", series, first, last, c.synced, now-from, v, sure, maybe, slack)
	}
}

// checkGuests looks at series that come and go: those of the last minutes are there,
// those of long ago are not listed for ever.
func (c *crasher) checkGuests(s *Store, step int) {
	want := map[string][]int{} // steps
	for n := max(0, step-50); n <= c.synced; n++ {
		name := fmt.Sprint("crash.new.", n)
		want[name] = append(want[name], n)
		for i := range crashGuests {
			if crashGuest(i, n) {
				name := fmt.Sprintf("crash.guest;n=%d", i)
				want[name] = append(want[name], n)
			}
		}
	}
	for name, steps := range want {
		got, err := s.Fetch(context.Background(), Request{Names: []string{name}, From: int64(crashStart + step*10 - 590), Until: int64(crashStart + step*10)})
		if err != nil || len(got) != 1 {
			c.t.Errorf("%s: %v %v", name, got, err)
			return
		}
		for _, n := range steps {
			if v := got[0].Values[(int64(crashStart+n*10)-got[0].Start)/10]; v != float64(n) {
				c.t.Errorf("%s at step %d of %d is %v", name, n, step, v)
				return
			}
			c.checked++
		}
		found, err := s.Find(context.Background(), name, 0)
		if err != nil || len(found) != 1 || !found[0].Leaf {
			c.t.Errorf("%s is not listed once: %v %v", name, found, err)
			return
		}
	}
	c.listed = max(c.listed, int(s.Stats().Series))
}
