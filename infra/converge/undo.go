package converge

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"

	"steer/base/config"
	"steer/infra"
)

// undo is one line of what a generation changed: what there was before.
type undo struct {
	Ref  string `json:"ref"` // of the resource that is about to change
	Role string `json:"role,omitempty"`
	// Kind and Body, in YAML, are the declaration that puts it back; or, with Told, the
	// resource that is told of changes, and will be told of their end.
	Kind string `json:"kind,omitempty"`
	Body string `json:"body,omitempty"`
	Told bool   `json:"told,omitempty"`
	// Why there is no such declaration.
	Why       string   `json:"why,omitempty"`
	Notify    []string `json:"notify,omitempty"`
	Owned     *Owned   `json:"owned,omitempty"` // as which it was remembered before
	Sensitive bool     `json:"sensitive,omitempty"`

	generation int
	id         string
}

// largestBody bounds one body: a content in base64, and its keys.
const largestBody = 2 * infra.LargestCapture

// record writes down how to undo what is about to be done to a resource.
func (r *run) record(ctx context.Context, i int, diff infra.Diff, notified bool) error {
	d := r.all[i]
	u := undo{Ref: d.Ref(), Role: d.Role, Notify: d.Notify, Sensitive: d.Sensitive}
	if r.back != nil {
		u.Ref = r.back[i].Ref
	}
	r.mu.Lock()
	if o := r.state.owned(u.Ref); o != nil {
		kept := *o
		u.Owned, u.Sensitive = &kept, u.Sensitive || o.Sensitive
	}
	r.mu.Unlock()
	var all []undo
	if !diff.Empty() || r.back != nil && !r.back[i].Told {
		all = r.capture(ctx, d, diff, u)
	}
	if notified {
		u.Told = true
		all = append(all, r.put(u, d.Resource, false))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.remember(func() error { return r.records.write(all) })
}

// capture asks how the host is now.
func (r *run) capture(ctx context.Context, d infra.Declared, diff infra.Diff, u undo) []undo {
	fail := func(err error) []undo {
		if u.Why = err.Error(); u.Sensitive {
			u.Why = "what was there could not be kept; why is not shown, since it uses a secret"
		}
		return []undo{u}
	}
	check := diff.Action != infra.Create
	if rewriter, ok := d.Resource.(infra.Rewriter); ok {
		files, secret, err := rewriter.Rewrites(r.Host)
		if err != nil {
			return fail(err)
		}
		u.Sensitive = u.Sensitive || secret
		var all []undo
		for _, path := range files {
			was, err := r.file(ctx, path)
			if err != nil {
				return fail(err)
			}
			all = append(all, r.put(u, was, check))
		}
		return all
	}
	if c, ok := d.Resource.(infra.Captured); ok {
		was, err := c.Capture(ctx, r.Host)
		if p, ok := d.Resource.(infra.Purger); ok && errors.Is(err, infra.ErrPurged) {
			return r.purged(ctx, p, u)
		}
		if err != nil {
			return fail(err)
		}
		return []undo{r.put(u, was, check)}
	}
	if gone, ok := d.Resource.(infra.Removable); ok && diff.Action == infra.Create {
		return []undo{r.put(u, gone.Absent(), false)}
	}
	return fail(fmt.Errorf("what a %s did is not known", d.Kind))
}

// file captures a file whole.
func (r *run) file(ctx context.Context, path string) (infra.Resource, error) {
	kind, ok := r.Kinds.Find("file")
	if !ok {
		return nil, fmt.Errorf("keep %s: there is no kind file", path)
	}
	body, err := yaml.Marshal(map[string]string{"path": path, "state": "absent"}) // so that its content counts
	if err != nil {
		return nil, err
	}
	one := kind.New()
	if err := config.Decode(path, body, one); err != nil {
		return nil, err
	}
	c, ok := one.(infra.Captured)
	if !ok {
		return nil, fmt.Errorf("keep %s: the kind file cannot", path)
	}
	return c.Capture(ctx, r.Host)
}

// put writes a resource into a record. check makes sure that it can be read again:
// hosts may hold what no role could declare.
func (r *run) put(u undo, was infra.Resource, check bool) undo {
	kind, ok := r.Kinds.Of(was)
	if !ok {
		u.Why = fmt.Sprintf("this program has no kind for a %T", was)
		return u
	}
	body, err := yaml.Marshal(was)
	if err == nil && len(body) > largestBody {
		err = fmt.Errorf("it has more than %d MiB", largestBody>>20)
	}
	if err == nil && check {
		err = config.DecodeUpTo("what was there", body, largestBody, kind.New())
	}
	if u.Kind, u.Body = kind.Name, string(body); err != nil {
		u.Kind, u.Body, u.Why = "", "", "no role could declare what was there"
		if !u.Sensitive {
			u.Why += ": " + err.Error()
		}
	}
	return u
}

// resource is the declaration in the record.
func (u *undo) resource(kinds infra.Kinds) (infra.Resource, error) {
	kind, ok := kinds.Find(u.Kind)
	if !ok {
		return nil, fmt.Errorf("this program has no kind %q", u.Kind)
	}
	one := kind.New()
	if err := config.DecodeUpTo("what was there", []byte(u.Body), largestBody, one); err != nil {
		return nil, err
	}
	u.id = one.ID()
	return one, nil
}

// compose makes of the records of several generations, oldest first, what has to be
// done to be before all of them: of each thing only the oldest state counts. The order is
// from the newest change to the oldest, then whom to tell.
func compose(all []undo, kinds infra.Kinds) (back []undo, resources []infra.Resource) {
	type place struct{ kind, id string }
	at := map[place]int{}
	var tell []undo
	var handlers []infra.Resource
	told := map[string]int{}
	for _, u := range all {
		var one infra.Resource
		if u.Why == "" {
			var err error
			if one, err = u.resource(kinds); err != nil {
				if u.Why = err.Error(); u.Sensitive {
					u.Why = "what was kept cannot be read, and is secret"
				}
			}
		}
		switch p := (place{u.Kind, u.id}); {
		case u.Told && u.Why != "":
		case u.Told:
			if i, twice := told[u.Ref]; twice {
				tell[i], handlers[i] = u, one // as it was declared last
				continue
			}
			told[u.Ref] = len(tell)
			tell, handlers = append(tell, u), append(handlers, one)
		case u.Why != "":
			back, resources = append(back, u), append(resources, nil)
		default:
			if i, older := at[p]; older {
				back[i].Notify = append(back[i].Notify, u.Notify...)
				back[i].Sensitive = back[i].Sensitive || u.Sensitive
				continue
			}
			at[p] = len(back)
			back, resources = append(back, u), append(resources, one)
		}
	}
	slices.Reverse(back)
	slices.Reverse(resources)
	for i := range back {
		var known []string
		for _, ref := range back[i].Notify {
			if _, ok := told[ref]; ok && !slices.Contains(known, ref) {
				known = append(known, ref)
			}
		}
		back[i].Notify = known
	}
	for i := range tell {
		tell[i].Notify = nil
	}
	return append(back, tell...), append(resources, handlers...)
}
