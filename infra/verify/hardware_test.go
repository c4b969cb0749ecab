package verify

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steer/base/fault"
	"steer/infra"
)

// recorded runs one test on a recorded machine whose array is degraded and whose memory
// counts errors.
func recorded(t *testing.T, text string, container bool) Result {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"proc/mdstat":     "Personalities : [raid1]\nmd0 : active raid1 sdb1[1](F) sda1[0]\n      1048512 blocks super 1.2 [2/1] [U_]\n\nunused devices: <none>\n",
		"proc/uptime":     "3600.00 7000.00\n",
		"proc/1/stat":     "1 (init) D 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n",
		"proc/1/sched":    "se.exec_start : 1000.000000\n",
		"proc/2/stat":     "2 (web) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n",
		"proc/2/sched":    "se.exec_start                                :        901000.000000\n",
		"dev/kmsg":        "6,0,0,-;Linux\n3,7,1800000000,-;Out of memory: Killed process 312 (mysqld) total-vm:1845320kB, anon-rss:831841kB, file-rss:0kB\n",
		"proc/self/.keep": "",
		"sys/devices/system/edac/mc/mc0/ue_count": "0\n", "sys/devices/system/edac/mc/mc0/ce_count": "500\n", "sys/devices/system/edac/mc/mc0/seconds_since_reset": "60\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	test := load(t, "tests:\n  - "+text)[0]
	switch s := test.Subject.(type) {
	case *hardware:
		s.root = root
	case *stuck:
		s.root = root
	case *oom:
		s.root = root
	}
	return Run(t.Context(), &infra.Host{Facts: infra.Facts{Container: container}}, []Test{test}, Options{}).Results[0]
}

func TestHardware(t *testing.T) {
	const degraded = "md0: the array is degraded, 1 of 2 devices work, failed: sdb1"
	for _, c := range []struct {
		test      string
		container bool
		status    Status
		want      []string // of the first property
	}{
		{"hardware: arrays", false, Failed, []string{"failures failed: expected only [], found " + degraded, "(looked at md0)"}},
		{"hardware: {}", false, Failed, []string{degraded, "; memory mc0: 500 corrected errors", "looked at md0, ", "not at SMART (no disk here has it)"}},
		{"hardware: all", true, Passed, []string{"failures passed: expected only [], found none (looked at 0 mounts; not at hardware (a container has none of its own; the machine beneath it is another host), the counters"}},
		{"hardware: {part: arrays, ignore: [degraded]}", false, Passed, []string{"found none (1 ignored; looked at md0)"}},
		{"hardware: {part: arrays, ignore: [\"/^md[1-9]:/\"]}", false, Failed, []string{degraded}},
		{"hardware: {part: arrays, ignore: [\"/^md[0-9]:/\"]}", false, Passed, []string{"1 ignored"}},
		{"hardware: {part: memory, correctable: 1000}", false, Passed, []string{"found none (looked at memory controller mc0)"}},
		{"hardware: {part: arrays, failures: \"/degraded/\"}", false, Passed, []string{degraded}},
		{"hardware: {part: disks, known: true}", false, Passed, []string{"known passed: expected true, found true (looked at the kernel's log since "}},
		{"hardware: {part: arrays, known: true}", true, Failed, []string{"known failed: expected true, found false (not at hardware (a container"}},
		{"stuck: all", false, Failed, []string{"failures failed: expected only [], found init[1]: waits in the kernel for 15m0s"}},
		{"stuck: {name: web}", false, Passed, []string{"found none (looked at 2 processes)"}},
		{"stuck: {longer: 1h}", false, Passed, []string{"found none (looked at 2 processes)"}},
		{"oom: all", false, Failed, []string{"found mysqld[312]: the kernel killed it at ", "the machine had no memory left"}},
		{"oom: {name: mysqld, within: 10m}", false, Passed, []string{"found none (looked at the kernel's log since "}},
		{"oom: web", false, Passed, []string{"found none"}},
		{"oom: {name: all, ignore: [mysqld], known: true}", false, Passed, []string{"known passed", "1 ignored"}},
		{"oom: {known: true}", true, Failed, []string{"known failed: expected true, found false (not at the kernel's log (that of a container"}},
	} {
		r := recorded(t, c.test, c.container)
		p := r.Properties[0]
		got := strings.TrimSpace(p.Name + " " + string(p.Status) + ": expected " + p.Expected + ", found " + p.Found + " " + p.Why)
		for _, want := range c.want {
			if r.Status != c.status || !strings.Contains(got, want) {
				t.Errorf("%s: %s\n got %s\nwant %s", c.test, r.Status, got, want)
			}
		}
	}
	// Programs that read reports get each failure by itself.
	b, err := json.Marshal(recorded(t, "hardware: memory", false).Properties)
	if err != nil || !strings.Contains(string(b), `"findings":[{"of":"mc0","kind":"correctable","text":"memory mc0: 500 corrected`) {
		t.Errorf("%s %v", b, err)
	}
}

func TestHardwareRefuses(t *testing.T) {
	for _, c := range []struct{ item, want string }{
		{"{hardware: disk}", `tests[0].hardware: "disk" is none (did you mean "disks"?)`},
		{"{hardware: {part: disks, wear: 0}}", "tests[0].hardware.wear: has to be at least 1"},
		{"{hardware: {within: 5s}}", "tests[0].hardware.within: has to be between 1m and 30d"},
		{"{hardware: {ignore: ['']}}", "tests[0].hardware.ignore: an empty text would ignore everything"},
		{"{hardware: {ignore: [/(/]}}", "missing closing )"},
		{"{hardware: {failures: {above: 3}}}", "this is no number"},
		{"{stuck: {longer: 48h}}", "tests[0].stuck.longer: has to be above 0s, and at most 24h"},
		{"{stuck: {zombies: 0}}", "tests[0].stuck.zombies: has to be at least 1"},
		{"{stuck: a b}", `"a b" is no name`},
		{"{oom: {within: 60d}}", "tests[0].oom.within: has to be between 1m and 30d"},
	} {
		_, err := Load("roles/web.yaml", []byte("tests: [ "+c.item+" ]"))
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v, want %s", c.item, err, c.want)
		}
	}
}

// A test that is added says that the host can tell.
func TestAddHardware(t *testing.T) {
	h := infra.NewHost(t.Context())
	got, err := Add(t.Context(), h, "stuck", "all")
	if err != nil || string(got) != "tests:\n  - stuck:\n      name: all\n      known: true\n" {
		t.Errorf("%s %v", got, err)
	}
	load(t, string(got))
	h.Facts.Container = true
	if got, err := Add(t.Context(), h, "hardware", "memory"); fault.Of(err) != fault.NotFound {
		t.Errorf("%s %v", got, err)
	}
	if got, err := Add(t.Context(), h, "hardware", "memroy"); fault.Of(err) != fault.Invalid {
		t.Errorf("%s %v", got, err)
	}
}
