package infra

import (
	"testing"
	"testing/fstest"

	"steer/base/fault"
)

func TestMirrorsHere(t *testing.T) {
	if main, security := mirrorsHere(fstest.MapFS{}); main != "http://deb.debian.org/debian" || security != "" {
		t.Errorf("without sources: %q %q", main, security)
	}
	main, security := mirrorsHere(fstest.MapFS{
		"etc/apt/sources.list":             {Data: []byte("# deb http://old/debian x main\ndeb [signed-by=/x] https://near.example/debian/ bookworm main\n")},
		"etc/apt/sources.list.d/a.sources": {Data: []byte("Types: deb\nURIs: http://sec.example/debian-security\nSuites: x\n")},
	})
	if main != "https://near.example/debian" || security != "http://sec.example/debian-security" {
		t.Errorf("%q %q", main, security)
	}
	s := Suite{Name: "bookworm", Mirror: main, security: security}
	if got, want := s.sources(), "deb https://near.example/debian bookworm main\ndeb https://near.example/debian bookworm-updates main\ndeb http://sec.example/debian-security bookworm-security main\n"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestSuiteRefuses(t *testing.T) {
	for _, s := range []Suite{{Name: "--help"}, {Name: "Bookworm"}, {Name: "sid", Mirror: "--x"}, {Name: "sid", Packages: []string{"a,b"}}} {
		if _, err := s.Resolve(); fault.Of(err) != fault.Invalid {
			t.Errorf("%+v: %v", s, err)
		}
	}
	a, err1 := Suite{Name: "sid", Mirror: "http://m/debian", Packages: []string{"b", "a"}}.Resolve()
	b, err2 := Suite{Name: "sid", Mirror: "http://m/debian", Packages: []string{"a", "b"}}.Resolve()
	if err1 != nil || err2 != nil || len(a.Key()) != 6 || a.Key()[4] != b.Key()[4] {
		t.Errorf("%v %v %v %v", a, b, err1, err2)
	}
}
