package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
	"steer/deliver/deploy/kubernetes/internal/api"
)

// image is what machines pull the image of a node as.
func (d *Driver) image(ctx context.Context, s deploy.Spec) (string, error) {
	if d.o.Registry == "" {
		return "", fault.New(fault.Invalid, "nobody said where the cluster finds images: set deploy.kubernetes.registry in server.yaml to the HOST:PORT at which its machines reach this server")
	}
	name, err := d.o.Image(ctx, s)
	if err != nil {
		return "", fault.New(fault.Of(err), "image of %s %s: %w", s.Service, s.Version, err)
	}
	return d.o.Registry + "/" + name, nil
}

// make makes what a node consists of in the cluster. Each part may be there already.
func (d *Driver) make(ctx context.Context, s *space, spec deploy.Spec, ref string) error {
	p, hidden, err := d.prepare(ctx, s, spec, ref)
	if err != nil {
		return err
	}
	r := replicaSet{Version: "apps/v1", Kind: "ReplicaSet", Meta: meta{Name: d.name(spec.ID), Labels: d.labels(spec)}}
	r.Spec.Replicas = 1
	r.Spec.Selector.Labels = map[string]string{labelInstance: d.o.Instance, labelNode: r.Meta.Name}
	r.Spec.Template.Meta.Labels, r.Spec.Template.Spec = r.Meta.Labels, p
	var made replicaSet
	if err := s.Call(ctx, http.MethodPost, s.Path(api.ReplicaSets), nil, r, &made); api.Exists(err) {
		return nil // by a Steer that died right then; the watch shows it
	} else if err != nil {
		return err
	}
	return d.own(ctx, s, hidden, owner{r.Version, r.Kind, made.Meta.Name, made.Meta.UID})
}

// prepare makes what a pod needs before it is there.
func (d *Driver) prepare(ctx context.Context, s *space, spec deploy.Spec, ref string) (p podSpec, hidden map[string][]byte, err error) {
	if p, hidden, err = d.pod(spec, ref); err != nil {
		return p, nil, err
	}
	if d.o.Token != nil {
		token, err := d.o.Token(ctx)
		if err != nil {
			return p, nil, fault.New(fault.Of(err), "token to pull images with: %w", err)
		}
		login, err := json.Marshal(map[string]any{"auths": map[string]any{d.o.Registry: map[string]string{"username": "kubernetes", "password": token}}})
		if err != nil {
			return p, nil, err
		}
		// It belongs to no node, and stays.
		name := "steer-pull-" + label(d.o.Instance, 40)
		if err := s.hide(ctx, secretObject{Type: "kubernetes.io/dockerconfigjson", Meta: meta{Name: name, Labels: map[string]string{labelManaged: "steer", labelInstance: d.o.Instance}},
			Data: map[string][]byte{".dockerconfigjson": login}}); err != nil {
			return p, nil, err
		}
		p.PullSecrets = []named{{name}}
	}
	if len(hidden) > 0 {
		err = s.hide(ctx, secretObject{Type: "Opaque", Meta: meta{Name: d.name(spec.ID), Labels: d.labels(spec)}, Data: hidden})
	}
	return p, hidden, err
}

// hide makes a Secret, or replaces what is in it.
func (s *space) hide(ctx context.Context, o secretObject) error {
	o.Version, o.Kind = "v1", "Secret"
	err := s.Call(ctx, http.MethodPost, s.Path(api.Secrets), nil, o, nil)
	if api.Exists(err) {
		err = s.Call(ctx, http.MethodPatch, s.Path(api.Secrets, o.Meta.Name), nil, map[string]any{"data": o.Data}, nil)
	}
	return err
}

// own has the Secret of a node go with it, whoever removes that.
func (d *Driver) own(ctx context.Context, s *space, hidden map[string][]byte, o owner) error {
	if len(hidden) == 0 {
		return nil
	}
	return s.Call(ctx, http.MethodPatch, s.Path(api.Secrets, o.Name), nil, map[string]any{"metadata": map[string]any{"ownerReferences": []owner{o}}}, nil)
}

// end ends what runs under a name, with force after grace, and returns when it is
// gone. What it writes to its end goes to past, if that is not nil.
func (d *Driver) end(ctx context.Context, s *space, name string, grace time.Duration, past *deploy.Ending) error {
	changed, stop := s.changes(name)
	defer stop()
	read, kept := make(chan struct{}), false
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	asked, force := map[string]bool{}, time.NewTimer(grace+patience)
	defer force.Stop()
	_, all, err := s.see(name)
	if p := choose(all); err == nil && p != nil && past != nil && p.container().ID != "" {
		kept = true
		go func() {
			defer close(read)
			since := mark{}
			s.read(reading, p.Meta.Name, past, &since, keptLines, true) // what cannot be read is not kept
		}()
	}
	if err := s.Remove(ctx, api.ReplicaSets, name, -1); err != nil {
		return err
	}
	for forced := false; ; {
		_, all, err := s.see(name)
		if err != nil {
			return err
		}
		for _, p := range all {
			if !asked[p.Meta.UID] || forced {
				seconds := -1
				if forced {
					seconds = 0
				}
				if err := s.Remove(ctx, api.Pods, p.Meta.Name, seconds); err != nil {
					return err
				}
				asked[p.Meta.UID] = true
			}
		}
		if len(all) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.closing.Done():
			return errStopping
		case <-changed:
		case <-force.C:
			if forced {
				return fault.New(fault.Unavailable, "pod %s does not go", all[0].Meta.Name)
			}
			d.log.Warn("a pod is removed by force, since its machine does not end it", "pod", all[0].Meta.Name, "machine", all[0].Spec.NodeName)
			forced = true
			force.Reset(patience)
		}
	}
	if kept {
		select {
		case <-read:
		case <-time.After(shortRest):
			cancel()
			<-read
		}
	}
	return s.Remove(ctx, api.Secrets, name, -1)
}

// orphans removes what this Steer made and no node needs: what one made that died
// before it could use or remove it.
func (d *Driver) orphans(ctx context.Context, s *space) error {
	if _, _, err := s.see(""); err != nil {
		return nil // who looks after nodes tells of that
	}
	sets, alone := s.names()
	d.mu.Lock()
	used := map[string]bool{}
	for id := range d.nodes {
		used[d.name(id)] = true
	}
	for name := range d.busy {
		used[name] = true
	}
	d.mu.Unlock()
	var errs []error
	for kind, names := range map[string][]string{api.ReplicaSets: sets, api.Pods: alone} {
		for _, name := range names {
			if used[name] {
				continue
			}
			d.log.Info("removing what no node needs", "kind", kind, "name", name, "namespace", s.Namespace())
			errs = append(errs, s.Remove(ctx, kind, name, -1), s.Remove(ctx, api.Secrets, name, -1))
		}
	}
	return errors.Join(errs...)
}

// reserve keeps the objects of a task from being seen as orphans.
func (d *Driver) reserve(name string) (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy[name]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.busy[name]--; d.busy[name] == 0 {
			delete(d.busy, name)
		}
	}
}
