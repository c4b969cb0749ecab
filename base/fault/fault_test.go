package fault

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestKindSurvivesWrapping(t *testing.T) {
	err := fmt.Errorf("deploy catalog: %w", New(NotFound, "environment %q: %w", "prod", io.EOF))
	if Of(err) != NotFound || !errors.Is(err, io.EOF) {
		t.Fatalf("kind %v of %v", Of(err), err)
	}
	if Of(io.EOF) != Internal {
		t.Fatal("an error without a kind is internal")
	}
}

func TestStatusRoundTrip(t *testing.T) {
	for k := range kinds {
		if got := OfStatus(Kind(k).Status()); got != Kind(k) {
			t.Errorf("OfStatus(%d) = %v, want %v", Kind(k).Status(), got, Kind(k))
		}
	}
	if OfStatus(418) != Invalid || OfStatus(599) != Internal {
		t.Error("unknown status")
	}
}

func TestExit(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{{nil, 0}, {io.EOF, 1}, {New(Denied, "no"), 1}, {fmt.Errorf("x: %w", Usage(io.EOF)), 2}} {
		if got := Exit(c.err); got != c.want {
			t.Errorf("Exit(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}
