package block

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

// TestExample: the example that the page about the format shows is what Writer
// writes, byte by byte.
func TestExample(t *testing.T) {
	const page = "../../../../docs/formats/metrics.md"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), "<!-- example -->\n")
	shown, after, ok2 := strings.Cut(rest, "<!-- end of example -->\n")
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the example", page)
	}
	want := "```\n" + example(t) + "```\n"
	if shown == want {
		return
	}
	if os.Getenv("STEER_TEST_UPDATE") == "" {
		t.Fatalf("%s shows another block than this; see what changed, then run this with STEER_TEST_UPDATE=1\n%s", page, want)
	}
	if err := os.WriteFile(page, []byte(before+"<!-- example -->\n"+want+"<!-- end of example -->\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// example writes a block and says what each of its bytes is for.
func example(t *testing.T) string {
	nan := math.NaN()
	m := Meta{Step: 10, Keep: 21600, Start: 180_000_000, Slots: 270}
	apart := make([]float64, 41)
	Missing(apart)
	apart[0], apart[40] = 3, 3
	columns := map[uint32][]float64{
		1: {20.5, 20.75, nan, 21},
		2: apart,
		5: {1. / 7, 2. / 7, 2. / 7, 1. / 7},
		9: {7, 7, 6, 7, 8, 7, 7, 500, 7, 7, 7, 7},
	}
	data := build(t, m, columns)
	d := &dump{data: data}
	d.title("header")
	d.text(8, "magic")
	d.u32("version")
	d.u32("step, seconds")
	d.u64("keep, seconds")
	start := int64(d.u64("start: the first slot"))
	d.u32("slots")
	d.sum("checksum of the bytes 0 to 35", data[:36])

	r, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil || start != m.Start {
		t.Fatal(start, err)
	}
	c := r.Cursor(0)
	if err := c.load(0); err != nil {
		t.Fatal(err)
	}
	for _, it := range c.items {
		d.title("chunk of series %d: %d slots", it.id, it.count)
		d.chunk(it.count, int(it.offset)+it.length)
		if d.at != int(it.offset)+it.length {
			t.Fatalf("series %d: at %d", it.id, d.at)
		}
	}
	d.page(r.pages[0])
	at := d.at
	d.title("directory")
	d.u32("page 0: id of its first series")
	d.u64("offset of the chunk of that series")
	d.u64("offset of the page")
	d.u32("length of the page")
	d.sum("checksum of the page", data[r.pages[0].offset:][:r.pages[0].length])
	d.u32("count of its series")
	d.title("trailer")
	d.u64("offset of the directory")
	d.u32("count of pages")
	d.sum(fmt.Sprintf("checksum of the bytes %d to %d", at, d.at-1), data[at:d.at])
	d.text(8, "magic")
	if d.at != len(data) {
		t.Fatalf("%d bytes of %d are explained", d.at, len(data))
	}
	d.title("what it says: seconds since 1970, value")
	for e, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range e.Values {
			if v == v {
				fmt.Fprintf(d, "series %d: %d, %v\n", e.ID, (m.Start+int64(e.First+i))*m.Step, v)
			}
		}
	}
	return strings.TrimLeft(d.String(), "\n")
}
