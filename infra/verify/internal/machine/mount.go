package machine

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// mount is a line of /proc/self/mountinfo, see proc(5).
type mount struct {
	device       string // MAJOR:MINOR
	point        string
	options      []string // of the mount
	kind, source string
	filesystem   []string // options of the file system
}

// mounts looks for file systems that can't be written to although they should be: the
// kernel made them so after an error, or somebody did and /etc/fstab says otherwise.
func (m Machine) mounts(s *Seen) error {
	b, err := m.read("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	declared := map[string]bool{} // mount points that fstab wants writable
	if !m.Container {             // whose fstab is that of its image
		if declared, err = m.fstab(); err != nil {
			return err
		}
	}
	on := map[string]mount{} // the last one at a point covers those below
	var points []string
	for line := range strings.Lines(string(b)) {
		one, ok := readMount(line)
		if !ok {
			continue
		}
		if _, known := on[one.point]; !known {
			points = append(points, one.point)
		}
		on[one.point] = one
	}
	told, n := map[string]bool{}, 0
	next := "dmesg tells why; look at the disk, check the file system unmounted, mount it again"
	if m.Container {
		next = "the machine beneath has to be looked at"
	}
	for _, point := range points[:min(len(points), mostThings)] {
		one := on[point]
		if m.neverWritten(one) {
			continue
		}
		n++
		ro := slices.Contains(one.filesystem, "ro")
		switch {
		case told[one.device]: // another mount of the same file system
			continue
		// ext4 tells so since Linux 6.15, and stays rw in name.
		case slices.Contains(one.filesystem, "emergency_ro"), slices.Contains(one.filesystem, "shutdown"), ro && slices.Contains(one.options, "rw"):
			s.add(one.source, "read-only", "%s at %s (%s) can't be written to any more: the kernel stopped it after an error, or it was made so (%s)", one.source, point, one.kind, next)
		case declared[point] && (ro || slices.Contains(one.options, "ro")):
			s.add(one.source, "read-only", "%s at %s (%s) is mounted read-only, and /etc/fstab says read-write (mount -o remount,rw %s; dmesg tells if the kernel refuses)", one.source, point, one.kind, word(point))
		default:
			continue
		}
		told[one.device] = true
	}
	s.looked(count(n, "mount", "mounts"))
	return nil
}

func readMount(line string) (one mount, ok bool) {
	left, right, ok := strings.Cut(line, " - ")
	l, r := strings.Fields(left), strings.Fields(right)
	if !ok || len(l) < 6 || len(r) < 3 {
		return one, false
	}
	return mount{device: l[2], point: Unescaped(l[4]), options: strings.Split(l[5], ","), kind: r[0], source: Unescaped(r[1]), filesystem: strings.Split(r[2], ",")}, true
}

// neverWritten tells of file systems and devices that nobody can write to.
func (m Machine) neverWritten(one mount) bool {
	if slices.Contains([]string{"squashfs", "erofs", "iso9660", "udf", "cramfs", "romfs", "sysfs", "proc", "cgroup", "cgroup2", "autofs", "ramfs"}, one.kind) {
		return true
	}
	if one.kind == "overlay" && !slices.ContainsFunc(one.filesystem, func(o string) bool { return strings.HasPrefix(o, "upperdir=") }) {
		return true
	}
	return m.text("/sys/dev/block/"+one.device+"/ro") == "1"
}

// fstab lists the mount points that are to be writable.
func (m Machine) fstab() (map[string]bool, error) {
	b, err := m.read("/etc/fstab")
	points := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") || !strings.HasPrefix(f[1], "/") {
			continue
		}
		options := []string{"defaults"}
		if len(f) > 3 {
			options = strings.Split(f[3], ",")
		}
		points[path.Clean(Unescaped(f[1]))] = !slices.Contains(options, "ro")
	}
	return points, err
}

// Unescaped undoes the kernel's \040 for a space, and its like.
func Unescaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// word is a path as a shell takes it.
func word(path string) string {
	if strings.ContainsAny(path, " \t'\"\\$&;()*?") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
