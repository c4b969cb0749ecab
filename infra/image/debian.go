package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"steer/base/fault"
)

// debian makes a base of a suite, with debootstrap or mmdebstrap.
func (b *baker) debian(ctx context.Context, suite string) (*entry, bool, error) {
	mirror, security := b.Mirror, ""
	if mirror == "" {
		mirror, security = mirrorsHere(os.DirFS("/"))
	}
	packages := slices.Sorted(slices.Values(b.Packages))
	k := key(append([]string{formatVersion, "debian", suite, mirror, security, runtime.GOARCH, b.epochKey()}, packages...)...)
	if e, ok := b.cached(k); ok {
		return e, true, nil
	}
	t, done, err := b.newTree()
	if err != nil {
		return nil, false, err
	}
	defer done() //nolint:errcheck // swept by the next run
	if err := b.bootstrap(ctx, t.dir, suite, mirror, packages); err != nil {
		return nil, false, err
	}
	sources := sourcesOf(suite, mirror, security)
	err = os.WriteFile(filepath.Join(t.dir, "etc/apt/sources.list"), []byte(sources), 0o644)
	for _, name := range []string{"etc/resolv.conf", "etc/hostname"} { // those of this machine
		if e := os.Remove(filepath.Join(t.dir, name)); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("make the base of %s: %w", suite, err)
	}
	e := &entry{Base: &base{Name: "debian:" + suite, Time: releaseTime(t.dir)}}
	if err := b.finishBase(ctx, k, t, e, source{}); err != nil {
		return nil, false, fmt.Errorf("make the base of %s: %w", suite, err)
	}
	return e, false, nil
}

// bootstrap runs the program, in mounts and processes of its own: however it ends,
// nothing stays mounted.
func (b *baker) bootstrap(ctx context.Context, dir, suite, mirror string, packages []string) error {
	debs := filepath.Join(b.cache.dir, "debs")
	words := []string{"debootstrap", "--variant=minbase", "--cache-dir=" + debs}
	if _, err := exec.LookPath("mmdebstrap"); err == nil {
		words = []string{"mmdebstrap", "--variant=minbase", "--mode=root", "--format=directory"}
	} else if _, err := exec.LookPath("debootstrap"); err != nil {
		return fault.New(fault.NotFound, "make the base of %s: neither debootstrap nor mmdebstrap is installed (install one, or give --from an image or a root file system)", suite)
	}
	if len(packages) > 0 {
		words = append(words, "--include="+strings.Join(packages, ","))
	}
	words = append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}, append(words, suite, dir, mirror)...)
	runtime.LockOSThread() // the program ends with the thread that started it
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.SysProcAttr = boundToThread()
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if log, e := os.ReadFile(filepath.Join(dir, "debootstrap/debootstrap.log")); e == nil {
		out = append(out, log...)
	}
	out = bytes.TrimSpace(out)
	return fault.New(fault.Unavailable, "make the base of %s from %s: %w: %s", suite, mirror, err, strings.ToValidUTF8(string(out[max(0, len(out)-2000):]), "?"))
}

// releaseTime is the date of the suite as its mirror told it.
func releaseTime(dir string) int64 {
	files, _ := filepath.Glob(filepath.Join(dir, "var/lib/apt/lists/*Release"))
	newest := int64(0)
	for _, f := range files {
		b, _ := os.ReadFile(f)
		for line := range strings.Lines(string(b)) {
			if text, ok := strings.CutPrefix(line, "Date: "); ok {
				if at, err := time.Parse(time.RFC1123, strings.TrimSpace(text)); err == nil {
					newest = max(newest, at.Unix())
				}
				break
			}
		}
	}
	return newest
}

// mirrorsHere are the mirrors of Debian and of its security updates that apt on this
// machine uses.
func mirrorsHere(root fs.FS) (main, security string) {
	main = "http://deb.debian.org/debian"
	var text strings.Builder
	files, _ := fs.Glob(root, "etc/apt/sources.list.d/*")
	for _, name := range append([]string{"etc/apt/sources.list"}, files...) {
		b, _ := fs.ReadFile(root, name)
		text.Write(append(b, '\n'))
	}
	found := false
	for _, line := range strings.Split(text.String(), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, m := range regexp.MustCompile(`https?://[^\s\]]+`).FindAllString(line, -1) {
			switch m = strings.TrimRight(m, "/"); {
			case strings.HasSuffix(m, "/debian") && !found:
				main, found = m, true
			case strings.HasSuffix(m, "/debian-security") && security == "":
				security = m
			}
		}
	}
	return main, security
}

// sourcesOf is the list for apt in the image.
func sourcesOf(suite, mirror, security string) string {
	text := fmt.Sprintf("deb %s %s main\n", mirror, suite)
	if suite == "sid" || suite == "unstable" {
		return text
	}
	text += fmt.Sprintf("deb %s %s-updates main\n", mirror, suite)
	if security != "" {
		text += fmt.Sprintf("deb %s %s-security main\n", security, suite)
	}
	return text
}
