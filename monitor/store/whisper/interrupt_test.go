package whisper

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store"
	"steer/monitor/store/internal/schema"
)

// busy takes nothing until a time.
type busy struct {
	until  time.Time
	why    error
	asked  int
	stored int
	synced bool
}

func (*busy) Retention(string) store.Retention {
	return store.Retention{Archives: []store.Archive{{Step: 60, Keep: 3600}}}
}

func (b *busy) WriteArchive(_ context.Context, _ int64, points []metric.Point) (int, error) {
	if b.asked++; time.Now().Before(b.until) {
		return 0, b.why
	}
	b.stored += len(points)
	return len(points), nil
}

func (b *busy) Sync(context.Context) error { b.synced = true; return nil }

func TestBusyStoreIsWaitedFor(t *testing.T) {
	data := encode(t, retention(t, "1m:1h", schema.Average, 0.5), column(60, testNow, 1, 2, 3))
	full := fault.New(fault.Unavailable, "memory is full")
	for _, c := range []struct {
		what   string
		busy   time.Duration
		why    error
		cancel bool
		want   string
		most   time.Duration
	}{
		{"for a while", 20 * time.Second, full, false, "", 25 * time.Second},
		{"for too long", time.Hour, full, false, "after 1 files, 1 series, 3 points read, 3 written, 0 too old, 0 files skipped: b.wsp: memory is full (import again", 40 * time.Second},
		{"broken", time.Hour, errors.New("no disk"), false, "b.wsp: no disk", time.Millisecond},
		{"until the caller goes", time.Hour, full, true, "b.wsp: memory is full", 6 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			target := &busy{why: c.why}
			next := 0
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if !c.cancel {
				ctx = t.Context()
			}
			start := time.Now()
			o := ImportOptions{Store: target, Now: clock, Next: func() {
				if next++; next == 2 {
					target.until = time.Now().Add(c.busy)
				}
			}}
			sum, err := Import(ctx, o, pack(t, entry{"a.wsp", data}, entry{"b.wsp", data}))
			if took := time.Since(start); took > c.most {
				t.Errorf("%s: %v", c.what, took)
			}
			if c.want == "" {
				if err != nil || sum.Written != 6 || target.stored != 6 || !target.synced || target.asked > 20 {
					t.Errorf("%s: %v %v %+v", c.what, sum, err, target)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || fault.Of(err) != fault.Of(c.why) || sum.Written != 3 {
				t.Errorf("%s: %v, %v", c.what, sum, err)
			}
		})
	}
}

// forgetful drops the first point of each batch, as too old.
type forgetful struct{ busy }

func (f *forgetful) WriteArchive(ctx context.Context, step int64, points []metric.Point) (int, error) {
	return f.busy.WriteArchive(ctx, step, points[1:])
}

func TestDroppedPointsAreCounted(t *testing.T) {
	data := encode(t, retention(t, "1m:1h", schema.Average, 0.5), column(60, testNow, 1, 2, 3))
	sum := mustImport(t, ImportOptions{Store: &forgetful{}}, pack(t, entry{"a.wsp", data}))
	if sum.Read != 3 || sum.Written != 2 || sum.TooOld != 1 {
		t.Errorf("%v", sum)
	}
}

func TestBrokenStreams(t *testing.T) {
	data := encode(t, retention(t, "1m:1h", schema.Average, 0.5), column(60, testNow, 1, 2, 3))
	whole := pack(t, entry{"a.wsp", data}, entry{"b.wsp", data}).Bytes()
	for what, c := range map[string]struct {
		in    io.Reader
		files int
		want  string
	}{
		"no tar":          {strings.NewReader(strings.Repeat("hello ", 200)), 0, "the stream is no tar"},
		"within a header": {io.MultiReader(bytes.NewReader(whole[:100])), 0, "no tar"},
		"within a file":   {bytes.NewReader(whole[:700]), 0, "a.wsp: the stream breaks off"},
		"between files":   {io.MultiReader(bytes.NewReader(whole[:1536]), brokenReader{}), 1, "connection reset"},
	} {
		target := &busy{}
		sum, err := Import(t.Context(), ImportOptions{Store: target, Now: clock}, c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.Of(err) != fault.Invalid || sum.Files != c.files || target.synced {
			t.Errorf("%s: %v %v", what, sum, err)
		}
	}
	if sum, err := Import(t.Context(), ImportOptions{Store: &busy{}}, strings.NewReader("")); err != nil || sum.Files != 0 {
		t.Errorf("nothing: %v %v", sum, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if sum, err := Import(ctx, ImportOptions{Store: &busy{}}, bytes.NewReader(whole)); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "the server stops") || sum.Files != 0 {
		t.Errorf("interrupted: %v %v", sum, err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }
