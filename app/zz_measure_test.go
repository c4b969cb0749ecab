package app

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMeasureAgent(t *testing.T) {
	s := startAgents(t)
	h := s.machine()
	h.run("steer agent join " + s.URL() + " " + s.invite("web-1"))
	var b strings.Builder
	b.WriteString("description: d\nresources:\n")
	for i := range 20 { fmt.Fprintf(&b, "  - directory: {path: /srv/f/%d}\n", i) }
	for i := range 500 { fmt.Fprintf(&b, "  - file: {path: /srv/f/%d/%d, content: %q}\n", i%20, i, strings.Repeat("x", 1023)+"\n") }
	b.WriteString("  - service: {name: ssh, state: any}\n")
	m := manifest(t, map[string]string{"roles/web.yaml": strings.Replace(b.String(), "/srv/f", "/opt/f", -1)})
	t.Log(h.try("grep -E 'VmRSS|VmHWM|RssAnon|RssFile' /proc/$(systemctl show -p MainPID --value steer-agent)/status"))
	start := time.Now()
	if r, err := s.converge("web-1", m); err != nil || r.Failed() { t.Fatal(r, err) }
	t.Log("first", time.Since(start))
	for range 3 {
		start = time.Now()
		if _, err := s.converge("web-1", m); err != nil { t.Fatal(err) }
		t.Log("noop", time.Since(start))
	}
	time.Sleep(5*time.Second)
	stat := "p=$(systemctl show -p MainPID --value steer-agent); cat /proc/$p/stat | cut -d' ' -f14,15; grep -E 'VmRSS|VmHWM|RssAnon|RssFile|ctxt' /proc/$p/status; ls /proc/$p/task | wc -l"
	t.Log(h.try(stat))
	time.Sleep(120*time.Second)
	t.Log(h.try(stat))
	for i := range 5 {
		d := h.run(fmt.Sprintf("echo y >> /opt/f/%d/%d; date +%%s%%N", i, i))
		_ = d
	}
	time.Sleep(2*time.Second)
	t.Log(h.try("journalctl -u steer-agent --no-pager | tail -5"))
}
