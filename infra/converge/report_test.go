package converge

import (
	"context"
	"testing"

	"steer/infra"
)

// watched only tells what differs; applying it reads something anew first.
type watched struct{ stale, applied bool }

func (w *watched) ID() string { return "all" }

func (w *watched) Diff(context.Context, *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	if !w.stale {
		d.Action = infra.Report
	}
	d.Set("pending", "1", "2")
	return d, nil
}

func (w *watched) Apply(context.Context, *infra.Host, infra.Diff) error {
	w.stale, w.applied = false, true
	return nil
}

func TestWhatIsOnlyReported(t *testing.T) {
	for _, stale := range []bool{false, true} {
		w := &watched{stale: stale}
		h := infra.NewHost(t.Context())
		seen, _ := infra.Memo(h, infra.Fleeting+"x", func() (int, error) { return 1, nil })
		var got Event
		report, err := Run(t.Context(), infra.Manifest{Resources: []infra.Declared{{Kind: "updates", ID: "all", Resource: w}}},
			Options{Host: h, Dir: t.TempDir(), Event: func(e Event) { got = e }})
		if err != nil || report.Failed() || got.Status != Drifted || got.Diff.Action != infra.Report || w.applied != stale {
			t.Errorf("stale %v: %+v %+v %v", stale, report, got, err)
		}
		again, _ := infra.Memo(h, infra.Fleeting+"x", func() (int, error) { return 2, nil })
		if changed := again != seen; changed != stale {
			t.Errorf("what was seen before a change: %d, then %d", seen, again)
		}
	}
}
