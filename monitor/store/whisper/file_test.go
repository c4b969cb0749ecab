package whisper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store"
	"steer/monitor/store/internal/schema"
)

// small is a file of two archives with values in both.
func small(t testing.TB) []byte {
	return encode(t, retention(t, "1m:5m,5m:30m", schema.Average, 0.5), column(60, testNow, 1, 2, 3), column(300, testNow, 4, math.Inf(1)))
}

func TestDamagedFilesAreRefused(t *testing.T) {
	for what, c := range map[string]struct {
		at    int // of a word of the header
		value uint32
		want  string
	}{
		"aggregation 0":           {0, 0, "unknown aggregation type 0"},
		"aggregation 9":           {0, 9, "unknown aggregation type 9"},
		"a date, as before 2012":  {0, 1_300_000_000, "unknown aggregation type 1300000000"},
		"longest retention":       {4, 1801, "tells of 1801 s, but its longest archive holds 1800 s"},
		"factor above 1":          {8, math.Float32bits(1.5), "x-files factor of 1.5"},
		"factor NaN":              {8, 0x7fc00000, "x-files factor of NaN"},
		"no archives":             {12, 0, "tells of 0 archives"},
		"many archives":           {12, math.MaxUint32, "tells of 4294967295 archives"},
		"one archive less":        {12, 1, "archive 1 begins at byte 40 instead of 28"},
		"offset":                  {16, 39, "archive 1 begins at byte 39 instead of 40"},
		"step 0":                  {20, 0, "archive 1 has 5 points of 0 s"},
		"no points":               {24, 0, "archive 1 has 0 points of 60 s"},
		"points beyond the end":   {36, math.MaxUint32, "it has 172 bytes instead of"},
		"one point more":          {36, 7, "it has 172 bytes instead of 184: it was cut off"},
		"finer behind coarser":    {32, 30, "don't fit together"},
		"steps that don't divide": {32, 90, "1m:5m and 90s:9m don't fit together"},
	} {
		data := small(t)
		binary.BigEndian.PutUint32(data[c.at:], c.value)
		if _, err := Parse("a/b.wsp", data); err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), `read Whisper file "a/b.wsp": `) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	whole := small(t)
	for n := range whole {
		if _, err := Parse("a", whole[:n]); err == nil {
			t.Errorf("the first %d bytes of %d are taken", n, len(whole))
		}
	}
	if _, err := Parse("a", append(whole, 0)); err == nil {
		t.Error("a byte more is taken")
	}
}

// What stands in a ring without a first pair does not count, and neither does
// empty room for the time 0.
func TestEmptyRoomIsNoValue(t *testing.T) {
	const later = testNow + 120 // so that 1970 falls into the room behind the values
	f, err := Parse("a", encode(t, retention(t, "1m:5m,5m:30m", schema.Average, 0.5), column(60, later, 1, 2, 3), column(300, testNow, 4, 5)))
	if err != nil {
		t.Fatal(err)
	}
	if n := known(f.Column(0, later)); n != 3 {
		t.Errorf("%d values, want 3", n)
	}
	if n := known(f.Column(0, 100)); n != 0 {
		t.Errorf("%d values around 1970", n)
	}
	clear(f.rings[0][:4])
	if n := known(f.Column(0, later)); n != 0 {
		t.Errorf("%d values without a base", n)
	}
	if n := known(f.Column(1, testNow)); n != 2 {
		t.Errorf("%d coarse values, want 2", n)
	}
}

func TestWhatCannotBeEncoded(t *testing.T) {
	r := retention(t, "1m:5m", schema.Average, 0.5)
	for what, c := range map[string]struct {
		r       store.Retention
		columns []metric.Series
		want    string
	}{
		"more values than room": {r, []metric.Series{column(60, testNow, counting(6, 0)...)}, "6 values"},
		"another step":          {r, []metric.Series{column(30, testNow, 1)}, "one per 30 s"},
		"between two slots":     {r, []metric.Series{{Step: 60, Start: 61, Values: []float64{1}}}, "don't go into archive 1m:5m"},
		"before 1970":           {r, []metric.Series{{Step: 60, Start: -60, Values: []float64{1}}}, "don't go into"},
		"after 2106":            {r, []metric.Series{{Step: 60, Start: math.MaxUint32 / 60 * 60, Values: []float64{1}}}, "don't go into"},
		"no archives":           {store.Retention{}, nil, "it has no archives"},
		"too long":              {retention(t, "1h:150y", 0, 0), make([]metric.Series, 1), "136 years"},
		"too large":             {retention(t, "1s:13y", 0, 0), make([]metric.Series, 1), "4 GiB"},
	} {
		if err := Encode(&bytes.Buffer{}, c.r, c.columns); err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	full := errors.New("disk full")
	if err := Encode(failing{full}, r, []metric.Series{column(60, testNow, 1)}); !errors.Is(err, full) {
		t.Errorf("a failing disk: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// FuzzRead reads anything; what is taken can be written and read again, with the
// same values.
func FuzzRead(f *testing.F) {
	f.Add(small(f), int64(testNow))
	f.Add(small(f), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, now int64) {
		now %= 1 << 32
		file, err := Parse("fuzz", data)
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		columns := make([]metric.Series, len(file.Archives))
		for k, a := range file.Archives {
			columns[k] = file.Column(k, now)
			if n := int64(len(columns[k].Values)); n != a.Keep/a.Step {
				t.Fatalf("archive %v shows %d values", a, n)
			}
			if columns[k].Start < 0 || columns[k].Start+2*a.Keep > math.MaxUint32 {
				return // nothing that the format can hold
			}
		}
		p := place(file, file.Retention, now)
		written := 0
		for _, part := range p.parts {
			written += len(part.values)
		}
		if written > p.read || p.old > 0 {
			t.Fatalf("%d written of %d read, %d too old", written, p.read, p.old)
		}
		again, err := Parse("again", encode(t, file.Retention, columns...))
		if err != nil {
			t.Fatal(err)
		}
		for k := range file.Archives {
			if !same(again.Column(k, now), columns[k]) {
				t.Fatalf("archive %d changed", k)
			}
		}
	})
}

func TestNames(t *testing.T) {
	for _, c := range [][2]string{
		{"a.wsp", "a"},
		{"servers/web1/load.wsp", "servers.web1.load"},
		{"a.b/c.wsp", ""}, // a dot in a folder's name would come back as another folder
		{"_tagged/eff/aae/some_DOT_metric;tag1=value2;tag2=value_DOT_2.wsp", "some.metric;tag1=value2;tag2=value.2"},
		{"_tagged/8a1/d74/disk;mount=/var.wsp", "disk;mount=/var"},
		{"_tagged/6ae/216/disk;mount=/.wsp", "disk;mount=/"},
		{"_tagged/eff/x.wsp", "_tagged.eff.x"},
	} {
		name, err := Name(c[0])
		if c[1] == "" {
			if name != "a.b.c" || err != nil {
				t.Errorf("%s: %q %v", c[0], name, err)
			}
			continue
		}
		if err != nil || name != c[1] {
			t.Errorf("%s: %q %v, want %q", c[0], name, err, c[1])
		}
		if path, err := Path(c[1]); err != nil || path != c[0] {
			t.Errorf("%s: %q %v, want %q", c[1], path, err, c[0])
		}
	}
	for _, name := range []string{"", "a/b", "..", ".a", "a.", "a..b", "a b", "x;a=//b", "a_DOT_b;c=d", strings.Repeat("x", 300), strings.Repeat("x", 300) + ";a=b", "a.../etc/passwd"} {
		if path, err := Path(name); err == nil || fault.Of(err) != fault.Invalid {
			t.Errorf("%q gets the path %q, %v", name, path, err)
		}
	}
}

// Carbon puts series where we look for them.
func TestPathsAreCarbons(t *testing.T) {
	const script = "import sys; from carbon.util import TaggedSeries\nfor n in sys.argv[1:]: print(TaggedSeries.encode(n, '/') + '.wsp')"
	names := []string{"a", "servers.web1.load", "some.metric;tag1=value2;tag2=value.2", "disk.used;host=web1;mount=/", "disk.used;mount=/var/log"}
	out, err := exec.Command("/usr/bin/python3", append([]string{"-c", script}, names...)...).Output()
	if err != nil {
		const why = "no Carbon: apt-get install graphite-carbon"
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	for n, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if path, err := Path(names[n]); err != nil || path != line || filepath.IsAbs(path) {
			t.Errorf("%s: %q %v, Carbon has %q", names[n], path, err, line)
		}
	}
}
