package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"steer/monitor/store/internal/wal"
)

// memoryDisk is a disk for single files.
type memoryDisk map[string][]byte

type memoryFile struct {
	d    memoryDisk
	name string
}

func (d memoryDisk) MkdirAll(string) error { return nil }
func (d memoryDisk) SyncDir(string) error  { return nil }
func (d memoryDisk) Create(name string) (file, error) {
	d[name] = nil
	return &memoryFile{d, name}, nil
}
func (d memoryDisk) Open(name string) (file, int64, error) {
	data, ok := d[name]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	return &memoryFile{d, name}, int64(len(data)), nil
}
func (d memoryDisk) Append(name string) (file, int64, error) {
	d[name] = append(d[name], []byte{}...)
	return d.Open(name)
}
func (d memoryDisk) Truncate(name string, size int64) error {
	d[name] = d[name][:size]
	return nil
}
func (d memoryDisk) Rename(from, to string) error {
	d[to] = d[from]
	delete(d, from)
	return nil
}
func (d memoryDisk) Link(from, to string) error { return errors.ErrUnsupported }
func (d memoryDisk) Remove(name string) error {
	delete(d, name)
	return nil
}
func (f *memoryFile) Write(b []byte) (int, error) {
	f.d[f.name] = append(f.d[f.name], b...)
	return len(b), nil
}
func (f *memoryFile) ReadAt(b []byte, at int64) (int, error) {
	n := copy(b, f.d[f.name][at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
func (f *memoryFile) Sync() error  { return nil }
func (f *memoryFile) Close() error { return nil }

// listed are the series that a list names.
type listed struct {
	all    []*series
	points int
}

func (l *listed) Series(id uint32, name []byte) {
	l.all = append(l.all, &series{id: id, name: string(name)})
}
func (l *listed) Point(uint32, int64, int64, float64) { l.points++ }

// FuzzNames opens any list of series, and one of whole frames around any payload. What
// it names is written anew, appended to, and read again.
func FuzzNames(f *testing.F) {
	two := []*series{{id: 1, name: "a.b.c"}, {id: 7, name: "a.b.d"}}
	f.Add(appendNames(nil, 0, two), []byte{})
	f.Add([]byte{0xD7, 0x5E}, wal.AppendShared(wal.AppendSeries(nil, 3, "x"), 4, "x", "xy"))
	f.Fuzz(func(t *testing.T, data, payload []byte) {
		data = slices.Clone(data)
		if len(payload) > 0 {
			data = wal.AppendFrame(data, int64(len(data)), payload)
		}
		d := memoryDisk{"names": data}
		log := slog.New(slog.DiscardHandler)
		var first, second, third listed
		n, err := openNames(d, "names", log, &first)
		if errors.Is(err, wal.ErrNewer) {
			return
		}
		if err != nil || n.size != int64(len(d["names"])) {
			t.Fatalf("%v: %d of %d bytes", err, n.size, len(d["names"]))
		}
		if err := n.add([]*series{{id: 9, name: "new"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := openNames(d, "names", log, &second); err != nil || !sameSeries(second.all, append(first.all, &series{id: 9, name: "new"})) {
			t.Fatalf("%v\ngot  %v\nwant %v", err, second.all, first.all)
		}
		if err := n.rewrite(first.all); err != nil {
			t.Fatal(err)
		}
		if n, err := openNames(d, "names", log, &third); err != nil || n.damaged || !sameSeries(third.all, first.all) {
			t.Fatalf("%v\ngot  %v\nwant %v", err, third.all, first.all)
		}
	})
}

func sameSeries(a, b []*series) bool {
	return slices.EqualFunc(a, b, func(a, b *series) bool { return a.id == b.id && a.name == b.name })
}

// FuzzRetentions reads any retentions.json. Written anew it says the same at every
// start, and never stops one.
func FuzzRetentions(f *testing.F) {
	f.Add([]byte(`[{"until":1800000000,"flush":3,"schemas":[{"pattern":"^a","retentions":"10s:6h,1m:7d"}],"crc32c":5},{"schemas":[{"pattern":"","retentions":"1m:1d"}]}]`), "a.b", int64(1_799_999_000))
	f.Add([]byte(`[{"until":-9223372036854775808,"schemas":[{"pattern":"(","retentions":"1"}]}]`), "a", int64(-1))
	f.Add([]byte(`null`), "", int64(0))
	f.Fuzz(func(t *testing.T, data []byte, name string, at int64) {
		d := memoryDisk{"retentions.json": data}
		now := int64(testNow)
		s := &Store{disk: d, log: slog.New(slog.DiscardHandler), blocks: &blockSet{}, now: func() time.Time { return time.Unix(now, 0) }}
		var last []byte
		for range 3 {
			p, err := newPlanner(Rules{})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.remember(p, 7); err != nil {
				t.Fatal(err)
			}
			if last != nil && !bytes.Equal(last, d["retentions.json"]) {
				t.Fatalf("it changes without a reason:\n%s\nthen\n%s", last, d["retentions.json"])
			}
			last = d["retentions.json"]
			plan := p.plan(name)
			if k, slot, ok := plan.place(at, now); ok && (k < 0 || k >= len(plan.archives) || slot != floor(at, plan.archives[k].step)) {
				t.Fatalf("archive %d slot %d", k, slot)
			}
			for _, a := range plan.archives {
				if keeps := p.keeps(a.step, a.keep, 3); keeps < a.keep {
					t.Fatalf("%v lives for %d", a, keeps)
				}
			}
			now += 1000
		}
	})
}

// place is where a point lies in memory.
type place struct {
	archive int
	slot    int64
}

// FuzzRecall stores what bytes say in memory, lets flushes begin and end meanwhile, and
// reads it again.
func FuzzRecall(f *testing.F) {
	f.Add([]byte{0, 1, 3, 2, 9, 0, 0, 1, 3, 1, 2, 2})
	f.Add(bytes.Repeat([]byte{1, 200, 255, 7, 2, 0, 0, 0}, 50))
	f.Fuzz(func(t *testing.T, b []byte) {
		const archives = 3
		old, recent := map[place]float64{}, map[place]float64{}
		sh, s := &shard{}, &series{}
		slot := int64(testNow)
		for n := 0; len(b) >= 3; n++ {
			switch step := int64(int8(b[1])); b[2] % 8 {
			case 0:
				slot = step * 1e14 // as far as times go
			case 1:
				slot = -slot
			case 2:
				sh.thaw()
				sh.freeze()
				old, recent = recent, map[place]float64{}
			default:
				slot += step
			}
			p := place{int(b[0]) % archives, slot}
			recent[p] = float64(n)
			sh.put(s, p.archive, p.slot, float64(n))
			b = b[3:]
		}
		maps.Copy(old, recent)
		got := map[place]float64{}
		for k, c := range recall(nil, archives, sh.pages.append(nil, s.old), sh.pages.append(nil, s.recent)) {
			if !slices.IsSorted(c.slots) {
				t.Fatalf("archive %d: %v", k, c.slots)
			}
			for i, slot := range c.slots {
				got[place{k, slot}] = c.values[i]
			}
		}
		if !maps.Equal(got, old) {
			t.Fatalf("got  %v\nwant %v", got, old)
		}
		used := int64(0)
		for _, c := range []chain{s.old, s.recent} {
			for n := c.head; n != 0; n = binary.LittleEndian.Uint32(sh.pages.at(n)) {
				used++
			}
		}
		if sh.pages.inUse != used {
			t.Fatalf("%d pages in use, %d counted", used, sh.pages.inUse)
		}
	})
}
