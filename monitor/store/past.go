package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"steer/monitor/store/internal/schema"
)

// remembered is the schemas of a stretch of time, as retentions.json keeps them: what a
// series had before its retention was changed is still read.
type remembered struct {
	Until   int64       `json:"until,omitempty"`   // seconds since 1970; 0: now
	Flush   uint64      `json:"flush,omitempty"`   // the last one until then
	Guessed bool        `json:"guessed,omitempty"` // see past
	Schemas []eraSchema `json:"schemas"`
	Sum     uint32      `json:"crc32c,omitempty"` // of this as JSON without it
}

func (e remembered) sum() uint32 {
	e.Sum = 0
	b, err := json.Marshal(e)
	if err != nil {
		return 0 // numbers and texts always can be written
	}
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
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
	eras, damaged, err := s.eras(path, flush)
	if err != nil {
		return err
	}
	current := remembered{}
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
	eras = slices.DeleteFunc(eras, func(e remembered) bool { return e.Until > 0 && now-e.Until > longest })
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
		planner.past = append(planner.past, past{e.Until, e.Flush, e.Guessed, schemas})
	}
	eras = append(eras, current)
	if !damaged && slices.EqualFunc(before, eras, func(a, b remembered) bool { return a.Until == b.Until && slices.Equal(a.Schemas, b.Schemas) }) {
		return nil
	}
	for i := range eras {
		eras[i].Sum = eras[i].sum()
	}
	data, err := json.MarshalIndent(eras, "", "  ")
	if err != nil {
		return err
	}
	f, err := s.disk.Create(path + ".tmp")
	if err != nil {
		return fmt.Errorf("write retentions: %w", err)
	}
	defer f.Close()
	if err := writeAll(f, data); err != nil {
		return fmt.Errorf("write retentions: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write retentions: %w", err)
	}
	if err := s.disk.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("write retentions: %w", err)
	}
	return s.disk.SyncDir(s.dir)
}

// eras reads the file. What is damaged in it is made up for by the archives that
// have blocks, as if every series had had all of them.
func (s *Store) eras(path string, flush uint64) (eras []remembered, damaged bool, err error) {
	data, err := readAll(s.disk, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", path, err)
	}
	if err = json.Unmarshal(data, &eras); err != nil {
		eras = nil
	}
	sound := slices.DeleteFunc(slices.Clone(eras), func(e remembered) bool { return e.Sum != 0 && e.Sum != e.sum() })
	if err == nil && len(sound) == len(eras) {
		return eras, false, nil
	}
	s.log.Error("earlier retentions are damaged: archives that have blocks stand in their place", "file", path, "err", err)
	keepDamaged(s.disk, path, data, s.log)
	made := map[schema.Archive]bool{}
	for _, b := range s.blocks.all() {
		if a := (schema.Archive{Step: b.Step, Keep: b.Keep}); !made[a] {
			made[a] = true
			sound = slices.Insert(sound, 0, remembered{Until: s.now().Unix(), Flush: flush, Guessed: true, Schemas: []eraSchema{{"", a.String()}}})
		}
	}
	return sound, true, nil
}
