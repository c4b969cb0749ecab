package block

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// dump prints bytes, eight in a line, and beside them what they mean.
type dump struct {
	strings.Builder
	data []byte
	at   int
}

func (d *dump) title(format string, args ...any) { fmt.Fprintf(d, "\n"+format+"\n", args...) }

func (d *dump) line(format string, args ...any) {
	fmt.Fprintf(d, "%31s%s\n", "", fmt.Sprintf(format, args...))
}

func (d *dump) take(n int, format string, args ...any) []byte {
	b := d.data[d.at:][:n]
	text := fmt.Sprintf(format, args...)
	for i := 0; i < n; i += 8 {
		fmt.Fprintf(d, "%s\n", strings.TrimRight(fmt.Sprintf("%4d  %-25s%s", d.at+i, fmt.Sprintf("% x", b[i:min(i+8, n)]), text), " "))
		text = ""
	}
	d.at += n
	return b
}

func (d *dump) text(n int, what string) { d.take(n, "%s %q", what, d.data[d.at:][:n]) }

func (d *dump) u8(what string) int {
	return int(d.take(1, "%s: %d", what, d.data[d.at])[0])
}

func (d *dump) u32(what string) uint32 {
	v := binary.LittleEndian.Uint32(d.data[d.at:])
	d.take(4, "%s: %d", what, v)
	return v
}

func (d *dump) u64(what string) uint64 {
	v := binary.LittleEndian.Uint64(d.data[d.at:])
	d.take(8, "%s: %d", what, v)
	return v
}

func (d *dump) float(what string) {
	d.take(8, "%s: %v", what, math.Float64frombits(binary.LittleEndian.Uint64(d.data[d.at:])))
}

func (d *dump) uvarint(what string) int {
	v, n := binary.Uvarint(d.data[d.at:])
	d.take(n, "%s: %d", what, v)
	return int(v)
}

func (d *dump) varint(what string) {
	v, n := binary.Varint(d.data[d.at:])
	d.take(n, "%s: %d", what, v)
}

func (d *dump) sum(what string, of []byte) {
	if got := binary.LittleEndian.Uint32(d.data[d.at:]); got != checksum(of) {
		what = "WRONG " + what
	}
	d.take(4, "%s", what)
}

// chunk prints one that ends at end.
func (d *dump) chunk(count, end int) {
	kind := d.data[d.at]
	d.take(1, "kind: values %d %s; known %d %s", kind&0xf, [...]string{"constant", "XOR", "raw", "decimals", "thirds"}[kind&0xf], kind>>4, [...]string{"all", "bitmap", "runs"}[kind>>4])
	present := count
	switch kind &^ 0xf {
	case knownBitmap:
		bits := ""
		for i := range count {
			bits += string('0' + d.data[d.at+i/8]>>(i%8)&1)
		}
		present = strings.Count(bits, "1")
		d.take((count+7)/8, "from the first slot on: %s", bits)
	case knownRuns:
		present = 0
		for at, is := 0, true; at < count; is = !is {
			run := 0
			if is {
				run = d.uvarint("run of known slots")
				present += run
			} else {
				run = d.uvarint("run of missing slots")
			}
			at += run
		}
	}
	switch kind & 0xf {
	case valuesConstant:
		d.float("value")
	case valuesXOR:
		d.xor(present, end)
	case valuesDecimal, valuesThirds:
		d.decimals(present)
	}
}

// xor prints bytes, and below them the bits for each value.
func (d *dump) xor(n, end int) {
	r := &bitReader{buf: d.data[d.at:end]}
	last := r.read(64)
	d.take(8, "first value: %v", math.Float64frombits(last))
	d.take(end-d.at, "bits, high first, for the others:")
	bits := func(n uint) (v uint64, text string) {
		v = r.read(n)
		return v, fmt.Sprintf(" %0*b", n, v)
	}
	var size, trail uint
	for range n - 1 {
		said := ""
		if r.read(1) == 0 {
			d.line("0 → the same again")
			continue
		}
		if r.read(1) == 0 {
			said = "10 in the window"
		} else {
			lead, text := bits(5)
			size = uint(r.read(6)) + 1
			trail = 64 - uint(lead) - size
			said = fmt.Sprintf("11%s %06b new window: %d zeros, %d bits;", text, size-1, lead, size)
		}
		v, text := bits(size)
		last ^= v << trail
		d.line("%s%s → %v", said, text, math.Float64frombits(last))
	}
	rest := uint(len(r.buf))*8 - r.pos
	d.line("%0*b fills the last byte", rest, r.read(rest))
}

func (d *dump) decimals(n int) {
	for range d.uvarint("values that are no decimals") {
		d.uvarint("place, from the one before")
		d.float("value")
	}
	exponent := d.u8("exponent: value = integer / 10^exponent")
	order := d.u8("order")
	factor := d.uvarint("factor")
	for i := range order {
		d.varint(fmt.Sprintf("first number of order %d", i))
	}
	for left := n - order; left > 0; left -= groupSize {
		d.group(min(left, groupSize), exponent, factor)
	}
}

func (d *dump) group(n, exponent, factor int) {
	head := d.data[d.at]
	var how string
	if head&groupFolded != 0 {
		how += ", folded"
	}
	if head&groupExceptions != 0 {
		how += ", with exceptions"
	}
	wide := uint(head & groupWidth)
	d.take(1, "group: width %d%s", wide, how)
	d.varint("base")
	rests := make([]int64, n)
	unpack(rests, d.data[d.at:], wide)
	d.take(packed(n, wide), "%d distances: %s", n, strings.Trim(fmt.Sprint(rests), "[]"))
	if head&groupExceptions != 0 {
		for range d.u8("exceptions") {
			d.u8("place")
			d.uvarint(fmt.Sprintf("bits above the low %d", wide))
		}
	}
}

func (d *dump) page(p page) {
	d.title("index page 0")
	for i := range p.count {
		what := "id, less that of the series before"
		if i == 0 {
			what = "id, less that in the directory"
		}
		d.uvarint(what)
		d.uvarint("length of the chunk")
		d.uvarint("first slot")
		d.uvarint("count of slots")
		d.take(4, "checksum of the chunk")
	}
}
