package agent

import (
	"strings"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/metric"
)

func TestReportOfThisHost(t *testing.T) {
	a, err := New(Options{Config: Config{Interval: config.Duration(10 * time.Second), Host: "web1.example"}})
	if err != nil {
		t.Fatal(err)
	}
	spin := time.Now()
	for time.Since(spin) < 30*time.Millisecond { // the kernel counts in ticks of 10 ms
	}
	got := map[string]float64{}
	for _, p := range a.Report(time.Now()) {
		name, ok := strings.CutPrefix(string(p.Name), "servers.web1_example.")
		if !ok || strings.Contains(name, "..") {
			t.Fatalf("name %s", p.Name)
		}
		got[name] = p.Value
	}
	for _, name := range []string{"load.1m", "memory.total", "memory.available", "memory.used_percent", "cpu.count", "uptime", "cpu.user", "cpu.idle"} {
		if _, ok := got[name]; !ok {
			t.Errorf("no %s among %d figures", name, len(got))
		}
	}
	if got["memory.total"] < 1<<20 || got["memory.used_percent"] <= 0 || got["memory.used_percent"] >= 100 {
		t.Errorf("memory %v, %v %%", got["memory.total"], got["memory.used_percent"])
	}
}

func TestNoProc(t *testing.T) {
	_, err := New(Options{Config: Config{Interval: config.Duration(time.Second)}, Proc: t.TempDir() + "/none", Sink: func([]metric.Point) error { return nil }})
	if err == nil || !strings.Contains(err.Error(), "agent.enabled=false") {
		t.Fatal(err)
	}
}

func TestPartition(t *testing.T) {
	for device, want := range map[string]bool{"sda": false, "sda1": true, "vdb": false, "nvme0n1": false, "nvme0n1p2": true, "mmcblk0": false, "mmcblk0p1": true, "dm-0": false, "md0": false} {
		if partition(device) != want {
			t.Errorf("partition(%s) = %v", device, !want)
		}
	}
}
