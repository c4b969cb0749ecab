package server

import "testing"

func TestProcFiles(t *testing.T) {
	stat := "12 (steer (x) y) S 1 12 12 0 -1 4194560 900 0 0 0 250 50 25 75 20 0 9 0 1000 1 1"
	if got := statCPU([]byte(stat)); got != 4 {
		t.Errorf("CPU %v s, want 4: 2.5 user, 0.5 system, 0.25 and 0.75 of children", got)
	}
	status := "Name:\tsteer\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n"
	if got := statusLine([]byte(status), "VmRSS"); got != 1<<20 {
		t.Errorf("VmRSS %d, want %d", got, 1<<20)
	}
}
