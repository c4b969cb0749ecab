package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"steer/infra/verify"
)

// sample has every status, and texts that formats have to escape.
func sample() verify.Report {
	return verify.Report{
		Host: "web1", Start: time.Date(2026, 11, 25, 12, 0, 0, 5e8, time.UTC), Took: 1234 * time.Millisecond, Tests: 6,
		Counts: map[verify.Status]int{verify.Passed: 3, verify.Failed: 3, verify.Error: 2, verify.Skipped: 2},
		Results: []verify.Result{
			{Test: "package nginx", Kind: "package", ID: "nginx", Place: "roles/web.yaml:3", Severity: "ticket", Status: verify.Passed, Attempts: 1, Took: 3 * time.Millisecond, Properties: []verify.Property{
				{Name: "installed", Status: verify.Passed, Expected: "true", Found: "true"},
				{Name: "version", Status: verify.Passed, Expected: "1.22.1-9", Found: "[1.22.1-9]"},
			}},
			{Test: "the server runs", Kind: "service", ID: "nginx", Place: "roles/web.yaml:4", Severity: "page", Status: verify.Failed, Attempts: 4, Took: time.Second, Properties: []verify.Property{
				{Name: "running", Status: verify.Failed, Expected: "true", Found: "false (failed, failed)"},
				{Name: "enabled", Status: verify.Passed, Expected: "true", Found: "true (enabled)"},
			}},
			{Test: "file /etc/odd", Kind: "file", ID: "/etc/odd", Place: "roles/web.yaml:9", Severity: "info", Status: verify.Failed, Attempts: 1, Took: 2 * time.Millisecond, Properties: []verify.Property{
				{Name: "exists", Status: verify.Failed, Expected: "true", Found: "false"},
				{Name: "mode", Status: verify.Skipped, Expected: "0644", Why: "exists is false"},
			}},
			{Test: `command # "a|b" \<c> & ü`, Kind: "command", ID: "a", Severity: "ticket", Status: verify.Failed, Attempts: 1, Took: 2 * time.Millisecond, Properties: []verify.Property{
				{Name: "stdout", Status: verify.Failed, Expected: `"x\ty # | <b>" and /^a$/`, Found: "\"\\x1b[0m\" \u00fc\x01"},
				{Name: "size", Status: verify.Error, Expected: "above 3", Found: "abc", Why: "can't be compared: \"abc\" is no number"},
			}},
			{Test: "port 80/tcp", Kind: "port", ID: "80/tcp", Place: "roles/web.yaml:20", Severity: "ticket", Status: verify.Error, Why: "not done within 1m0s", Attempts: 1, Took: time.Minute, Properties: []verify.Property{
				{Name: "listening", Status: verify.Error, Expected: "true", Why: "not done within 1m0s"},
			}},
			{Test: "dns shop.example", Kind: "dns", ID: "shop.example", Place: "roles/web.yaml:22", Severity: "ticket", Status: verify.Skipped, Why: "moves # in March", Properties: []verify.Property{
				{Name: "resolves", Status: verify.Skipped, Expected: "true", Why: "moves # in March"},
			}},
		},
	}
}

func written(t *testing.T, format string, r verify.Report, s Style) []byte {
	t.Helper()
	return writtenAll(t, format, []verify.Report{r}, s)
}

func writtenAll(t *testing.T, format string, all []verify.Report, s Style) []byte {
	t.Helper()
	f, ok := Find(format)
	if !ok {
		t.Fatal("there is no format " + format)
	}
	var b bytes.Buffer
	if err := f.Write(&b, all, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFormats(t *testing.T) {
	golden := func(name string, got []byte) {
		t.Helper()
		name = filepath.Join("testdata", name)
		if os.Getenv("STEER_TEST_UPDATE") != "" {
			if err := os.WriteFile(name, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s (STEER_TEST_UPDATE=1 writes it anew):\n%s", name, d)
		}
	}
	for _, f := range Formats() {
		golden(f.Name, written(t, f.Name, sample(), Style{}))
		if f.Doc == "" {
			t.Errorf("%s is not explained", f.Name)
		}
	}
	golden("text.all", written(t, "text", sample(), Style{Color: true, All: true}))
	for _, f := range Formats() {
		golden(f.Name+".hosts", writtenAll(t, f.Name, hosts(), Style{}))
	}
	golden("rspecish.color", written(t, "rspecish", sample(), Style{Color: true}))
}

// hosts are two, of which the second has the same tests.
func hosts() []verify.Report {
	a, b := sample(), sample()
	b.Host, b.Start = `web"2`, b.Start.Add(2*time.Second)
	b.Results = b.Results[:1]
	b.Tests, b.Counts = 1, map[verify.Status]int{verify.Passed: 2}
	return []verify.Report{a, b}
}

// TestHosts: what is written of several hosts is one document.
func TestHosts(t *testing.T) {
	var s suites
	d := xml.NewDecoder(bytes.NewReader(writtenAll(t, "junit", hosts(), Style{})))
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	if token, err := d.Token(); token != nil && strings.TrimSpace(string(token.(xml.CharData))) != "" {
		t.Errorf("after the document: %v %v", token, err)
	}
	if len(s.Suites) != 2 || s.Suites[0].Host != "web1" || s.Suites[1].Host != `web"2` || s.Suites[0].Failures != 3 || s.Suites[1].Failures != 0 || s.Suites[1].Tests != 2 {
		t.Errorf("%+v", s)
	}
	var back []verify.Report
	for line := range bytes.Lines(writtenAll(t, "json", hosts(), Style{})) {
		var r verify.Report
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		back = append(back, r)
	}
	if d := cmp.Diff(hosts(), back); d != "" {
		t.Error("JSON read back:", d)
	}
	for format, once := range map[string][]string{"tap": {"TAP version 13\n", "\n1..12\n", "\nok 12 - web\"2: "}, "nagios": {"HOST TESTS", "passed=5 failed=3", "\n"},
		"prometheus": {"# TYPE steer_host_test_ok ", "# TYPE steer_host_tests_duration_seconds ", `steer_host_tests_duration_seconds{host="web\"2"}`}} {
		got := string(writtenAll(t, format, hosts(), Style{}))
		for _, text := range once {
			if strings.Count(got, text) != 1 {
				t.Errorf("%s has %q not once: %s", format, text, got)
			}
		}
	}
	worse := hosts()
	worse[1].Counts = map[verify.Status]int{verify.Error: 1}
	if a, b := Code("nagios", worse...), Code("nagios", worse[1], worse[0]); a != 2 || b != 2 || Code("nagios", worse[1]) != 3 || Code("junit", worse[1], worse[0]) != 1 {
		t.Errorf("nagios %d, %d", a, b)
	}
}

func TestCode(t *testing.T) {
	for _, c := range []struct {
		what                          string
		tests, failed, errors, passed int
		code, nagios                  int
	}{
		{"all well", 2, 0, 0, 2, 0, 0},
		{"all skipped", 2, 0, 0, 0, 0, 0},
		{"one failed", 2, 1, 1, 0, 1, 2},
		{"one not judged", 2, 0, 1, 1, 1, 3},
		{"no tests", 0, 0, 0, 0, 0, 3},
	} {
		r := verify.Report{Tests: c.tests, Counts: map[verify.Status]int{verify.Failed: c.failed, verify.Error: c.errors, verify.Passed: c.passed}}
		if a, b := Code("text", r), Code("nagios", r); a != c.code || b != c.nagios {
			t.Errorf("%s: %d, nagios %d; want %d, %d", c.what, a, b, c.code, c.nagios)
		}
	}
}

func TestParts(t *testing.T) {
	var back verify.Report
	if err := json.Unmarshal(written(t, "json", sample(), Style{}), &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample(), back); d != "" {
		t.Error("JSON read back:", d)
	}
	var s suites
	if err := xml.Unmarshal(written(t, "junit", sample(), Style{}), &s); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Suites[0].Cases); n != 10 || s.Suites[0].Tests != n || s.Suites[0].Failures != 3 || s.Suites[0].Errors != 2 {
		t.Errorf("%+v", s)
	}
	if got := string(written(t, "nagios", verify.Report{}, Style{})); !strings.HasPrefix(got, "HOST TESTS UNKNOWN - there are no tests |") {
		t.Error(got)
	}
	if lines := strings.Split(string(written(t, "nagios", sample(), Style{})), "|"); len(lines) != 2 {
		t.Errorf("%q", lines)
	}
	// Two tests of one name are one series, and the worse one counts.
	r := sample()
	r.Results = append(r.Results, r.Results[0])
	r.Results[6].Properties = []verify.Property{{Name: "installed", Status: verify.Failed}}
	if got := string(written(t, "prometheus", r, Style{})); strings.Count(got, `test="package nginx",kind="package",property="installed"`) != 1 ||
		!strings.Contains(got, `test="package nginx",kind="package",property="installed",severity="ticket"} 0`) {
		t.Error(got)
	}
}

// judge runs a program of others over what is written.
func judge(t *testing.T, in []byte, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestPromtoolReadsIt(t *testing.T) {
	for _, all := range [][]verify.Report{hosts()[:1], hosts()} {
		if out, err := judge(t, writtenAll(t, "prometheus", all, Style{}), "promtool", "check", "metrics"); err != nil || out != "" {
			t.Errorf("%v: %s", err, out)
		}
	}
}

func TestProveReadsIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.tap")
	if err := os.WriteFile(file, written(t, "tap", sample(), Style{}), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := judge(t, nil, "prove", "-v", "--exec", "cat", file)
	if err == nil || !strings.Contains(out, "Failed 5/10 subtests") || !strings.Contains(out, "(less 2 skipped subtests: 3 okay)") || strings.Contains(out, "Parse errors") {
		t.Errorf("%v: %s", err, out)
	}
	if err := os.WriteFile(file, writtenAll(t, "tap", hosts(), Style{}), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ := judge(t, nil, "prove", "-v", "--exec", "cat", file); !strings.Contains(out, "Failed 5/12 subtests") || strings.Contains(out, "Parse errors") {
		t.Errorf("two hosts: %s", out)
	}
	good := sample()
	good.Results = good.Results[:1]
	if err := os.WriteFile(file, written(t, "tap", good, Style{}), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := judge(t, nil, "prove", "--exec", "cat", file); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
