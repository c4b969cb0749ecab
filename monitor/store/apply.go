package store

import (
	"fmt"
	"slices"

	"steer/base/fault"
)

// Apply puts other rules in force while the store runs; a file whose name is empty
// leaves it to Config. Points that are there already are read as before, in the
// archives that they were written to. Writers and readers wait for a moment: as
// long as it takes to flush what came during a first flush. On an error the rules
// stay as they were; when it was the disk's fault, Run tries again.
func (s *Store) Apply(r Rules) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	whole, err := s.config.rules(r)
	if err != nil {
		return err
	}
	if err = s.apply(whole); fault.Of(err) == fault.Invalid {
		return err
	}
	if s.rules = r; err == nil {
		s.tried = whole
	}
	return err
}

// reload applies the files of the configuration when their texts are others.
func (s *Store) reload() {
	s.applying.Lock()
	defer s.applying.Unlock()
	whole, err := s.config.rules(s.rules)
	if err == nil {
		if whole.equal(s.tried) {
			return
		}
		if err = s.apply(whole); err == nil || fault.Of(err) == fault.Invalid {
			s.tried = whole // else it is the disk's fault, and that may pass
		}
	}
	if err != nil {
		s.log.Error("retentions stay as they were", "err", err)
	}
}

func (s *Store) apply(r Rules) error {
	next, err := newPlanner(r)
	if err != nil {
		return err
	}
	if err := s.enterGate(); err != nil {
		return err
	}
	same := s.planner.equal(next)
	if !same {
		s.maintain.Lock()
		err = s.move()
		s.maintain.Unlock()
	}
	s.gate.RUnlock()
	if same || err != nil {
		return err
	}

	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		return fault.New(fault.Unavailable, "metric store is closed")
	}
	// Memory and log say which archive a point goes to: they must be empty.
	s.maintain.Lock()
	defer s.maintain.Unlock()
	if err := s.move(); err != nil {
		return fmt.Errorf("change retentions: %w", err)
	}
	if err := s.remember(next, s.maintain.gen); err != nil {
		return fmt.Errorf("change retentions: %w", err)
	}
	s.planner = next
	for _, ser := range s.all() {
		ser.plan = next.plan(ser.name)
	}
	s.log.Info("retentions changed", "schemas", r.Schemas.Name, "aggregation", r.Aggregation.Name, "series", s.count.Load())
	return nil
}

// equal says whether both plan every series alike.
func (p *planner) equal(q *planner) bool {
	if len(p.schemas) != len(q.schemas) || len(p.rolls) != len(q.rolls) {
		return false
	}
	for i, a := range p.schemas {
		if b := q.schemas[i]; a.Pattern.String() != b.Pattern.String() || !slices.Equal(a.Archives, b.Archives) {
			return false
		}
	}
	for i, a := range p.rolls {
		if b := q.rolls[i]; a.Pattern.String() != b.Pattern.String() || a.Method != b.Method || a.XFilesFactor != b.XFilesFactor {
			return false
		}
	}
	return true
}
