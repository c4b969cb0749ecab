package machine

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"strings"
	"time"
)

// Filesystems looks at the errors that file systems count, at mounts that became
// read-only, and at what the kernel's log tells of file systems since then. In a container
// only its mounts count.
func (m Machine) Filesystems(ctx context.Context, since time.Time) (s Seen, err error) {
	if m.Container {
		s.not("the counters of file systems and the kernel's log (those of a container are the machine's beneath it)")
		return s, m.mounts(&s)
	}
	m.ext4(&s)
	m.btrfs(&s)
	if err := m.mounts(&s); err != nil {
		return s, err
	}
	m.logged(ctx, &s, since, filesystemEvents())
	return s, nil
}

// ext4 reads what ext4 keeps in its superblock, as long as it is mounted (see the kernel's
// Documentation/ABI/testing/sysfs-fs-ext4).
func (m Machine) ext4(s *Seen) {
	for _, dir := range m.names("/sys/fs/ext4/*") {
		n, ok := m.number(dir + "/errors_count")
		if !ok {
			continue // features
		}
		device := path.Base(dir)
		s.looked("ext4 on " + device)
		if n == 0 {
			continue
		}
		first, last := m.ext4Error(dir, "first"), m.ext4Error(dir, "last")
		text := "the last " + last
		if n > 1 && first != last {
			text = "the first " + first + ", " + text
		}
		name := device
		if mapped := m.text("/sys/block/" + device + "/dm/name"); mapped != "" { // dm-0 says nothing to people
			name += ", " + mapped
		}
		s.add(device, "errors", "%s: ext4 counted %s, %s (look at the disk, then e2fsck -f /dev/%s unmounted, which also sets the count to 0)", name, count(int(n), "error", "errors"), text, device)
	}
}

// ext4Error words the first or last error of a file system.
func (m Machine) ext4Error(dir, which string) string {
	at := "at a time that is not known"
	if t, ok := m.number(dir + "/" + which + "_error_time"); ok && t > 0 {
		at = epoch(t)
	}
	if f := m.text(dir + "/" + which + "_error_func"); f != "" { // newer kernels tell
		at += " in " + f
	}
	for _, key := range []string{"ino", "block"} {
		if n, ok := m.number(dir + "/" + which + "_error_" + key); ok && n > 0 {
			at += fmt.Sprintf(" %s %d", map[string]string{"ino": "inode", "block": "block"}[key], n)
		}
	}
	return at
}

// btrfs reads what btrfs counts for each of its devices (Linux 5.14 and newer).
func (m Machine) btrfs(s *Seen) {
	for _, dir := range m.names("/sys/fs/btrfs/*-*") {
		name := cmp.Or(m.text(dir+"/label"), path.Base(dir))
		var devices []string
		for _, d := range m.names(dir + "/devices/*") {
			devices = append(devices, path.Base(d))
		}
		of := strings.Join(devices, ", ")
		s.looked("btrfs on " + cmp.Or(of, name))
		for _, d := range m.names(dir + "/devinfo/[0-9]*") {
			id := path.Base(d)
			key := "btrfs " + name + " device " + id
			if n, _ := m.number(d + "/missing"); n == 1 {
				s.add(key, "degraded", "btrfs %s: device %s is missing, %s is left (put it back, or: btrfs replace start %s DEVICE MOUNTPOINT)", name, id, of, id)
			}
			var bad []string
			for line := range strings.Lines(m.text(d + "/error_stats")) {
				if kind, n, ok := strings.Cut(strings.TrimSpace(line), " "); ok && n != "0" {
					bad = append(bad, strings.TrimSuffix(kind, "_errs")+" "+n)
				}
			}
			if len(bad) > 0 {
				s.add(key, "errors", "btrfs %s: device %s of %s counted errors: %s (btrfs scrub start MOUNTPOINT, look at the disk; btrfs device stats -z MOUNTPOINT counts anew)", name, id, of, list(bad))
			}
		}
	}
}
