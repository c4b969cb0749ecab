package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"steer/base/fault"
	"steer/infra"
)

// Volume is a device or a file with a file system on it.
type Volume struct {
	Device string `yaml:"device,omitempty" doc:"Device like /dev/vdb, or a file, which is made."`
	Type   string `yaml:"type,omitempty" doc:"ext2, ext3, ext4, xfs, btrfs, vfat or swap." default:"ext4"`
	Size   string `yaml:"size,omitempty" doc:"Size of a file, like 512M, 10G or 1T. Counts when the file is made."`
	Label  string `yaml:"label,omitempty" doc:"Name of the file system, by which LABEL=… of a mount finds it."`
	Force  bool   `yaml:"force,omitempty" doc:"Format also what holds something else. All of it is lost, so take it out again afterwards."`
}

func volumeKind() infra.Kind {
	return infra.Kind{
		Name: "volume", Key: "device", // without a class: a path of others may be on it
		Doc: "A file system on a device or in a file. Only what is blank is formatted; what holds something else is an error. It is never removed. To use it, mount it.",
		Example: `volume: /dev/vdb
type: ext4
label: data
`,
		New: func() infra.Resource { return &Volume{} },
	}
}

// maker is how a file system is made.
type maker struct {
	program, pkg string
	args         []string // before label and device
	labelFlag    string
	labelLength  int
	force        string   // for what is known to be there
	keep         []string // leaves the blocks of a file to it, instead of giving them back
}

func makerOf(fsType string) (maker, bool) {
	switch fsType {
	case "ext2", "ext3", "ext4":
		return maker{"mkfs." + fsType, "e2fsprogs", []string{"-q", "-F"}, "-L", 16, "", []string{"-E", "nodiscard"}}, true
	case "xfs":
		return maker{"mkfs.xfs", "xfsprogs", []string{"-q"}, "-L", 12, "-f", []string{"-K"}}, true
	case "btrfs":
		return maker{"mkfs.btrfs", "btrfs-progs", []string{"-q"}, "-L", 255, "-f", []string{"-K"}}, true
	case "vfat":
		return maker{"mkfs.vfat", "dosfstools", []string{"-F", "32"}, "-n", 11, "", nil}, true
	case "swap":
		return maker{"mkswap", "util-linux", nil, "-L", 15, "-f", nil}, true
	}
	return maker{}, false
}

// ID is the device.
func (v *Volume) ID() string { return v.Device }

// Check refuses what cannot be made.
func (v *Volume) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fault.New(fault.Invalid, format, args...)) }
	if !path.IsAbs(v.Device) || path.Clean(v.Device) != v.Device || v.Device == "/" {
		wrong("device: %q is no absolute path", v.Device)
	}
	m, ok := makerOf(v.Type)
	if !ok {
		wrong("type: %q is not known (use ext2, ext3, ext4, xfs, btrfs, vfat or swap)", v.Type)
	} else if len(v.Label) > m.labelLength || strings.ContainsAny(v.Label, "\n\x00/") {
		wrong("label: %q is no label of %s (up to %d bytes, no slash)", v.Label, v.Type, m.labelLength)
	}
	if v.Size != "" {
		if n, err := parseSize(v.Size); err != nil || n < startLength {
			wrong("size: %q is no size from 1M (write one like 512M or 10G)", v.Size)
		}
	}
	return errors.Join(errs...)
}

// parseSize reads bytes with K, M, G or T for powers of 1024.
func parseSize(s string) (int64, error) {
	shift := 0
	if i := strings.IndexAny("KMGT", s[len(s)-1:]); i >= 0 {
		shift, s = 10*(i+1), s[:len(s)-1]
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && (n <= 0 || n > 1<<62>>shift) {
		err = strconv.ErrRange
	}
	return n << shift, err
}

// Gives names the device or file.
func (v *Volume) Gives() []string { return []string{"path:" + v.Device} }

// Claims is the device or file.
func (v *Volume) Claims() []infra.Claim { return []infra.Claim{{Name: "path:" + v.Device}} }

// Needs names its folder, and the package that can make it.
func (v *Volume) Needs() []string {
	m, _ := makerOf(v.Type)
	return []string{"path:" + v.Device, "package:" + m.pkg}
}

// LeftOut is all of it.
func (v *Volume) LeftOut() string { return "not made: there are no disks here" }

// Diff compares the start of the device.
func (v *Volume) Diff(_ context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	if h.Facts.Offline {
		return d, nil
	}
	f, err := os.Open(v.Device)
	if errors.Is(err, fs.ErrNotExist) {
		d.Action = infra.Create
		d.Set("type", "", v.Type)
		if v.Size != "" {
			d.Set("size", "", v.Size)
		}
		return d, nil
	}
	if err != nil {
		return d, err
	}
	defer f.Close()
	is, err := readDisk(f)
	if err != nil {
		return d, fmt.Errorf("read the start of %s: %w", v.Device, err)
	}
	if is.fsType != v.Type {
		d.Action = infra.Replace
		old := is.fsType
		switch {
		case is.blank:
			d.Action = infra.Create
		case old == "":
			old = "something else"
		}
		d.Set("type", old, v.Type)
		return d, nil
	}
	if v.Label != "" && is.label != v.Label {
		d.Set("label", is.label, v.Label)
	}
	return d, nil
}

// Apply makes the file system, or names it.
func (v *Volume) Apply(ctx context.Context, h *infra.Host, d infra.Diff) error {
	if d.Action == infra.Update {
		return v.rename(ctx, h)
	}
	m, _ := makerOf(v.Type)
	if !h.Has(m.program) {
		return fmt.Errorf("this host has no program %s (declare before it: - package: %s)", m.program, m.pkg)
	}
	info, err := os.Stat(v.Device)
	switch {
	case errors.Is(err, fs.ErrNotExist) && (v.Size == "" || strings.HasPrefix(v.Device, "/dev/")):
		return fmt.Errorf("there is no device %s (attach it, or give a size to make a file)", v.Device)
	case errors.Is(err, fs.ErrNotExist):
		return v.makeFile(ctx, h, m)
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder (give a device or a file)", v.Device)
	}
	if err := v.mayFormat(ctx, h, d.Action == infra.Replace); err != nil {
		return err
	}
	return v.format(ctx, h, m, v.Device)
}

// mayFormat looks again, and lets others look: the start alone may be blank.
func (v *Volume) mayFormat(ctx context.Context, h *infra.Host, holds bool) error {
	real, err := filepath.EvalSymlinks(v.Device)
	if err != nil {
		return err
	}
	use, err := usedBy(real)
	if err != nil || use != "" {
		return errors.Join(err, fault.New(fault.Conflict, "%s is in use by %s, and is not formatted even with force (end that first)", v.Device, use))
	}
	if v.Force {
		return nil
	}
	what := "something"
	if !holds {
		out, err := h.Exec(ctx, infra.Command{Args: []string{"blkid", "-p", "-o", "export", v.Device}})
		if err != nil {
			return err
		}
		if out.Code == 2 { // nothing was found
			return nil
		}
		what = words(string(out.Stdout))
	}
	return fault.New(fault.Conflict, "%s holds %s already, and is not formatted (give another device, or say force: true if all on it may be lost)", v.Device, what)
}

// usedBy says what uses a device or file: a mount, swap, a loop device.
func usedBy(device string) (string, error) {
	mounts, err1 := os.ReadFile("/proc/self/mountinfo")
	swaps, err2 := readText("/proc/swaps")
	if err := errors.Join(err1, err2); err != nil {
		return "", err
	}
	for _, m := range readMounts(string(mounts)) {
		if source, err := filepath.EvalSymlinks(m.source); err == nil && source == device { // or a name in /dev/mapper
			return "the mount " + m.path, nil
		}
	}
	for line := range strings.Lines(swaps) {
		if f := strings.Fields(line); len(f) > 0 && unescape(f[0]) == device {
			return "swap", nil
		}
	}
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, name := range loops {
		if file, err := readText(name); err == nil && strings.TrimSuffix(file, "\n") == device {
			return "/dev/" + filepath.Base(filepath.Dir(filepath.Dir(name))), nil
		}
	}
	return "", nil
}

// makeFile makes the whole beside: what has the name is complete.
func (v *Volume) makeFile(ctx context.Context, h *infra.Host, m maker) error {
	size, err := parseSize(v.Size)
	if err != nil {
		return err
	}
	beside := v.Device + ".steer-new"
	if err := remove(beside); err != nil {
		return err
	}
	f, err := os.OpenFile(beside, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make %s: %w", v.Device, err)
	}
	// A file with holes would fail later, in the middle of somebody's writing.
	err = syscall.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		err = f.Truncate(size)
	}
	if err == nil {
		m.args = append(m.args, m.keep...)
		err = v.format(ctx, h, m, beside)
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(beside, v.Device)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("make %s of %s: %w", v.Device, v.Size, err), remove(beside))
	}
	return syncFolder(filepath.Dir(v.Device))
}

func (v *Volume) format(ctx context.Context, h *infra.Host, m maker, device string) error {
	args := append([]string{m.program}, m.args...)
	if v.Force && m.force != "" {
		args = append(args, m.force)
	}
	if v.Label != "" {
		args = append(args, m.labelFlag, v.Label)
	}
	_, err := h.Run(ctx, append(args, device)...)
	return err
}

// rename gives another label, for which each file system has its own tool.
func (v *Volume) rename(ctx context.Context, h *infra.Host) error {
	var args []string
	switch v.Type {
	case "ext2", "ext3", "ext4":
		args = []string{"e2label", v.Device, v.Label}
	case "xfs":
		args = []string{"xfs_admin", "-L", v.Label, v.Device}
	case "btrfs":
		args = []string{"btrfs", "filesystem", "label", v.Device, v.Label}
	case "vfat":
		args = []string{"fatlabel", v.Device, v.Label}
	case "swap":
		args = []string{"swaplabel", "-L", v.Label, v.Device}
	}
	_, err := h.Run(ctx, args...)
	return err
}
