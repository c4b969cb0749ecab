package machine

import (
	"regexp"
	"strings"
)

// Arrays looks at software arrays, as /proc/mdstat lists them (see md(4)):
//
//	md0 : active raid1 sdb1[1](F) sda1[0]
//	      1048512 blocks super 1.2 [2/1] [U_]
//	      [==>..................]  recovery = 12.6% (131072/1048512) finish=0.3min speed=43690K/sec
func (m Machine) Arrays() (s Seen, err error) {
	if m.Container {
		s.not(noHardware)
		return s, nil
	}
	b, err := m.read("/proc/mdstat")
	if err != nil {
		return s, err
	}
	var name, head, more string
	end := func() {
		if name != "" && !strings.Contains(more, "super external:") { // which only holds others
			s.looked(name)
			array(&s, name, head, more)
		}
		name, head, more = "", "", ""
	}
	for line := range strings.Lines(string(b)) {
		switch {
		case strings.HasPrefix(line, "md"):
			end()
			name, head, _ = strings.Cut(strings.TrimSpace(line), " : ")
		case name != "" && strings.HasPrefix(line, " "):
			more += line
		default:
			end()
		}
	}
	end()
	if len(s.Looked) == 0 {
		s.not("software arrays (there are none)")
	}
	return s, nil
}

func array(s *Seen, name, head, more string) {
	expression := func(text, in string) []string { return regexp.MustCompile(text).FindStringSubmatch(in) }
	var failed []string
	for _, member := range regexp.MustCompile(`(\S+?)\[\d+\](\(\w\))*\(F\)`).FindAllStringSubmatch(head, -1) {
		failed = append(failed, member[1])
	}
	which := ""
	if len(failed) > 0 {
		which = ", failed: " + list(failed)
	}
	rebuild := expression(`(recovery|resync|reshape)\s*=\s*(\d\S*)(?:.*finish=(\S+?)min)?`, more)
	progress := ""
	if rebuild != nil {
		if progress = ", " + rebuild[1] + " at " + rebuild[2]; rebuild[3] != "" {
			progress += ", done in about " + rebuild[3] + " minutes"
		}
	}
	// [2/1] [U_]: devices that it should have, those that it has.
	degraded := expression(`\[(\d+)/(\d+)\] \[[U_]*_[U_]*\]`, more)
	switch {
	case strings.HasPrefix(head, "inactive"):
		s.add(name, "inactive", "%s: the array does not run%s (mdadm --examine its devices; mdadm --run /dev/%s starts it with those that are there)", name, which, name)
	case degraded != nil && progress != "":
		s.add(name, "degraded", "%s: the array is degraded, %s of %s devices work%s%s (let it finish; save what matters before)", name, degraded[2], degraded[1], which, progress)
	case degraded != nil:
		s.add(name, "degraded", "%s: the array is degraded, %s of %s devices work%s (replace the device: mdadm /dev/%s --remove, then --add)", name, degraded[2], degraded[1], which, name)
	case len(failed) > 0:
		s.add(name, "failed", "%s: a spare took the place of a device%s (replace it: mdadm /dev/%s --remove, then --add)", name, which, name)
	case rebuild != nil && rebuild[1] != "reshape": // which somebody asked for
		s.add(name, "rebuilding", "%s: the array is not in step%s (let it finish; a disk that fails now may lose data)", name, progress)
	case strings.Contains(more, "resync=PENDING") || strings.Contains(more, "resync=DELAYED"):
		s.add(name, "rebuilding", "%s: the array is not in step, and waits to be (mdadm --readwrite /dev/%s begins, if no other array goes first)", name, name)
	}
}
