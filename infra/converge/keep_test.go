package converge_test

import (
	"os"
	"path/filepath"
	"testing"

	"steer/infra"
	"steer/infra/converge"
	"steer/infra/infratest"
)

// What a host should be is kept before the first change, and somebody who looks sees that
// a run is under way without being in its way.
func TestKeepAndBusy(t *testing.T) {
	w := newWorld(t)
	kept := filepath.Join(w.state, converge.ManifestFile)
	looked := false
	d := w.note("a", "x", func(d *infra.Declared) {
		d.Resource.(*infratest.Note).Applied = func() {
			looked = true
			if b, err := os.ReadFile(kept); string(b) != "[1]" || err != nil || !converge.Busy(w.state) {
				t.Errorf("during a run: kept %s %v, busy %v", b, err, converge.Busy(w.state))
			}
		}
	})
	w.run(converge.Options{Keep: []byte("[0]"), DryRun: true}, d)
	w.run(converge.Options{Keep: []byte("[0]"), Tags: []string{"t"}}, d)
	if _, err := os.Stat(kept); err == nil || converge.Busy(w.state) {
		t.Errorf("after a plan: kept, busy %v", converge.Busy(w.state))
	}
	w.run(converge.Options{Keep: []byte("[1]")}, d)
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 || !looked || converge.Busy(w.state) {
		t.Errorf("after a run: %v %v, looked %v", info, err, looked)
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				converge.Busy(w.state)
			}
		}
	}()
	for range 50 {
		w.run(converge.Options{Keep: []byte("[1]")}, d)
	}
	close(stop)
	<-ended
}
