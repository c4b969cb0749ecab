package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"steer/base/fault"
)

type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func open(t tester, o Options) *Spool {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// die lets go of the folder as a killed process does.
func die(s *Spool) {
	if s.in.f != nil {
		s.in.f.Close()
	}
	s.out.close()
	s.lock.Close()
}

func put(t tester, s *Spool, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := s.Put([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(true); err != nil {
		t.Fatal(err)
	}
}

// next returns what is there, without waiting.
func next(t tester, s *Spool, most int) (texts []string) {
	t.Helper()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	got, err := s.Next(now, most)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for _, p := range got {
		texts = append(texts, string(p))
	}
	return texts
}

func everything(t tester, s *Spool) (texts []string) {
	t.Helper()
	for {
		got := next(t, s, 1)
		if len(got) == 0 {
			return texts
		}
		texts = append(texts, got...)
	}
}

// Random histories of writing, reading, closing and dying, against a list.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "spool-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		o := Options{Dir: dir, Segment: 200}
		s := open(t, o)
		var all []string              // put in
		synced, read, done := 0, 0, 0 // how many of them
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				text := fmt.Sprintf("%d:%s", len(all), strings.Repeat("x", rapid.IntRange(0, 150).Draw(t, "length")))
				if err := s.Put([]byte(text)); err != nil {
					t.Fatal(err)
				}
				all = append(all, text)
			},
			"write": func(t *rapid.T) {
				if err := s.Flush(false); err != nil {
					t.Fatal(err)
				}
			},
			"sync": func(t *rapid.T) {
				if err := s.Flush(true); err != nil {
					t.Fatal(err)
				}
				synced = len(all)
			},
			"next": func(t *rapid.T) {
				got := next(t, s, rapid.IntRange(1, 500).Draw(t, "most"))
				if len(got) == 0 && read < synced || !slices.Equal(got, all[read:read+len(got)]) || read+len(got) > synced {
					t.Fatalf("read %q, synced are %q", got, all[read:synced])
				}
				read += len(got)
			},
			"done": func(t *rapid.T) {
				if err := s.Done(); err != nil {
					t.Fatal(err)
				}
				done = read
				if done == synced && synced == len(all) && s.Waiting() != 0 {
					t.Fatalf("%d bytes wait when all is done", s.Waiting())
				}
				if files, _ := filepath.Glob(filepath.Join(dir, "*.spool")); done == synced && len(files) > 2 {
					t.Fatalf("%d files stay when all is done", len(files))
				}
			},
			"reopen": func(t *rapid.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, o)
				synced, read = len(all), done
			},
			"die": func(t *rapid.T) {
				die(s)
				s = open(t, o)
				// What was written and not synced is there unless power was lost.
				rest := everything(t, s)
				if n := done + len(rest); n < synced || n > len(all) || !slices.Equal(rest, all[done:n]) {
					t.Fatalf("after death: %q, synced and not done were %q", rest, all[done:synced])
				}
				all = all[:done+len(rest)]
				synced, read = len(all), len(all)
			},
			"": func(t *rapid.T) {
				bytes := int64(0)
				for _, text := range all[done:] {
					bytes += int64(len(text))
				}
				if w := s.Waiting(); w < bytes || w > bytes+20*int64(len(all)-done) {
					t.Fatalf("%d bytes wait, the payloads have %d", w, bytes)
				}
			},
		})
		s.Close()
	})
}

// Whatever a crash leaves of the last segment, the whole frames of it come.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	put(t, s, "one", "two and more", "three")
	name := s.name(1)
	die(s)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(data) + 1 {
		for _, tail := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), append(slices.Clone(data[:n]), tail...), 0o644); err != nil {
				t.Fatal(err)
			}
			s := open(t, Options{Dir: dir})
			put(t, s, "new")
			got := everything(t, s)
			whole := 0
			for _, end := range []int{13, 35, 50} {
				if n >= end {
					whole++
				}
			}
			if want := append([]string{"one", "two and more", "three"}[:whole:whole], "new"); !slices.Equal(got, want) {
				t.Errorf("cut at %d with tail %q: %q, want %q", n, tail, got, want)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A damaged place is left out, and counted; what stands behind it comes.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Segment: 1})
	put(t, s, "one", "two and more", "three")
	put(t, s, "four")
	data, err := os.ReadFile(s.name(1))
	if err != nil {
		t.Fatal(err)
	}
	die(s)
	for bit := range len(data) * 8 {
		bad := slices.Clone(data)
		bad[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(s.name(1), bad, 0o644); err != nil {
			t.Fatal(err)
		}
		s := open(t, Options{Dir: dir, Segment: 1})
		want := []string{"one", "two and more", "three", "four"}
		switch hit := bit / 8; {
		case hit < 13:
			want = want[1:]
		case hit < 35:
			want = slices.Delete(want, 1, 2)
		default:
			want = slices.Delete(want, 2, 3)
		}
		if got := everything(t, s); !slices.Equal(got, want) || s.Damaged() != 1 {
			t.Errorf("bit %d: %q, %d places, want %q", bit, got, s.Damaged(), want)
		}
		die(s)
	}
	// A file that is gone or shorter than it was.
	for _, c := range []struct {
		harm func() error
		want []string
	}{
		{func() error { return os.Truncate(s.name(1), 20) }, []string{"four"}},
		{func() error { return os.Remove(s.name(1)) }, []string{"four"}},
	} {
		if err := os.WriteFile(s.name(1), data, 0o644); err != nil {
			t.Fatal(err)
		}
		s := open(t, Options{Dir: dir, Segment: 1})
		if err := c.harm(); err != nil {
			t.Fatal(err)
		}
		if got := everything(t, s); !slices.Equal(got, c.want) || s.Damaged() != 1 {
			t.Errorf("%q, %d places", got, s.Damaged())
		}
		die(s)
	}
}

// A position that cannot be read means that everything comes again.
func TestDamagedPosition(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	put(t, s, "one", "two")
	if got := next(t, s, 1); len(got) != 1 {
		t.Fatal(got)
	}
	if err := s.Done(); err != nil {
		t.Fatal(err)
	}
	die(s)
	s = open(t, Options{Dir: dir})
	if got := everything(t, s); !slices.Equal(got, []string{"two"}) {
		t.Errorf("%q", got)
	}
	die(s)
	for _, bad := range []string{"", "nonsense", strings.Repeat("\x00", 26)} {
		if err := os.WriteFile(filepath.Join(dir, "position"), []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		s = open(t, Options{Dir: dir})
		if got := everything(t, s); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("position %q: %q", bad, got)
		}
		die(s)
	}
}

// sick is a disk that fails as chance has it: at a write, half-way, or at a sync.
type sick struct {
	*os.File
	chance *rand.Rand
	well   *bool
}

var errSick = errors.New("disk is full")

func (f sick) fails() bool { return !*f.well && f.chance.IntN(3) == 0 }

func (f sick) Write(b []byte) (int, error) {
	if f.fails() {
		n, _ := f.File.Write(b[:f.chance.IntN(len(b)+1)])
		return n, errSick
	}
	return f.File.Write(b)
}

func (f sick) Sync() error {
	if f.fails() {
		return errSick
	}
	return f.File.Sync()
}

func (f sick) Truncate(n int64) error {
	if f.fails() {
		return errSick
	}
	return f.File.Truncate(n)
}

// What was put in comes out in order, at least once, whatever the disk did in
// between.
func TestSickDisk(t *testing.T) {
	for seed := range uint64(40) {
		dir := t.TempDir()
		chance := rand.New(rand.NewPCG(seed, 0))
		well := false
		o := Options{Dir: dir, Segment: 100, create: func(name string) (file, error) {
			if !well && chance.IntN(4) == 0 {
				return nil, errSick
			}
			f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
			return sick{f, chance, &well}, err
		}}
		s := open(t, o)
		var want, got []string
		failed := 0
		for i := range 60 {
			if chance.IntN(3) > 0 {
				text := fmt.Sprint("payload ", i)
				if err := s.Put([]byte(text)); err != nil {
					t.Fatal(err)
				}
				want = append(want, text)
			}
			sync := chance.IntN(2) == 0
			if err := s.Flush(sync); err == nil && sync && len(s.in.pending) > 0 {
				t.Fatalf("seed %d: synced, and %d payloads wait", seed, len(s.in.pending))
			} else if err != nil {
				if failed++; fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "disk is full") {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if _, again := s.Failing(); again == nil {
					t.Fatalf("seed %d: a failure is not remembered", seed)
				}
			}
			if chance.IntN(4) == 0 {
				got = append(got, everything(t, s)...)
			}
		}
		well = true
		if err := s.Flush(true); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Failing(); err != nil {
			t.Fatalf("seed %d: still %v", seed, err)
		}
		if got = append(got, everything(t, s)...); !slices.Equal(got, want) {
			t.Fatalf("seed %d, %d failures: got %q", seed, failed, got)
		}
		if failed == 0 {
			t.Errorf("seed %d: nothing failed", seed)
		}
		// And after a death, when leftovers of failures may stand there too.
		die(s)
		s = open(t, Options{Dir: dir})
		var once []string
		for _, text := range everything(t, s) {
			if !slices.Contains(once, text) {
				once = append(once, text)
			}
		}
		if !slices.Equal(once, want) {
			t.Fatalf("seed %d: after the death %q", seed, once)
		}
		die(s)
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir}); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Put(nil); err == nil {
		t.Error("an empty payload was taken")
	}
	if err := s.Put(make([]byte, MaxPayload+1)); err == nil {
		t.Error("a payload that is too long was taken")
	}
	if err := s.Put(bytes.Repeat([]byte{'x'}, MaxPayload)); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Dir: dir})
	defer s.Close()
	if got := everything(t, s); len(got) != 1 || len(got[0]) != MaxPayload {
		t.Errorf("%d payloads", len(got))
	}
}

// Next waits for what is put in later.
func TestNextWaits(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	defer s.Close()
	got := make(chan string)
	go func() {
		p, err := s.Next(t.Context(), 1)
		got <- fmt.Sprintf("%q %v", p, err)
	}()
	put(t, s, "one")
	if text := <-got; text != `["one"] <nil>` {
		t.Error(text)
	}
}

func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	s := open(f, Options{Dir: dir})
	put(f, s, "one", "two")
	next(f, s, 1)
	if err := s.Done(); err != nil {
		f.Fatal(err)
	}
	segment, _ := os.ReadFile(s.name(1))
	kept, _ := os.ReadFile(filepath.Join(dir, "position"))
	die(s)
	f.Add(segment, kept)
	f.Add(segment[:len(segment)-1], []byte{})
	f.Add(append([]byte("garbage"), segment...), position{1, 1 << 40}.encode())
	f.Add(segment, position{7, 3}.encode())
	f.Fuzz(func(t *testing.T, segment, kept []byte) {
		dir := t.TempDir()
		for name, data := range map[string][]byte{"0000000000000001.spool": segment, "0000000000000002.spool": segment, "position": kept} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, Options{Dir: dir})
		before := everything(t, s)
		put(t, s, "new")
		if got := everything(t, s); !slices.Equal(got, []string{"new"}) {
			t.Fatalf("behind %q came %q", before, got)
		}
		if err := s.Done(); err != nil {
			t.Fatal(err)
		}
		if s.Waiting() != 0 {
			t.Fatalf("%d bytes wait when all is done", s.Waiting())
		}
		die(s)
	})
}
