package rootfs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// readXattrs reads the extended attributes that belong to a file wherever it is:
// capabilities, access lists, and what users set.
func readXattrs(name string) (string, error) {
	buf := make([]byte, 1024)
	n, err := unix.Llistxattr(name, buf)
	if err == unix.ERANGE {
		buf = make([]byte, 64<<10)
		n, err = unix.Llistxattr(name, buf)
	}
	if err == unix.ENOTSUP || n == 0 && err == nil {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the attributes of %s: %w", name, err)
	}
	all := map[string]string{}
	for key := range strings.SplitSeq(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		if key != "security.capability" && !strings.HasPrefix(key, "user.") && !strings.HasPrefix(key, "system.posix_acl_") {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(name, key, value)
		if err != nil {
			return "", fmt.Errorf("read attribute %s of %s: %w", key, name, err)
		}
		all[key] = string(value[:n])
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s\x00%d\x00%s", key, len(all[key]), all[key])
	}
	return b.String(), nil
}

// xattrsOf parts what readXattrs joined.
func xattrsOf(joined string) map[string]string {
	all := map[string]string{}
	for joined != "" {
		key, rest, _ := strings.Cut(joined, "\x00")
		length, rest, _ := strings.Cut(rest, "\x00")
		n := 0
		if _, err := fmt.Sscan(length, &n); err != nil || n > len(rest) {
			return all
		}
		all[key], joined = rest[:n], rest[n:]
	}
	return all
}

// attribute of a file; empty without it.
func (t *Tree) attribute(p, name string) string {
	b := make([]byte, 256)
	n, err := unix.Lgetxattr(t.file(p), name, b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}
