package host

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"steer/base/fault"
)

const written1 = `# Hosts of the shop.
web:
  roles: [web]   # what they are
  number: 2      # more at Christmas
  self_service: {by: [shop], least: 1, most: 9}
  make: {docker: {image: debian}}
# The database.
db: {roles: [db], make: {docker: {image: debian}}, self_service: {by: [shop], most: 3}}
`

func TestSetNumber(t *testing.T) {
	for name, want := range map[string]string{
		"web": strings.Replace(written1, "number: 2 ", "number: 4 ", 1),
		"db":  strings.Replace(written1, "db: {roles", "db: {number: 3, roles", 1),
	} {
		n := 4
		if name == "db" {
			n = 3
		}
		if got, err := SetNumber([]byte(written1), name, n); err != nil || string(got) != want {
			t.Errorf("%v\n%s", err, got)
		}
	}
	if got, err := SetNumber([]byte("\"é\": {roles: [a]}\nx:\n    roles: [a]\n"), "x", 2); fault.Of(err) != fault.Invalid || got != nil {
		t.Errorf("%s %v", got, err) // é is no name
	}
	if got, err := SetNumber([]byte("x:\n    # first\n    roles: [a]\n"), "x", 2); err != nil || string(got) != "x:\n    # first\n    number: 2\n    roles: [a]\n" {
		t.Errorf("%q %v", got, err)
	}
	for text, kind := range map[string]fault.Kind{
		"y: {roles: [a]}":                fault.NotFound,
		"":                               fault.NotFound,
		"a: &a {roles: [a]}\nx: *a\n":    fault.Conflict,
		"x: {roles: [a], number: \"1\"}": fault.Conflict,
		"x: {roles: [a], self_service: {by: [a], most: 1}}": fault.Invalid,
	} {
		if got, err := SetNumber([]byte(text), "x", 2); fault.Of(err) != kind {
			t.Errorf("%q: %s %v", text, got, err)
		}
	}
}

// Whatever is lent and given back, the rest of the text stays as it was.
func TestLoans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(written1)
		until := time.Date(2026, 11, 26, 20, 0, 0, 0, time.UTC)
		var lent []string
		for n := range rapid.IntRange(1, 6).Draw(t, "steps") {
			var err error
			if len(lent) > 0 && rapid.Bool().Draw(t, "back") {
				i := rapid.IntRange(0, len(lent)-1).Draw(t, "which")
				text, err = RemoveEntry(text, lent[i])
				lent = append(lent[:i], lent[i+1:]...)
			} else {
				l := Loan{Name: "web-x" + string(rune('a'+n)) + rapid.StringMatching(`[a-z0-9]{6}`).Draw(t, "name"), Like: "web", Number: rapid.IntRange(1, 3).Draw(t, "number"),
					Until: until, RequestedBy: "ada", Reason: rapid.StringN(0, 20, 40).Draw(t, "reason")}
				text, err = AddLoan(text, l)
				lent = append(lent, l.Name)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !strings.HasPrefix(string(text), written1[:len(written1)-1]) {
			t.Fatalf("%s", text)
		}
		all, err := ReadEntries(fstest.MapFS{InventoryFile: {Data: text}})
		if err != nil || len(all) != 2+len(lent) {
			t.Fatal(all, err)
		}
		for _, name := range lent {
			if text, err = RemoveEntry(text, name); err != nil {
				t.Fatal(err)
			}
		}
		if strings.TrimSpace(string(text)) != strings.TrimSpace(written1) {
			t.Fatalf("%s", text)
		}
	})
	if _, err := AddLoan([]byte("{web: {roles: [a]}}"), Loan{Name: "x", Like: "web", Number: 1, Until: time.Now()}); err == nil {
		t.Error("it can be written into a list of one line")
	}
	if _, err := RemoveEntry([]byte("{web: {roles: [a]}}"), "web"); fault.Of(err) != fault.Conflict {
		t.Error(err)
	}
}

func TestSelfServiceEntries(t *testing.T) {
	read := func(text string) ([]Host, error) {
		return ReadInventory(fstest.MapFS{InventoryFile: {Data: []byte(text)}})
	}
	all, err := read(written1 + "tmp: {like: web, number: 2, until: 2026-11-26T20:00:00Z, requested_by: ada, reason: tests}\nnone: {roles: [a], number: 0, self_service: {by: [shop], least: 0, most: 2}}\n")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range all {
		names = append(names, h.Name+"@"+h.Group+"/"+h.Item)
	}
	if got := strings.Join(names, " "); got != "db-1@db/db tmp-1@web/web tmp-2@web/web web-1@web/web web-2@web/web" {
		t.Error(got)
	}
	if tmp := all[1]; tmp.RequestedBy != "ada" || tmp.Address != "docker://tmp-1" || tmp.Make == nil || tmp.Removed != "destroy" || !tmp.Over(tmp.Until) || tmp.Over(tmp.Until.Add(-1)) {
		t.Errorf("%+v", tmp)
	}
	if some := Lasting(all, all[1].Until); len(some) != 3 || len(all) != 5 {
		t.Error(some)
	}
	for text, want := range map[string]string{
		"x: {like: y, until: 2026-11-26T20:00:00Z}":                                      "y is no entry with roles",
		"x: {like: y}\ny: {roles: [a]}":                                                  "until: is missing",
		"x: {like: y, roles: [b], until: 2026-11-26T20:00:00Z}\ny: {roles: [a]}":         "they are what y is",
		"x: {like: y, until: soon}\ny: {roles: [a]}":                                     "until",
		"x: {like: y, until: 2026-11-26T20:00:00Z}\ny: {roles: [a], connect: 'ssh://a'}": "is the same for all hosts",
		"y: {roles: [a], self_service: {by: [], most: 2}}":                               "by: is missing",
		"y: {roles: [a], self_service: {by: [a], least: 3, most: 2}}":                    "are no bounds",
		"y: {roles: [a], number: 4, self_service: {by: [a], most: 2}}":                   "more than self_service allows",
		"y: {roles: [a], removed: burn}":                                                 "neither keep nor destroy",
		"y: {roles: [a], removed: destroy}":                                              "removed: destroy needs make",
		"y: {roles: [a], make: {command: {create: [a], destroy: [b], stop: [c]}}}":       "stop and start belong together",
		"y: {roles: [a], self_service: {by: [a], most: 2}, connect: 'ssh://a'}":          "is the same for all",
	} {
		if _, err := read(text); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
