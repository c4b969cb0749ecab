package app

import (
	"errors"
	"io/fs"

	"steer/base/fault"
	"steer/monitor/store"
)

// retention are the rules of the metric store that a definitions repository holds,
// as Steer or as Carbon calls the files. Each that is absent leaves it to
// server.yaml.
func retention(files fs.FS) (r store.Rules, err error) {
	for _, f := range []struct {
		names [2]string
		to    *store.File
	}{
		{[2]string{"storage.yaml", "storage-schemas.conf"}, &r.Schemas},
		{[2]string{"aggregation.yaml", "storage-aggregation.conf"}, &r.Aggregation},
	} {
		for _, name := range f.names {
			data, err := fs.ReadFile(files, name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return r, err
			}
			if f.to.Name != "" {
				return r, fault.New(fault.Invalid, "%s:1:1: there is %s too, and both say the same kind of thing (keep one)", name, f.to.Name)
			}
			*f.to = store.File{Name: name, Data: data}
		}
	}
	return r, r.Check()
}

// retain puts the rules of new definitions in force.
func (a *App) retain(files fs.FS) {
	rules, err := retention(files)
	if err == nil {
		err = a.monitor.store.Apply(rules)
	}
	if err != nil {
		a.log.Error("retentions of the definitions are not in force", "error", err)
	}
}
