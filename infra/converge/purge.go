package converge

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"steer/infra"
)

// within tells whether of two folders one is the other, or in it, also by way of links.
func within(a, b string) bool {
	real := func(p string) string {
		if to, err := filepath.EvalSymlinks(p); err == nil {
			p = to
		}
		return p + "/"
	}
	a, b = real(a), real(b)
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

// purged captures what a purge is about to remove, one by one, and its folder.
func (r *run) purged(ctx context.Context, p infra.Purger, u undo) []undo {
	gone, err := p.Gone(ctx, r.Host)
	if err != nil {
		u.Why = err.Error()
		return []undo{u}
	}
	var all []undo
	size := 0
	for _, path := range append(gone, p.Purges()) {
		one := u
		one.Sensitive = u.Sensitive || path != p.Purges() // what nobody declares may be secret
		var was infra.Resource
		if size > mostKept {
			err = fmt.Errorf("one generation keeps %d MiB, and these are full: %s is not kept", mostKept>>20, path)
		} else {
			was, err = r.file(ctx, path)
		}
		if err != nil {
			one.Why = err.Error()
		} else {
			one = r.put(one, was, true)
		}
		size += len(one.Body)
		all = append(all, one)
	}
	return all
}
