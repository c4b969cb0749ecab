package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"steer/base/id"
	"steer/catalog"
)

// everyService is the key of an environment's config that is for all services.
const everyService = "all"

// release joins an artifact with its configuration in an environment.
func release(a Artifact, env catalog.Environment, s id.Service) *Release {
	r := &Release{Version: a.Version, Digest: a.Digest, Run: a.Manifest.Run, Env: map[string]string{}, Fixed: env.Publish[string(s)],
		Commit: a.Commit, Committed: a.Committed, Role: a.Role}
	if env.Driver != "" && env.Driver != DriverProcess {
		r.Driver, r.Kind, r.Image = env.Driver, a.Manifest.Artifact.Kind, env.Image(s)
	}
	if env.Driver == DriverHosts {
		r.Hosts = env.Hosts(s)
	}
	if r.Driver == DriverKubernetes {
		r.Cluster = env.Kubernetes
	}
	if !a.Role { // hosts have their parameters from the definitions
		maps.Copy(r.Env, a.Manifest.Run.Env)
		maps.Copy(r.Env, env.Config[everyService])
		maps.Copy(r.Env, env.Config[string(s)])
	}
	r.ID = r.fingerprint("")
	return r
}

// fingerprint tells releases apart: same fingerprint, same behaviour of nodes.
// Another salt makes another release of the same content.
func (r Release) fingerprint(salt string) string {
	r.Run.Migrate, r.Run.MigrateWithin = "", 0
	of := []any{salt, r.Version, r.Digest, r.Run, r.Env}
	if r.Driver != "" {
		of = append(of, r.Driver, r.Image)
	}
	if len(r.Hosts) > 0 {
		of = append(of, r.Hosts)
	}
	if r.Driver == DriverKubernetes {
		of = append(of, r.Cluster)
	}
	b, err := json.Marshal(of)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// secrets are the names of the secrets that an environment of nodes needs.
func secrets(env map[string]string) (names []string) {
	for _, v := range env {
		if n, ok := strings.CutPrefix(v, secretPrefix); ok {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// protocol is how a port is balanced, by its name.
func protocol(name string) string {
	if strings.HasPrefix(name, "http") {
		return "http"
	}
	return "tcp"
}

// ports are the names of its ports, HTTP before others: the first is $PORT.
func (r Release) ports() []string {
	names := slices.Sorted(maps.Keys(r.Run.Ports))
	slices.SortStableFunc(names, func(a, b string) int { return strings.Compare(protocol(a), protocol(b)) })
	return names
}

// health is how the balancer probes its nodes.
func (r Release) health() Health {
	h := Health{Path: r.Run.Health.HTTP}
	if names := r.ports(); len(names) > 0 {
		h.Port = names[0]
	}
	return h
}

// spec is the node of a place with this index.
func (d *Deployer) spec(p place, r Release, index int) Spec {
	now := time.Now()
	s := Spec{
		ID:          strings.Join([]string{string(p.service), string(p.environment), string(r.Version), strconv.Itoa(index), strconv.FormatInt(now.UnixMilli(), 36)}, "-"),
		Environment: p.environment, Service: p.service, Version: r.Version, Release: r.ID, Digest: r.Digest, Index: index, Command: r.Run.Command,
		Ports: r.ports(), Env: maps.Clone(r.Env), Grace: r.Run.Grace.Std(), Health: r.Run.Health, Created: now,
	}
	if r.Driver != "" {
		s.Driver, s.Kind, s.Image, s.Inside, s.Hosts = r.Driver, r.Kind, r.Image, r.Run.Ports, r.Hosts
		s.Limits, s.User, s.ReadOnly = r.Run.Limits, r.Run.User, r.Run.ReadOnly
		s.Cluster = r.Cluster
	}
	s.Env["STEER_SERVICE"], s.Env["STEER_ENVIRONMENT"], s.Env["STEER_VERSION"], s.Env["STEER_NODE"] = string(p.service), string(p.environment), string(r.Version), s.ID
	if d.o.Stats != nil {
		if host, port := d.o.Stats(); port != "" && s.Env["STATSD_HOST"] == "" {
			s.Env["STATSD_HOST"], s.Env["STATSD_PORT"] = host, port
		}
	}
	return s
}

// frontend sends traffic to these nodes.
func (r Release) frontend(p place, nodes []Instance) Frontend {
	f := Frontend{Environment: p.environment, Service: p.service, Ports: map[string]Port{}, Health: r.health()}
	for _, name := range r.ports() {
		f.Ports[name] = Port{Protocol: protocol(name), Fixed: r.Fixed[name]}
	}
	for _, n := range nodes {
		f.Backends = append(f.Backends, Backend{ID: n.ID, Version: n.Version, Address: n.Address})
	}
	return f
}

// askedAt is the address that a node's health is asked at, "" if it has no ports.
func askedAt(n Instance) string {
	if len(n.Ports) == 0 {
		return ""
	}
	a := n.Address[n.Ports[0]]
	if _, _, err := net.SplitHostPort(a); err != nil {
		return ""
	}
	return a
}
