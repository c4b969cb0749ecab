package image

import (
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"steer/base/oci"
)

// configuration of the image: that of its base, and what is said here.
func (b *baker) configuration(hash string) oci.Config {
	at := b.chain[0].Base
	when := b.Config.Created
	if when.IsZero() {
		when = time.Unix(at.Time, 0)
	}
	c := oci.Config{Architecture: runtime.GOARCH, OS: "linux"}
	if at.Config != nil {
		c = *at.Config
		c.RootFS.DiffIDs = nil
	}
	c.Created, c.RootFS.Type = when.UTC().Format(time.RFC3339), "layers"
	c.Config.Env = slices.Clone(c.Config.Env)
	if len(c.Config.Env) == 0 {
		c.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	}
	for _, v := range b.Config.Env {
		name, _, _ := strings.Cut(v, "=")
		c.Config.Env = append(slices.DeleteFunc(c.Config.Env, func(o string) bool { return strings.HasPrefix(o, name+"=") }), v)
	}
	if b.Config.Entrypoint != nil {
		c.Config.Entrypoint, c.Config.Cmd = b.Config.Entrypoint, nil
	}
	if b.Config.Cmd != nil {
		c.Config.Cmd = b.Config.Cmd
	}
	if c.Config.Entrypoint == nil && c.Config.Cmd == nil {
		c.Config.Cmd = []string{"/bin/sh"}
	}
	labels := maps.Clone(c.Config.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, b.Config.Labels)
	labels["org.opencontainers.image.created"], labels["steer.hash"] = c.Created, hash
	c.Config.Labels = labels
	history0 := len(c.History) > 0
	for i, e := range b.chain {
		for _, l := range e.Layers {
			c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.DiffID)
			if i > 0 || !history0 {
				c.History = append(c.History, oci.History{Created: c.Created, CreatedBy: "steer bake: " + shortTitle(b.parts[i].Title)})
			}
		}
		if len(e.Layers) == 0 {
			c.History = append(c.History, oci.History{Created: c.Created, CreatedBy: "steer bake: " + shortTitle(b.parts[i].Title), Empty: true})
		}
	}
	return c
}

// annotations are the labels that every registry shows.
func annotations(labels map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range labels {
		if strings.HasPrefix(k, "org.opencontainers.") {
			out[k] = v
		}
	}
	return out
}
