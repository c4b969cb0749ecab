package machine

import (
	"path"
	"strings"
	"time"
)

// Memory looks at what the memory controllers counted, in
// /sys/devices/system/edac/mc (see the kernel's Documentation/admin-guide/RAS). Errors
// that were corrected are borne up to so many a day, on average since the counters began.
func (m Machine) Memory(correctable int) (s Seen, err error) {
	if m.Container {
		s.not(noHardware)
		return s, nil
	}
	for _, dir := range m.names("/sys/devices/system/edac/mc/mc[0-9]*") {
		mc := path.Base(dir)
		bad, ok := m.number(dir + "/ue_count")
		mended, ok2 := m.number(dir + "/ce_count")
		if !ok || !ok2 {
			continue
		}
		s.looked("memory controller " + mc)
		since, _ := m.number(dir + "/seconds_since_reset")
		days := max(float64(since)/(24*60*60), 1)
		over := (time.Duration(since) * time.Second).Round(time.Minute)
		again := "echo 1 > " + dir + "/reset_counters counts anew"
		if bad > 0 {
			s.add(mc, "uncorrectable", "memory %s: %s in %s%s (replace the module; %s)", mc, count(int(bad), "error that could not be corrected", "errors that could not be corrected"), over, m.modules(dir, "ue"), again)
		}
		if float64(mended) > float64(correctable)*days {
			s.add(mc, "correctable", "memory %s: %s in %s, more than %d a day%s (replace the module; %s)", mc, count(int(mended), "corrected error", "corrected errors"), over, correctable, m.modules(dir, "ce"), again)
		}
	}
	if len(s.Looked) == 0 {
		s.not("memory (no controller counts errors: the memory has no ECC, or the kernel no EDAC driver for it)")
	}
	return s, nil
}

// modules names those that counted errors: dimm* or, in older kernels and drivers, rank*.
func (m Machine) modules(dir, kind string) string {
	var all []string
	for _, pattern := range []string{"/dimm[0-9]*", "/rank[0-9]*"} {
		for _, dimm := range m.names(dir + pattern) {
			if n, ok := m.number(dimm + "/dimm_" + kind + "_count"); ok && n > 0 {
				name := path.Base(dimm)
				if label := m.text(dimm + "/dimm_label"); label != "" {
					name += " " + label
				} else if at := m.text(dimm + "/dimm_location"); at != "" {
					name += " at " + strings.Join(strings.Fields(at), " ")
				}
				all = append(all, name)
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	return ", of " + list(all)
}
