// Package graphite compares Steer's Graphite API with graphite-web: the same
// series in both, the same requests, and the same answers but where
// differences.txt gives a reason. What graphite-web answered was recorded once
// (see README.md), so the comparison needs Go only.
package graphite

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"strconv"
)

// Now is the moment of all requests: Monday, 2026-03-30 12:34:30 UTC. Europe
// moved its clocks forward the day before, at 01:00 UTC.
const Now = 1774874070

const day = 86400

// Series is what a server knows of one metric.
type Series struct {
	Name     string
	Archives []Archive
	Method   string // how whisper rolls up: average, sum, min, max, last
	Points   []Point
}

// Archive keeps a point every Step seconds, Keep of them.
type Archive struct{ Step, Keep int64 }

// Point is a value at an epoch.
type Point struct {
	Time  int64
	Value float64
}

// column makes a series of one archive from a function of the age: 0 is the
// newest slot, the one of Now. NaN leaves the slot empty.
func column(name string, step, reach int64, value func(age int) float64) Series {
	s := Series{Name: name, Archives: []Archive{{step, 40 * day / step}}, Method: "average"}
	s.fill(reach, value)
	return s
}

func (s *Series) fill(reach int64, value func(age int) float64) {
	step := s.Archives[0].Step
	newest := Now - Now%step
	for age := int(reach / step); age >= 0; age-- {
		// A few digits, so that nothing hangs on the last bit of a sine.
		v := value(age)
		if cut, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 12, 64), 64); err == nil {
			v = cut
		}
		if v == v {
			s.Points = append(s.Points, Point{newest - int64(age)*step, v})
		}
	}
}

// noise is a number from 0 to 999 that looks random.
func noise(name string, age int) float64 {
	h := fnv.New32a()
	fmt.Fprint(h, name, age)
	return float64(h.Sum32() >> 8 % 1000)
}

func null() float64 { return math.NaN() }

// All is the data set.
func All() []Series {
	var all []Series
	add := func(name string, step, reach int64, value func(age int) float64) {
		all = append(all, column(name, step, reach, value))
	}
	sine := func(age, period int) float64 { return math.Sin(2 * math.Pi * float64(age) / float64(period)) }

	// A point a minute: three hosts, the later ones with gaps.
	for i, host := range []string{"a", "b", "c"} {
		gap := func(age int) bool {
			return i == 1 && (age%7 == 3 || age == 5 || age == 6) || i == 2 && age%3 != 0
		}
		with := func(f func(age int) float64) func(age int) float64 {
			return func(age int) float64 {
				if gap(age) {
					return null()
				}
				return f(age)
			}
		}
		add("web."+host+".cpu", 60, 2*day, with(func(age int) float64 {
			return 30 + 10*float64(i) + 20*sine(age, 60) + noise(host, age)/100
		}))
		add("web."+host+".requests", 60, 2*day, with(func(age int) float64 {
			total := float64(100_000 - 30*age*(i+1) - int(noise(host+"r", age))%20)
			if i == 1 { // starts over now and then
				total = math.Mod(total, 250)
			}
			return total
		}))
		add("web."+host+".errors", 60, 2*day, func(age int) float64 { return math.Floor(noise(host+"e", age) / 334) })
	}
	// A point every ten seconds.
	for i, host := range []string{"one", "two"} {
		add("db."+host+".latency", 10, 6*3600, func(age int) float64 {
			if i == 1 && age%11 > 7 {
				return null()
			}
			return 0.0125*float64(i+1) + noise(host+"l", age)/1e5
		})
		add("db."+host+".rows", 10, 6*3600, func(age int) float64 { return noise(host+"w", age) - 300 })
	}
	// A point every five minutes, large numbers.
	for i, disk := range []string{"sda", "sdb"} {
		add("disk."+disk+".used", 300, 2*day, func(age int) float64 {
			return 1e12*float64(i+1) - 4096*1024*float64(age) + noise(disk, age)*4096
		})
	}
	for _, f := range []struct {
		name  string
		value float64
	}{{"zero", 0}, {"one", 1}, {"ten", 10}, {"minus", -2.5}} {
		add("flat."+f.name, 60, 2*day, func(int) float64 { return f.value })
	}
	// Known, but without a value for the last thirty days.
	for _, name := range []string{"empty.first", "empty.second"} {
		all = append(all, Series{Name: name, Archives: []Archive{{60, 40 * day / 60}}, Method: "average",
			Points: []Point{{Now - Now%60 - 30*day, 1}}})
	}
	add("odd.negative", 60, day, func(age int) float64 { return -noise("n", age) / 10 })
	add("odd.around", 60, day, func(age int) float64 { return math.Mod(float64(age), 5) - 2 })
	add("odd.tiny", 60, day, func(age int) float64 { return (noise("t", age) + 1) * 1e-9 })
	add("odd.huge", 60, day, func(age int) float64 { return (noise("h", age) + 1) * 1e297 })
	add("odd.infinite", 60, day, func(age int) float64 {
		return [...]float64{math.Inf(1), 1, math.Inf(-1), 2, 3}[age%5]
	})
	add("odd.half", 60, day, func(age int) float64 { return float64(age%9) - 4.5 })
	add("odd.share", 60, day, func(age int) float64 { return float64(age%6) / 5 })
	add("odd.repeat", 60, day, func(age int) float64 { return float64(age / 3 % 3) })
	add("sparse.single", 60, 4*60, func(age int) float64 {
		if age != 4 {
			return null()
		}
		return 7
	})
	add("sparse.late", 60, 5*60, func(age int) float64 { return 50 + float64(age) })
	add("sparse.early", 60, day, func(age int) float64 {
		if age < 6 {
			return null()
		}
		return 70 - float64(age%8)
	})
	add("sparse.third", 10, 3600, func(age int) float64 { // a minute's values in ten-second slots
		if (Now-Now%10-10*age)%60 != 0 {
			return null()
		}
		return float64(age)
	})
	for _, n := range []int{1, 2, 10, 11} {
		add(fmt.Sprintf("node.host%d.load", n), 60, day, func(age int) float64 { return float64(n) + noise(strconv.Itoa(n), age)/1000 })
	}
	// Days of five minutes, with a daily wave: for forecasts and shifts.
	add("wave.clean", 300, 16*day, func(age int) float64 { return 100 + 50*sine(age, 288) })
	add("wave.noisy", 300, 16*day, func(age int) float64 {
		v := 100 + 50*sine(age, 288) + noise("w", age)/50
		if age == 10 || age == 11 {
			v *= 2
		}
		return v
	})
	add("wave.gaps", 300, 16*day, func(age int) float64 {
		if age%50 < 4 || age > 600 && age < 700 {
			return null()
		}
		return 40 + 15*sine(age, 288)
	})
	// Rolled up after an hour.
	for _, r := range []struct{ name, method string }{{"avg", "average"}, {"sum", "sum"}, {"max", "max"}, {"min", "min"}, {"last", "last"}} {
		s := Series{Name: "rolled." + r.name, Archives: []Archive{{10, 360}, {60, 40 * 1440}}, Method: r.method}
		s.fill(3600-20, func(age int) float64 {
			if age%23 > 15 {
				return null()
			}
			return noise(r.name, age)
		})
		all = append(all, s)
	}
	for _, name := range []string{
		"Mixed.CASE.Name", "esc.with-dash", "esc.with_line", "esc.a:b", "esc.a=b", "esc.p(1)", "esc.50%", "esc.x#y", "esc.x+y", "esc.at@home", "deep.a.b.c.d.e",
		"both", "both.below", "10.0.0.1", "true.count", "v1e3", "1e3.x",
	} {
		add(name, 60, 3600, func(age int) float64 { return float64(len(name)) + float64(age%4) })
	}
	for i, name := range []string{
		"disk.used;host=a;rack=1", "disk.used;host=b;rack=1", "disk.used;host=c;rack=2", "disk.free;host=a;rack=1",
		"mem;dc=eu;host=a", "mem;dc=us;host=b", "mem;dc=us;env=test;host=d", "load;host=web.1",
	} {
		add(name, 60, day, func(age int) float64 {
			if i == 2 && age%4 == 1 {
				return null()
			}
			return 100*float64(i+1) + float64(age%10)
		})
	}
	return all
}

// Event is one entry of the server's event list.
type Event struct {
	When int64    `json:"when"`
	What string   `json:"what"`
	Tags []string `json:"tags"`
	Data string   `json:"data"`
}

// Events are the events of the data set.
func Events() []Event {
	return []Event{
		{Now - 500, "deploy 1", []string{"deploy", "web"}, "first"},
		{Now - 400, "deploy 2", []string{"deploy", "db"}, ""},
		{Now - 400, "restart", []string{"restart", "web"}, "by hand"},
		{Now - 30, "deploy 3", []string{"deploy", "web", "late"}, ""},
		{Now - 3*day, "old", []string{"deploy"}, ""},
	}
}

// Write writes the data set as the script that feeds graphite-web reads it.
func Write(w io.Writer) error {
	type series struct {
		Name         string            `json:"name"`
		Archives     [][2]int64        `json:"archives"`
		XFilesFactor float64           `json:"xFilesFactor"`
		Method       string            `json:"method"`
		Points       []json.RawMessage `json:"points"`
	}
	out := struct {
		Now    int64    `json:"now"`
		Series []series `json:"series"`
		Events []Event  `json:"events"`
	}{Now: Now, Events: Events()}
	for _, s := range All() {
		one := series{Name: s.Name, Method: s.Method, XFilesFactor: 0.5}
		for _, a := range s.Archives {
			one.Archives = append(one.Archives, [2]int64{a.Step, a.Keep})
		}
		for _, p := range s.Points {
			value := strconv.FormatFloat(p.Value, 'g', -1, 64)
			if math.IsInf(p.Value, 0) { // JSON has none, but Python reads this
				value = `"` + value + `"`
			}
			one.Points = append(one.Points, json.RawMessage(fmt.Sprintf("[%d,%s]", p.Time, value)))
		}
		out.Series = append(out.Series, one)
	}
	return json.NewEncoder(w).Encode(out)
}
