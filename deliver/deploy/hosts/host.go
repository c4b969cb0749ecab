package hosts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/deploy"
)

const (
	lookAgain   = time.Second      // after a host did not answer; then longer
	lookSeldom  = 5 * time.Second  // at most
	tellAgain   = 30 * time.Second // in which a changed secret reaches hosts
	wantedFor   = time.Minute      // that a host without nodes is attended
	acquainting = 40 * time.Second // that somebody waits for first looks
	introducing = 10 * time.Minute // that it may take, when this program has to be brought first
)

// host is one host that is attended.
type host struct {
	d      *Driver
	name   string
	client *client
	tried  chan struct{} // closed after the first look

	settling sync.Mutex // held by who makes the host what it should be
	telling  sync.Mutex // held by who tells secrets, so that the newest ones come last

	// Guarded by d.mu.
	state   *state // as seen last; nil: never
	address string // at which it is reached; "": as it says itself
	away    error  // why it is not there
	since   time.Time
	wanted  time.Time // when somebody asked for it last
	told    string    // keeper and secrets
	asked   time.Time // when secrets were looked up
}

// attend returns a host, and begins to look at it. The caller holds mu.
func (d *Driver) attend(name string) *host {
	h := d.hosts[name]
	if h == nil {
		h = &host{d: d, name: name, tried: make(chan struct{})}
		h.client = newClient(name, func(ctx context.Context) (io.ReadWriteCloser, error) {
			conn, address, err := d.o.Dial(ctx, name, d.settings())
			if err == nil {
				d.mu.Lock()
				defer d.mu.Unlock()
				h.address = address
			}
			return conn, err
		})
		d.hosts[name] = h
		d.wg.Go(h.attend)
	}
	h.wanted = time.Now()
	return h
}

// attend looks at the host until nobody needs it.
func (h *host) attend() {
	d := h.d
	defer h.client.hangUp()
	pause := lookAgain
	var first sync.Once
	for d.ctx.Err() == nil {
		err := h.look()
		first.Do(func() { close(h.tried) })
		if err == nil {
			pause = lookAgain
			if err = h.settle(); err == nil {
				if h.leave() {
					return
				}
				continue
			}
			if d.ctx.Err() == nil {
				d.log.Error("cannot make a host what it should be; trying again", "host", h.name, "error", err)
			}
		}
		select {
		case <-d.ctx.Done():
		case <-time.After(pause):
			pause = min(2*pause, lookSeldom)
		}
	}
}

// leave says whether nobody needs the host, and forgets it then.
func (h *host) leave() bool {
	d := h.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(h.wanted) < wantedFor {
		return false
	}
	for _, r := range d.nodes {
		if slices.Contains(r.where(), h.name) {
			return false
		}
	}
	delete(d.hosts, h.name)
	return true
}

// met waits for the first look at the host, at most until late ends. The error says
// why it is not there.
func (h *host) met(ctx context.Context, late <-chan struct{}) error {
	select {
	case <-h.tried:
	case <-ctx.Done():
		return ctx.Err()
	case <-late:
		return fault.New(fault.Unavailable, "host %s did not answer within %s (the first time it gets this program)", h.name, acquainting)
	}
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.away != nil {
		return fault.New(fault.Unavailable, "%w", h.away)
	}
	return nil
}

// look takes in how the host is. It returns when that changed, or after a while.
func (h *host) look() error {
	d := h.d
	d.mu.Lock()
	seen := ""
	if h.state != nil && h.away == nil {
		seen = h.state.Hash
	}
	d.mu.Unlock()
	var s state
	err := h.client.call(d.ctx, introducing, "GET", "/nodes", url.Values{"seen": {seen}}, nil, &s)
	if d.ctx.Err() != nil {
		return d.ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	address := cmp.Or(h.address, s.Address)
	if err == nil && address == "" {
		err = fault.New(fault.Invalid, "host %s has no network that the load balancer could reach it by", h.name)
	}
	switch {
	case err != nil && h.away == nil:
		h.since = time.Now()
		d.log.Warn("a host is away", "host", h.name, "error", err)
	case err == nil && h.away != nil:
		d.log.Info("a host is back", "host", h.name, "after", time.Since(h.since).Round(time.Second))
	}
	if h.away = err; err != nil {
		return err
	}
	h.state = &s
	for _, r := range d.nodes {
		if r.Host != h.name || !r.Stopped.IsZero() {
			continue
		}
		was := *r
		if r.see(find(s.Nodes, r.ID), address) {
			if err := deploy.Save(d.o.Dir, *r); err != nil {
				*r = was
				return fmt.Errorf("record node %s: %w", r.ID, err)
			}
		}
	}
	if d.o.Stats != nil {
		for _, p := range s.Stats {
			d.o.Stats(p)
		}
	}
	return nil
}

func find(all []deploy.Instance, id string) *deploy.Instance {
	for i := range all {
		if all[i].ID == id {
			return &all[i]
		}
	}
	return nil
}

// settle makes the host what it should be, as it was seen last: each request may be
// sent again.
func (h *host) settle() error {
	d := h.d
	h.settling.Lock()
	defer h.settling.Unlock()
	d.mu.Lock()
	if h.state == nil {
		d.mu.Unlock()
		return nil
	}
	here, there := map[string]bool{}, map[string]bool{}
	for _, i := range h.state.Nodes {
		there[i.ID] = true
	}
	var missing []*record
	for _, r := range d.nodes {
		if r.Host != h.name || !r.Stopped.IsZero() {
			continue
		}
		here[r.ID] = true
		if !there[r.ID] && !r.starting && !r.stopping {
			missing = append(missing, r)
		}
	}
	d.mu.Unlock()
	var errs []error
	if len(here) > 0 {
		if err := h.tell(d.ctx, false); err != nil {
			return err
		}
	}
	for _, r := range missing {
		err := h.place(d.ctx, r)
		if err == nil {
			continue
		}
		errs = append(errs, err)
		if fault.Of(err) != fault.Unavailable {
			d.mu.Lock()
			r.LastExit = "not started: " + err.Error()
			d.mu.Unlock()
		}
	}
	for node := range there {
		if here[node] || h.has(node) {
			continue
		}
		d.log.Info("stopping a node that is left on a host", "host", h.name, "node", node)
		errs = append(errs, h.client.call(d.ctx, 5*time.Minute, "DELETE", "/nodes/"+url.PathEscape(node), nil, nil, nil))
	}
	return errors.Join(append(errs, h.clear(there))...)
}

// has says whether a node belongs here.
func (h *host) has(node string) bool {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	r := h.d.nodes[node]
	return r != nil && r.Host == h.name && r.Stopped.IsZero() && !r.stopping
}

// clear notes that nodes are gone from the host that were left there.
func (h *host) clear(there map[string]bool) error {
	d := h.d
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, r := range d.nodes {
		if !slices.Contains(r.Left, h.name) || there[r.ID] {
			continue
		}
		r.Left = slices.DeleteFunc(slices.Clone(r.Left), func(n string) bool { return n == h.name })
		errs = append(errs, deploy.Save(d.o.Dir, *r))
	}
	return errors.Join(errs...)
}

// begin starts a new node.
func (h *host) begin(ctx context.Context, r *record) error {
	if err := h.tell(ctx, true); err != nil {
		return err
	}
	return h.place(ctx, r)
}

// place starts a node on the host, which gets the artifact before if it lacks it.
func (h *host) place(ctx context.Context, r *record) error {
	put := func() error {
		if !h.has(r.ID) {
			return nil // it was stopped just now
		}
		return h.client.call(ctx, 5*time.Minute, "PUT", node(r.ID), nil, r.Spec, nil)
	}
	err := put()
	if errors.Is(err, errMissing) {
		if err = h.bring(ctx, r.Digest); err == nil {
			err = put()
		}
	}
	return err
}

// bring sends an artifact.
func (h *host) bring(ctx context.Context, digest string) error {
	from, err := h.d.o.Archive(ctx, digest)
	if err != nil {
		return err
	}
	defer from.Close()
	sum := sha256.New()
	trailer := http.Header{headerSum: nil}
	body := &sending{from: io.TeeReader(from, sum), end: func() { trailer.Set(headerSum, hex.EncodeToString(sum.Sum(nil))) }}
	answer, err := h.client.open(ctx, "PUT", "/versions/"+url.PathEscape(digest), nil, body, trailer)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// sending calls end before the reader learns of the end.
type sending struct {
	from io.Reader
	end  func()
}

func (s *sending) Read(b []byte) (int, error) {
	n, err := s.from.Read(b)
	if errors.Is(err, io.EOF) {
		s.end()
	}
	return n, err
}

// tell tells the keeper the secrets of its nodes, if that is news to it. now looks
// them up also when that was done a moment ago.
func (h *host) tell(ctx context.Context, now bool) error {
	h.telling.Lock()
	defer h.telling.Unlock()
	d := h.d
	d.mu.Lock()
	keeper, same := "", false
	if h.state != nil {
		keeper = h.state.Keeper
		same = len(h.told) > len(keeper) && h.told[:len(keeper)] == keeper
	}
	if same && !now && time.Since(h.asked) < tellAgain {
		d.mu.Unlock()
		return nil
	}
	var specs []deploy.Spec
	for _, r := range d.nodes {
		if r.Host == h.name && r.Stopped.IsZero() {
			specs = append(specs, r.Spec)
		}
	}
	for _, r := range d.tasks {
		if r.Host == h.name {
			specs = append(specs, r.Spec)
		}
	}
	before := h.told
	d.mu.Unlock()
	all := map[string]told{}
	for _, s := range specs {
		for _, name := range s.Secrets() {
			all[string(s.Environment)+"/"+name] = d.lookUp(s.Environment, name)
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	news := keeper + hex.EncodeToString(sum[:])
	if news != before {
		if err := h.client.call(ctx, patience, "PUT", "/secrets", nil, all, nil); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h.told, h.asked = news, time.Now()
	return nil
}

func (d *Driver) lookUp(e id.Environment, name string) told {
	if d.o.Secret == nil {
		return told{Error: "there are no secrets here", Kind: fault.Invalid}
	}
	v, err := d.o.Secret(e, name)
	if err != nil {
		return told{Error: err.Error(), Kind: fault.Of(err)}
	}
	return told{Value: v}
}
