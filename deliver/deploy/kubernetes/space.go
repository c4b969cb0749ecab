package kubernetes

import (
	"context"
	"errors"
	"slices"
	"sync"

	"steer/base/fault"
	"steer/deliver/deploy/kubernetes/internal/api"
)

// space is a namespace of a cluster, as a watch tells it.
type space struct {
	*api.Client
	selector string // of this Steer's objects

	mu      sync.Mutex
	away    map[string]error // by kind: why it cannot be told what is there
	pods    map[string]*podObject
	sets    map[string]*replicaSet
	waiting map[chan struct{}]string // who wants to know of changes, by name of a node's objects
}

var errNotSeen = errors.New("it was not looked at since Steer started")

func newSpace(c *api.Client, selector string) *space {
	return &space{Client: c, selector: selector, away: map[string]error{api.Pods: errNotSeen, api.ReplicaSets: errNotSeen}, pods: map[string]*podObject{}, sets: map[string]*replicaSet{}, waiting: map[chan struct{}]string{}}
}

// run keeps up with the namespace until ctx ends. told gets why the API cannot be
// asked, nil when it can again.
func (s *space) run(ctx context.Context, told func(error)) {
	lost := func(kind string) func(error) {
		return func(err error) {
			s.mu.Lock()
			s.away[kind] = err
			s.mu.Unlock()
			s.wake("")
			told(err)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		api.Follow(ctx, s.Client, api.Pods, s.selector, func(all []podObject) {
			s.mu.Lock()
			clear(s.pods)
			for i := range all {
				s.pods[all[i].Meta.Name] = &all[i]
			}
			s.mu.Unlock()
			lost(api.Pods)(nil)
		}, func(typ string, p podObject) {
			change(s, s.pods, typ, p.Meta, &p)
		}, lost(api.Pods))
	})
	wg.Go(func() {
		api.Follow(ctx, s.Client, api.ReplicaSets, s.selector, func(all []replicaSet) {
			s.mu.Lock()
			clear(s.sets)
			for i := range all {
				s.sets[all[i].Meta.Name] = &all[i]
			}
			s.mu.Unlock()
			lost(api.ReplicaSets)(nil)
		}, func(typ string, r replicaSet) {
			change(s, s.sets, typ, r.Meta, &r)
		}, lost(api.ReplicaSets))
	})
	wg.Wait()
}

func change[T any](s *space, all map[string]*T, typ string, m meta, o *T) {
	s.mu.Lock()
	if typ == "DELETED" {
		delete(all, m.Name)
	} else {
		all[m.Name] = o
	}
	s.mu.Unlock()
	s.wake(m.Labels[labelNode])
}

// wake tells those who wait for changes of a node's objects, or of all.
func (s *space) wake(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, of := range s.waiting {
		if name == "" || of == name {
			select {
			case c <- struct{}{}:
			default: // it has not yet looked at the change before
			}
		}
	}
}

// changes tells when something may be different with a node's objects.
func (s *space) changes(name string) (c chan struct{}, end func()) {
	c = make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[c] = name
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting, c)
	}
}

// see returns what there is of a node. The error is why nobody can know.
func (s *space) see(name string) (set *replicaSet, all []*podObject, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range []string{api.Pods, api.ReplicaSets} {
		if err := s.away[kind]; err != nil {
			return nil, nil, fault.New(fault.Unavailable, "%w", err)
		}
	}
	for _, p := range s.pods {
		if p.Meta.Labels[labelNode] == name {
			all = append(all, p)
		}
	}
	return s.sets[name], all, nil
}

// names are those of all nodes and tasks that there are objects of.
func (s *space) names() (sets, alone []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.sets {
		sets = append(sets, name)
	}
	for _, p := range s.pods {
		if len(p.Meta.Owners) == 0 && p.Meta.Deleted == nil {
			alone = append(alone, p.Meta.Name)
		}
	}
	slices.Sort(sets)
	slices.Sort(alone)
	return sets, alone
}
