package store

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"steer/base/metric"
)

// The rules of the model: for each kind of name, by its first letter, those that
// follow each other when the rules change.
func modelRetentions(kind byte) []string {
	switch kind {
	case 'a':
		return []string{"1s:40s,5s:200s,20s:1h", "1s:100s,5s:400s,20s:2h", "1s:40s,20s:1h"}
	case 'b':
		return []string{"10s:2m,1m:30m", "10s:5m,1m:1h", "10s:2m,30s:10m,1m:30m"}
	case 'c':
		return []string{"1s:5m", "1s:2m,10s:1h"}
	}
	return []string{"2s:1m,4s:2m,8s:4m,16s:1h", "4s:2m,8s:4m,16s:1h", "2s:1m,16s:1h"}
}

func modelRules(choice [4]int) Rules {
	text := ""
	for i, kind := range []byte("abcd") {
		text += fmt.Sprintf("- {name: %c, pattern: ^%c, retentions: '%s'}\n", kind, kind, modelRetentions(kind)[choice[i]])
	}
	return Rules{Schemas: File{"storage.yaml", []byte(text)}, Aggregation: File{"aggregation.yaml", []byte(`
- {name: half, pattern: half$, x_files_factor: 0.5, method: average}
- {name: sum, pattern: sum$, x_files_factor: 0, method: sum}
- {name: max, pattern: max$, x_files_factor: 0.3, method: max}
- {name: last, pattern: last$, x_files_factor: 0, method: last}
- {name: zero, pattern: '', x_files_factor: 0, method: avg_zero}
`)}}
}

func modelNames() []string {
	return []string{"a.half", "a.sum", "b.max", "b.last", "c.zero", "c.zero;dc=1;host=x", "c.zero;dc=2", "d.zero", "d.half", "d.last"}
}

// model is the store as one would write it without any care for speed.
type model struct {
	rules  map[byte]*modelKind
	values map[string]map[int64]map[int64]float64 // name → step → slot
}

// modelKind is what holds for names with one first letter.
type modelKind struct {
	archives [][2]int64 // step, keep
	eras     []modelEra // the last one first
	mixed    int64      // until when values may be found in several archives
	steps    int64      // until when there were other steps
	gone     map[int64]int64
	latest   int64 // time of a point
}

type modelEra struct {
	until    int64
	archives [][2]int64
}

func modelArchives(text string) (all [][2]int64) {
	for part := range strings.SplitSeq(text, ",") {
		var a [2]int64
		for i, length := range strings.Split(part, ":") {
			var n int64
			var unit rune
			fmt.Sscanf(length, "%d%c", &n, &unit)
			a[i] = n * map[rune]int64{'s': 1, 'm': 60, 'h': 3600}[unit]
		}
		all = append(all, a)
	}
	return all
}

func newModel(choice [4]int) *model {
	m := &model{rules: map[byte]*modelKind{}, values: map[string]map[int64]map[int64]float64{}}
	for i, kind := range []byte("abcd") {
		m.rules[kind] = &modelKind{archives: modelArchives(modelRetentions(kind)[choice[i]]), gone: map[int64]int64{}}
	}
	return m
}

// up is the first multiple of step from t on.
func up(t, step int64) int64 { return (t + step - 1) / step * step }

func (m *model) apply(choice [4]int, now int64) {
	m.age(now)
	for i, kind := range []byte("abcd") {
		k := m.rules[kind]
		archives := modelArchives(modelRetentions(kind)[choice[i]])
		if slices.Equal(archives, k.archives) {
			// The eras stay when other kinds change.
			continue
		}
		k.eras = slices.Insert(k.eras, 0, modelEra{now, k.archives})
		k.mixed = max(up(now, 60), up(k.latest+1, 60))
		if len(archives) != len(k.archives) {
			k.steps = up(now, 3600)
		}
		k.archives = archives
	}
}

// age notes what may be gone: the time up to which an archive did not reach any more.
func (m *model) age(now int64) {
	for _, k := range m.rules {
		for _, a := range k.archives {
			k.gone[a[0]] = max(k.gone[a[0]], now-a[1])
		}
	}
}

func (k *modelKind) place(t, now int64) (int, bool) {
	place := func(archives [][2]int64) int {
		coarse := archives[len(archives)-1]
		i := 0
		for i < len(archives)-1 && now-t/coarse[0]*coarse[0] >= archives[i][1]+coarse[0] {
			i++
		}
		return i
	}
	at := place(k.archives)
	for i := len(k.eras) - 1; i >= 0; i-- { // the first one that the point lies in
		era := k.eras[i]
		if step := era.archives[place(era.archives)][0]; t/step*step < era.until {
			for at < len(k.archives)-1 && k.archives[at][0] < step {
				at++
			}
			break
		}
	}
	return at, now-t < k.archives[len(k.archives)-1][1] && t <= now+86400
}

func (m *model) write(name string, t, now int64, v float64) {
	kind := m.rules[name[0]]
	at, ok := kind.place(t, now)
	if v != v || !ok {
		return
	}
	kind.latest = max(kind.latest, t)
	if m.values[name] == nil {
		m.values[name] = map[int64]map[int64]float64{}
	}
	all := m.values[name]
	set := func(step, slot int64, v float64) {
		if all[step] == nil {
			all[step] = map[int64]float64{}
		}
		all[step][slot] = v
	}
	fine := kind.archives[at][0]
	set(fine, t/fine, v)
	for at++; at < len(kind.archives); at++ {
		step := kind.archives[at][0]
		slot := t / step
		var known []float64
		for s := slot * step / fine; s < (slot+1)*step/fine; s++ {
			if v, ok := all[fine][s]; ok {
				known = append(known, v)
			}
		}
		v, ok := modelRoll(name, known, int(step/fine))
		if !ok {
			break
		}
		set(step, slot, v)
		fine = step
	}
}

func modelRoll(name string, known []float64, of int) (float64, bool) {
	share := float64(len(known)) / float64(of)
	if len(known) == 0 {
		return 0, false
	}
	sum, high := 0.0, math.Inf(-1)
	for _, v := range known {
		sum += v
		high = max(high, v)
	}
	last := known[len(known)-1]
	v, factor := sum/float64(of), 0.0
	switch name[2:] {
	case "half":
		v, factor = sum/float64(len(known)), 0.5
	case "sum":
		v = sum
	case "max":
		v, factor = high, 0.3
	case "last":
		v = last
	}
	if v != v {
		v = last
	}
	return v, share >= factor
}

// compare says how a series that the store returned differs from the model's.
func (m *model) compare(got metric.Series, from, until, now int64) error {
	kind := m.rules[got.Name[0]]
	last := len(kind.archives) - 1
	from = max(from, now-kind.archives[last][1])
	until = max(until, from)
	k := 0
	for k < last && now-from > kind.archives[k][1] {
		k++
	}
	step := kind.archives[k][0]
	start := from - from%step + step
	if size := max(until/step-start/step+1, 1); got.Step != step || got.Start != start || int64(len(got.Values)) != size {
		return fmt.Errorf("%s: step %d, start %d, %d values; want %d, %d, %d", got.Name, got.Step, got.Start, len(got.Values), step, start, size)
	}
	for i, v := range got.Values {
		at := start + int64(i)*step
		want, ok := m.values[got.Name][step][at/step]
		if !ok {
			want = math.NaN()
		}
		switch {
		case math.Float64bits(v) == math.Float64bits(want) || v != v && want != want:
		case step > kind.archives[0][0] && math.Abs(v-want) <= 1e-12*math.Abs(want): // rollups add decimals as such, the model adds floats
		case at <= kind.gone[step]: // it may be gone
		case at < kind.steps: // rolled up by way of other steps
		case want != want && at < kind.mixed: // it stands in another archive
		default:
			return fmt.Errorf("%s at now%+d (step %d): %v, want %v", got.Name, at-now, step, v, want)
		}
	}
	return nil
}

// lives says whether a series has points that no rule lets go.
func (m *model) lives(name string, now int64) bool {
	kind := m.rules[name[0]]
	for step, slots := range m.values[name] {
		for slot := range slots {
			if slot*step > now-kind.archives[len(kind.archives)-1][1] && slot*step > kind.gone[step] {
				return true
			}
		}
	}
	return false
}
