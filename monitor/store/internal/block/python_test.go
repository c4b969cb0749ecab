package block

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// decode is what the reader of docs/formats is asked: one chunk a line, its count
// of slots and its bytes; it answers with the bits of the values, - where none is.
const decode = `
import struct, sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import read_metrics
for line in sys.stdin:
    count, data = line.split()
    known = dict(read_metrics.chunk(bytes.fromhex(data), int(count)))
    print(*("%x" % struct.unpack("<Q", struct.pack("<d", known[i])) if i in known else "-" for i in range(int(count))))
`

// TestPythonDecodes: whoever knows only the page about the format decodes every
// chunk that is written here.
func TestPythonDecodes(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal("python3 is not installed, and STEER_REQUIRE_ALL is set")
		}
		t.Skip("python3 is not installed")
	}
	dir, err := filepath.Abs("../../../../docs/formats")
	if err != nil {
		t.Fatal(err)
	}
	var columns [][]float64
	for name, values := range kinds(400) {
		for n := range 8 {
			columns = append(columns, gaps(values[n:n+1+n*n*8], n%4))
		}
		columns = append(columns, gaps(append(values[:300:300], math.Inf(1), math.Copysign(0, -1), math.MaxFloat64, 5e-324, 1), len(name)%4))
	}
	var ask bytes.Buffer
	var seen strings.Builder
	for _, values := range columns {
		b := appendChunk(nil, values, &encoder{})
		fmt.Fprintf(&ask, "%d %s\n", len(values), hex.EncodeToString(b))
		d := dump{data: b}
		d.chunk(len(values), len(b))
		seen.WriteString(d.String())
	}
	for _, what := range []string{
		"values 0 constant", "values 1 XOR", "values 2 raw", "values 3 decimals", "values 4 thirds", "known 0 all", "known 1 bitmap", "known 2 runs",
		"order: 0", "order: 1", "order: 2", "folded\n", "folded, with", "place, from the one before", "in the window", "new window", "the same again",
	} {
		if !strings.Contains(seen.String(), what) {
			t.Errorf("no chunk has: %s", what)
		}
	}
	cmd := exec.Command(python, "-c", decode, dir)
	cmd.Stdin, cmd.Stderr = &ask, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(columns) {
		t.Fatalf("%d answers for %d chunks", len(lines), len(columns))
	}
	for i, line := range lines {
		got := make([]float64, len(columns[i]))
		Missing(got)
		for k, text := range strings.Fields(line) {
			if text == "-" {
				continue
			}
			v, err := strconv.ParseUint(text, 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			got[k] = math.Float64frombits(v)
		}
		if !equal(got, columns[i]) {
			t.Errorf("chunk %d:\ngot  %v\nwant %v", i, got, columns[i])
		}
	}
}

// gaps takes values out, but neither the first nor the last.
func gaps(values []float64, how int) []float64 {
	values = append([]float64(nil), values...)
	for i := 1; i < len(values)-1; i++ {
		if how == 1 && i%3 == 0 || how == 2 && i > 5 && i < len(values)-5 || how == 3 && i%90 > 70 {
			values[i] = math.NaN()
		}
	}
	return values
}
