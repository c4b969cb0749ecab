package system

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// Mount is a file system in its place.
type Mount struct {
	Path    string   `yaml:"path,omitempty" doc:"Folder where it is mounted; it is made when it is missing."`
	Source  string   `yaml:"source,omitempty" doc:"Device, UUID=… or LABEL=…, folder (with option bind), SERVER:/PATH, or any word for tmpfs."`
	Type    string   `yaml:"type,omitempty" doc:"File system, like ext4, tmpfs, nfs; none for a folder." default:"auto"`
	Options []string `yaml:"options,omitempty" doc:"Options of mount(8)." default:"[defaults]"`
	Dump    int      `yaml:"dump,omitempty" doc:"Fifth field of /etc/fstab."`
	Pass    int      `yaml:"pass,omitempty" doc:"Sixth field: order of checks at the start, 0 for none."`
	State   string   `yaml:"state,omitempty" doc:"mounted: in /etc/fstab and mounted; present: in /etc/fstab only; absent: neither." default:"mounted"`
}

const isMounted = "mounted"

func mountKind() infra.Kind {
	return infra.Kind{
		Name: "mount", Key: "path", // without a class: it changes what the paths of others mean
		Doc: "A file system, mounted now and at each start. A line of /etc/fstab is written after mounting worked. Of the options of a running mount, ro, nosuid, nodev, noexec and noatime are compared, since the kernel shows the others in words of its own.",
		Example: `mount: /srv/data
source: LABEL=data
type: ext4
options: [noatime, nodev]
pass: 2
`,
		New: func() infra.Resource { return &Mount{} },
	}
}

const (
	tableFile = "/etc/fstab"
	tableKey  = "system fstab"
	mountsKey = "system mounts"
)

// ID is the path.
func (m *Mount) ID() string { return m.Path }

// Check refuses what no table could hold.
func (m *Mount) Check() error {
	errs := []error{checkState(m.State, isMounted, present, absent)}
	wrong := func(format string, args ...any) { errs = append(errs, fault.New(fault.Invalid, format, args...)) }
	if !path.IsAbs(m.Path) || path.Clean(m.Path) != m.Path {
		wrong("path: %q is no absolute path", m.Path)
	}
	if m.Path == "/" && m.State == absent {
		wrong("state: the root folder cannot go")
	}
	if m.Source == "" && m.State != absent {
		wrong("source: is missing")
	}
	if m.State != absent && (m.Type == "" || strings.ContainsAny(m.Type, " \t\n#\\")) {
		wrong("type: %q is no file system", m.Type)
	}
	for i, o := range m.Options {
		if o == "" || strings.ContainsAny(o, "\n\x00") || strings.Contains(o, ",") && !strings.ContainsAny(o, `"=`) {
			wrong("options[%d]: %q is no option (write each as one of the list)", i, o)
		}
	}
	if m.Dump < 0 || m.Dump > 1 {
		wrong("dump: %d is not 0 or 1", m.Dump)
	}
	if m.Pass < 0 || m.Pass > 2 {
		wrong("pass: %d is not from 0 to 2", m.Pass)
	}
	return errors.Join(errs...)
}

// Gives names the folder.
func (m *Mount) Gives() []string {
	if m.State == absent {
		return nil
	}
	return []string{"path:" + m.Path}
}

// Claims is the folder: who may look into it others may say.
func (m *Mount) Claims() []infra.Claim {
	all := []infra.Claim{{Name: "path:" + tableFile, As: infra.Part}}
	if m.State != absent {
		all = append(all, infra.Claim{Name: "path:" + m.Path, As: infra.Folder})
	}
	return all
}

// Needs names the folder above, since it makes its own, and the source.
func (m *Mount) Needs() []string {
	all := []string{"path:" + path.Dir(m.Path)}
	if path.IsAbs(m.Source) {
		all = append(all, "path:"+path.Clean(m.Source))
	}
	return all
}

// Absent is nothing mounted; the folder stays.
func (m *Mount) Absent() infra.Resource { return &Mount{Path: m.Path, State: absent} }

// LeftOut is the mount.
func (m *Mount) LeftOut() string {
	if m.State == isMounted {
		return "not mounted: only written to " + tableFile
	}
	return ""
}

// Units is the unit that systemd keeps for every mount, named as systemd-escape(1) does.
func (m *Mount) Units() []string {
	var b strings.Builder
	for i, c := range []byte(strings.Trim(m.Path, "/")) {
		switch {
		case c == '/':
			b.WriteByte('-')
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == ':', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return []string{cmp.Or(b.String(), "-") + ".mount"}
}

// Watch names the table.
func (m *Mount) Watch() []string { return []string{tableFile} }

func (m *Mount) line() tableLine {
	options := strings.Join(m.Options, ",")
	if options == "" {
		options = "defaults"
	}
	return tableLine{m.Source, m.Path, m.Type, options, strconv.Itoa(m.Dump), strconv.Itoa(m.Pass)}
}

func table(h *infra.Host) (string, error) {
	return infra.Memo(h, tableKey, func() (string, error) { return readText(tableFile) })
}

func (m *Mount) now(h *infra.Host) (mounted, bool, error) {
	all, err := infra.Memo(h, mountsKey, func() (map[string]mounted, error) {
		b, err := os.ReadFile("/proc/self/mountinfo")
		return readMounts(string(b)), err
	})
	is, ok := all[m.real()]
	return is, ok, err
}

// real is the path without links, as the kernel tells it.
func (m *Mount) real() string {
	if real, err := filepath.EvalSymlinks(m.Path); err == nil {
		return real
	}
	return m.Path
}

// Diff compares the table and what is mounted.
func (m *Mount) Diff(_ context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	text, err := table(h)
	if err != nil {
		return d, err
	}
	now, is, err := m.now(h)
	if err != nil {
		return d, err
	}
	is = is && !h.Facts.Offline
	var lines []tableLine
	for line := range strings.Lines(text) {
		if t, ok := parseTableLine(line); ok && t.path == m.Path {
			lines = append(lines, t)
		}
	}
	if m.State == absent {
		if is || len(lines) > 0 {
			d.Action = infra.Delete
		}
		return d, nil
	}
	if len(lines) == 0 && !is {
		d.Action = infra.Create
	}
	m.diffTable(lines, &d)
	if m.State != isMounted || h.Facts.Offline {
		return d, nil
	}
	if !is {
		d.Set("mounted", "false", "true")
		return d, nil
	}
	if source, same := m.sameSource(now); !same {
		d.Set("mounted source", source, m.Source)
	}
	if m.Type != "auto" && m.Type != "none" && now.fsType != m.Type && !strings.HasPrefix(now.fsType, m.Type+"4") && !m.bind() {
		d.Set("mounted type", now.fsType, m.Type)
	}
	if d.Has("mounted source") || d.Has("mounted type") {
		return d, nil // will be mounted anew
	}
	if lacks := m.lacks(now); len(lacks) > 0 {
		d.Set("mounted options", strings.Join(now.options, ","), strings.Join(lacks, ","))
	}
	return d, nil
}

func (m *Mount) diffTable(lines []tableLine, d *infra.Diff) {
	var old tableLine
	if len(lines) > 0 {
		old = lines[0]
	}
	want := m.line()
	for _, f := range [][3]string{
		{"source", old.source, want.source}, {"type", old.fsType, want.fsType}, {"options", old.options, want.options},
		{"dump", old.dump, want.dump}, {"pass", old.pass, want.pass},
	} {
		if f[1] != f[2] {
			d.Set(f[0], f[1], f[2])
		}
	}
	if len(lines) > 1 {
		d.Set("lines", strconv.Itoa(len(lines)), "1")
	}
}

func (m *Mount) bind() bool {
	return slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}

// sameSource compares sources where the kernel tells them in comparable words.
func (m *Mount) sameSource(now mounted) (string, bool) {
	want := m.Source
	for key, dir := range map[string]string{"UUID=": "by-uuid", "LABEL=": "by-label", "PARTUUID=": "by-partuuid", "PARTLABEL=": "by-partlabel"} {
		if name, ok := strings.CutPrefix(want, key); ok {
			want = "/dev/disk/" + dir + "/" + name
		}
	}
	if m.bind() {
		source, err1 := os.Stat(m.Source)
		is, err2 := os.Stat(m.Path)
		if err1 == nil && err2 == nil && !os.SameFile(source, is) {
			return "another folder", false
		}
	}
	if m.bind() || !strings.HasPrefix(want, "/dev/") || !strings.HasPrefix(now.source, "/dev/") {
		return now.source, !strings.HasPrefix(m.Type, "nfs") || now.source == m.Source
	}
	real, err := filepath.EvalSymlinks(want)
	if err != nil {
		return now.source, true // no such name here, as in containers
	}
	is, err := filepath.EvalSymlinks(now.source)
	return now.source, err != nil || is == real
}

// lacks lists the comparable options that the running mount lacks. One that became
// read-only is the sign of a disk that fails.
func (m *Mount) lacks(now mounted) []string {
	var all []string
	for _, o := range m.Options {
		if slices.Contains([]string{"ro", "nosuid", "nodev", "noexec", "noatime"}, o) && !slices.Contains(now.options, o) {
			all = append(all, o)
		}
	}
	readOnly := slices.Contains(now.options, "ro") || slices.Contains(now.super, "ro")
	if readOnly && !slices.Contains(m.Options, "ro") && !slices.Contains([]string{"squashfs", "iso9660", "erofs"}, now.fsType) {
		all = append(all, "rw")
	}
	return all
}

// Apply mounts first: a line of the table that does not work may keep a host from
// starting.
func (m *Mount) Apply(ctx context.Context, h *infra.Host, d infra.Diff) error {
	defer h.Forget(tableKey)
	defer h.Forget(mountsKey)
	if m.State == absent {
		if h.Facts.Offline {
			return m.writeTable(ctx, h, nil)
		}
		if err := m.unmount(ctx, h); err != nil {
			return err
		}
		return m.writeTable(ctx, h, nil)
	}
	if err := os.MkdirAll(m.Path, 0o755); err != nil {
		return fmt.Errorf("make the folder to mount on: %w", err)
	}
	if m.State == isMounted && !h.Facts.Offline {
		if err := m.mount(ctx, h, d); err != nil {
			return err
		}
	}
	want := m.line()
	return m.writeTable(ctx, h, &want)
}

func (m *Mount) mount(ctx context.Context, h *infra.Host, d infra.Diff) error {
	now, is, err := m.now(h)
	if err != nil {
		return err
	}
	options := strings.Join(m.Options, ",")
	if is && (d.Has("mounted source") || d.Has("mounted type")) {
		if err := m.unmount(ctx, h); err != nil {
			return err
		}
		is = false
	}
	switch {
	case is && (d.Has("mounted options") || d.Has("options")):
		// What is not said is as by default, not as it was: with a source, mount(8) looks
		// neither into the table nor at the options of now.
		source := now.source
		if m.bind() {
			source = m.Source
		}
		_, err := h.Run(ctx, "mount", "-o", "remount,rw,"+m.remountable(), source, m.Path)
		if err != nil {
			return fmt.Errorf("mount %s anew with options %s: %w", m.Path, options, err)
		}
	case !is:
		if _, err := h.Run(ctx, "mount", "-t", m.Type, "-o", options, m.Source, m.Path); err != nil {
			return fmt.Errorf("mount %s (nothing was written to %s): %w", m.Path, tableFile, err)
		}
		h.Forget(mountsKey)
		// A folder takes ro and the like only in a second step, on some kernels.
		if now, is, err := m.now(h); err == nil && is && len(m.lacks(now)) > 0 {
			if _, err := h.Run(ctx, "mount", "-o", "remount,"+m.remountable(), m.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Mount) remountable() string {
	options := strings.Join(m.Options, ",")
	if m.bind() && !slices.Contains(m.Options, "bind") {
		options += ",bind"
	}
	return options
}

// unmount takes away what is mounted there, also in layers.
func (m *Mount) unmount(ctx context.Context, h *infra.Host) error {
	for range 16 {
		h.Forget(mountsKey)
		if _, is, err := m.now(h); err != nil || !is {
			return err
		}
		if _, err := h.Run(ctx, "umount", m.Path); err != nil {
			return fmt.Errorf("unmount %s: %w (see who uses it with: fuser -vm %s)", m.Path, err, m.Path)
		}
	}
	return fmt.Errorf("unmount %s: something mounts it again", m.Path)
}

func (m *Mount) writeTable(ctx context.Context, h *infra.Host, want *tableLine) error {
	text, err := readText(tableFile)
	if err != nil {
		return err
	}
	changed := withMount(text, m.Path, want)
	if changed == text {
		return nil
	}
	if err := replace(tableFile, []byte(changed), 0o644); err != nil {
		return err
	}
	if h.Facts.Init == "systemd" && !h.Facts.Offline { // it made units of the old table
		_, err = h.Run(ctx, "systemctl", "daemon-reload")
	}
	return err
}
