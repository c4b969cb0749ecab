package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"slices"
	"strings"

	"steer/monitor/store/internal/schema"
)

// era is the schemas of a stretch of time, as retentions.json keeps them: what a
// series had before its retention was changed is still read.
type era struct {
	Until   int64       `json:"until,omitempty"` // seconds since 1970; 0: now
	Flush   uint64      `json:"flush,omitempty"` // the last one until then
	Schemas []eraSchema `json:"schemas"`
}

type eraSchema struct {
	Pattern    string `json:"pattern"`
	Retentions string `json:"retentions"`
}

const erasFile = "retentions.json"

// mostEras is how many changes back values of other steps are found.
const mostEras = 32

// remember compares the schemas of a planner with those of the last time and
// hands it what was before. Flush is the number of the last one.
func (s *Store) remember(planner *planner, flush uint64) error {
	path := filepath.Join(s.dir, erasFile)
	var eras []era
	data, err := readAll(s.disk, path)
	if err == nil {
		err = json.Unmarshal(data, &eras)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// Nothing that it says is needed to keep the store right.
		s.log.Error("read earlier retentions: values of archives that no schema has any more are not shown", "file", path, "err", err)
	}
	current := era{}
	longest := int64(0)
	for _, sc := range planner.schemas {
		var parts []string
		for _, a := range sc.Archives {
			parts = append(parts, a.String())
			longest = max(longest, a.Keep)
		}
		current.Schemas = append(current.Schemas, eraSchema{sc.Pattern.String(), strings.Join(parts, ",")})
	}
	now := s.now().Unix()
	before := slices.Clone(eras)
	if n := len(eras); n > 0 && slices.Equal(eras[n-1].Schemas, current.Schemas) {
		eras = eras[:n-1]
	} else if n > 0 {
		eras[n-1].Until, eras[n-1].Flush = now, flush
	}
	eras = slices.DeleteFunc(eras, func(e era) bool { return e.Until > 0 && now-e.Until > longest })
	eras = eras[max(0, len(eras)-mostEras):]
	for _, e := range slices.Backward(eras) {
		var schemas []schema.Schema
		for _, sc := range e.Schemas {
			pattern, err := schema.CompilePattern(sc.Pattern)
			archives, err2 := schema.ParseRetentions(sc.Retentions)
			if err := errors.Join(err, err2); err != nil {
				s.log.Error("read earlier retentions", "file", path, "err", err)
				continue
			}
			schemas = append(schemas, schema.Schema{Pattern: pattern, Archives: archives})
		}
		planner.past = append(planner.past, schemas)
		planner.borders = append(planner.borders, e.Flush)
	}
	eras = append(eras, current)
	if slices.EqualFunc(before, eras, func(a, b era) bool { return a.Until == b.Until && slices.Equal(a.Schemas, b.Schemas) }) {
		return nil
	}
	data, err = json.MarshalIndent(eras, "", "  ")
	if err != nil {
		return err
	}
	f, err := s.disk.Create(path + ".tmp")
	if err != nil {
		return fmt.Errorf("write retentions: %w", err)
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("write retentions: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write retentions: %w", err)
	}
	return s.disk.Rename(path+".tmp", path)
}
