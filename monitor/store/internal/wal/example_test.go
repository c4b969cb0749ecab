package wal

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestExample: the frames that the page about the format shows are those that are
// written here, byte by byte.
func TestExample(t *testing.T) {
	const page, from, to = "../../../../docs/formats/metrics.md", "<!-- frames -->\n", "<!-- end of frames -->\n"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), from)
	shown, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the example", page)
	}
	want := "```\n" + example() + "```\n"
	if shown == want {
		return
	}
	if os.Getenv("STEER_TEST_UPDATE") == "" {
		t.Fatalf("%s shows other frames than these; see what changed, then run this with STEER_TEST_UPDATE=1\n%s", page, want)
	}
	if err := os.WriteFile(page, []byte(before+from+want+to+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// example writes two frames and says what each of their bytes is for.
func example() string {
	var payload, data []byte
	var out strings.Builder
	at := 0
	// row takes the next n bytes.
	row := func(n int, what string, args ...any) {
		fmt.Fprintf(&out, "%4d  %-31s%s\n", at, fmt.Sprintf("% x", data[at:at+n]), fmt.Sprintf(what, args...))
		at += n
	}
	head := func() {
		start := len(data)
		data = AppendFrame(data, int64(start), payload)
		row(2, "frame at %d", start)
		row(4, "length of the payload: %d", len(payload))
		row(4, "checksum of % x, % x and the payload", binary.LittleEndian.AppendUint64(nil, uint64(start)), data[start+2:start+6])
	}
	payload = AppendShared(payload, 1, "", "a.cpu")
	payload = AppendShared(payload, 7, "a.cpu", "a.load")
	head()
	row(2, "record 3: a name by what it shares with the one before")
	row(1, "id: 1")
	row(1, "bytes of the name before: 0")
	row(1, "length of the rest: 5")
	row(5, "a.cpu")
	row(2, "record 3")
	row(1, "id: 7")
	row(1, "bytes of the name before: 2, a.")
	row(1, "length of the rest: 4")
	row(4, "load")

	payload = AppendSeries(nil, 8, "b")
	payload = AppendClock(payload, 1_800_000_000)
	payload = AppendPoint(payload, 8, 1_800_000_000, 1_799_999_990, 0.5)
	out.WriteString("\n")
	head()
	row(2, "record 2: a whole name")
	row(1, "id: 8")
	row(1, "length: 1")
	row(1, "b")
	row(2, "record 1: sets the clock")
	row(5, "to 1800000000")
	row(1, "record 8: a point of series 8")
	row(1, "10 seconds before that")
	row(8, "value: 0.5")
	if at != len(data) {
		return fmt.Sprintf("%d bytes of %d are explained", at, len(data))
	}
	return out.String()
}
