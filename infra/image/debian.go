package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"steer/infra"
)

// debian makes a base of a suite.
func (b *baker) debian(ctx context.Context, name string) (*entry, bool, error) {
	suite, err := infra.Suite{Name: name, Mirror: b.Mirror, Packages: b.Packages}.Resolve()
	if err != nil {
		return nil, false, err
	}
	k := key(append([]string{formatVersion, "debian", b.epochKey()}, suite.Key()...)...)
	if e, ok := b.cached(k); ok {
		return e, true, nil
	}
	t, err := b.newTree()
	if err != nil {
		return nil, false, err
	}
	if err := suite.Make(ctx, t.Dir, filepath.Join(b.cache.dir, "debs")); err != nil {
		return nil, false, err
	}
	for _, f := range []string{"etc/resolv.conf", "etc/hostname"} { // those of this machine
		if err := os.Remove(filepath.Join(t.Dir, f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, false, fmt.Errorf("make the base of %s: %w", name, err)
		}
	}
	e := &entry{Base: &base{Name: "debian:" + name, Time: releaseTime(t.Dir)}}
	if err := b.finishBase(ctx, k, t, e, source{}); err != nil {
		return nil, false, fmt.Errorf("make the base of %s: %w", name, err)
	}
	return e, false, nil
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
