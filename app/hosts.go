package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/secret"
	"steer/cli"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/host"
	"steer/infra/role"
	"steer/infra/verify"
	"steer/infra/verify/report"
)

// Infra is what the commands about hosts work with.
func Infra() cli.Infra {
	return cli.Infra{Converge: convergeHosts, Verify: verifyHosts, AddTest: addTest, TestRole: testRole,
		Hosts: listHosts, Make: makeHosts, Roles: describeRoles, Facts: hostFacts, Side: HostSide,
		Generations: hostGenerations, Rollback: rollbackHosts, Guard: watchGeneration,
		Bake: bake, Enter: infra.Enter, Agent: hostAgent()}
}

// selection is hosts, and the roles that they have.
type selection struct {
	library *role.Library
	hosts   []host.Host
	uses    func(host.Host) ([]role.Use, error)
	secret  func(name string) (string, error)
	self    way
	memory  *compiled // nil: nothing is remembered
}

// open reads the definitions for some hosts.
func openFleet(a cli.HostArgs) (*selection, error) {
	files := os.DirFS(a.Definitions)
	if _, err := fs.Stat(files, "."); err != nil {
		return nil, fault.New(fault.NotFound, "read definitions: %w (name the folder with --definitions)", err)
	}
	f := &selection{}
	var err error
	if f.self, err = fromHere(); err != nil {
		return nil, err
	}
	if f.library, err = role.Load(files, resourceKinds()); err != nil {
		return nil, err
	}
	f.secret = secrets(files, a)
	if len(a.Roles) > 0 {
		var uses []role.Use
		for _, name := range a.Roles {
			r, err := f.library.Role(name)
			if err != nil {
				return nil, err
			}
			with := map[string]any{}
			for k, v := range a.With {
				if _, ok := r.Parameters[k]; ok || len(a.Roles) == 1 {
					with[k] = v
				}
			}
			uses = append(uses, role.Use{Role: name, With: with})
		}
		f.hosts = []host.Host{addressed(cmp.Or(a.Address, "local"))}
		f.uses = func(host.Host) ([]role.Use, error) { return uses, nil }
		return f, nil
	}
	if a.Address != "" || len(a.With) > 0 {
		return nil, fault.Usage(errors.New("--host and --param need roles (steer plan ROLE --host …)"))
	}
	all, err := host.ReadInventory(files)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fault.New(fault.NotFound, "%s has no hosts (name roles to work on this machine: %s)", a.Definitions, cmp.Or(strings.Join(f.library.Names(), ", "), "there are none in roles/ either"))
	}
	for i := range all {
		all[i].Folder = a.Definitions
	}
	f.hosts, err = host.Select(host.Lasting(all, time.Now()), a.Limit)
	f.uses = inventoryUses
	return f, err
}

// inventoryUses are the roles that hosts.yaml gives a host.
func inventoryUses(h host.Host) ([]role.Use, error) {
	var uses []role.Use
	for _, u := range h.Roles {
		with := map[string]any{}
		for k, raw := range u.With {
			v, err := raw.Value()
			if err != nil {
				return nil, err
			}
			with[k] = v
		}
		uses = append(uses, role.Use{Role: u.Role, With: with})
	}
	return uses, nil
}

// secrets reads secrets/ENVIRONMENT/NAME.age, given a key.
func secrets(files fs.FS, a cli.HostArgs) func(string) (string, error) {
	if a.Key == "" || a.Environment == "" {
		return func(name string) (string, error) {
			return "", fault.New(fault.Invalid, "secret:%s needs a key (give --key FILE and --environment NAME)", name)
		}
	}
	return func(name string) (string, error) {
		path := fmt.Sprintf("secrets/%s/%s.age", a.Environment, name)
		if _, err := os.Stat(a.Key); err != nil {
			return "", fault.New(fault.NotFound, "read the key: %w", err)
		}
		keys, err := secret.Open(a.Key)
		if err != nil {
			return "", err
		}
		b, err := fs.ReadFile(files, path)
		if err != nil {
			return "", fault.New(fault.NotFound, "there is no %s", path)
		}
		v, err := keys.Decrypt(b)
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		return v.Reveal(), nil
	}
}

// visit opens a conversation with a host and compiles what it should be.
func (f *selection) visit(ctx context.Context, h host.Host) (_ visit, m infra.Manifest, err error) {
	if f.memory != nil && f.memory.found != nil {
		return here{ctx, f.memory.host}, infra.Manifest{Resources: f.memory.found}, nil
	}
	v, err := visitHost(ctx, h.Address, f.self)
	if err != nil {
		return nil, m, err
	}
	defer func() {
		if err != nil {
			v.Close()
		}
	}()
	facts, err := v.facts()
	if err != nil {
		return nil, m, err
	}
	uses, err := f.uses(h)
	if err != nil {
		return nil, m, err
	}
	if m, err = f.library.Compile(uses, role.Input{Facts: facts, Secret: f.secret}); err != nil {
		return nil, m, err
	}
	if _, err = verify.Decode(m.Tests); err != nil {
		return nil, m, err
	}
	if f.memory != nil {
		f.memory.keep(m, facts)
	}
	return v, m, nil
}

func convergeHosts(ctx context.Context, a cli.HostArgs, c cli.ConvergeArgs, tell func(cli.HostEvent)) ([]cli.HostResult, error) {
	keepGarbage()
	memory := remember(ctx, a, c)
	if memory != nil && memory.found != nil {
		f := &selection{hosts: []host.Host{{Name: "local", Address: "local"}}, self: way{program: memory.program}, memory: memory}
		return f.converge(ctx, c, tell)
	}
	f, err := openFleet(a)
	if err != nil {
		return nil, err
	}
	f.memory = memory
	return f.converge(ctx, c, tell)
}

func (f *selection) converge(ctx context.Context, c cli.ConvergeArgs, tell func(cli.HostEvent)) ([]cli.HostResult, error) {
	return eachHost(ctx, f.hosts, host.Waves{Parallel: c.Parallel, Serial: c.Serial, MaxFail: c.MaxFail}, tell, func(ctx context.Context, h host.Host, tell func(cli.HostEvent)) cli.HostResult {
		return f.one(ctx, h, c, tell)
	})
}

// eachHost does something to hosts, wave by wave.
func eachHost(ctx context.Context, hosts []host.Host, w host.Waves, tell func(cli.HostEvent), do func(context.Context, host.Host, func(cli.HostEvent)) cli.HostResult) ([]cli.HostResult, error) {
	var mu sync.Mutex
	var all []cli.HostResult
	left, err := host.Each(ctx, hosts, w, func(ctx context.Context, h host.Host) bool {
		// What a host tells is shown together, so that hosts do not mix.
		var events []cli.HostEvent
		r := do(ctx, h, func(e cli.HostEvent) { events = append(events, e) })
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			tell(e)
		}
		all = append(all, r)
		return !r.Failed
	})
	for _, h := range left {
		all = append(all, cli.HostResult{Host: h.Name, Failed: true, Error: "not begun: hosts before it failed (--max-fail bears more)"})
	}
	return all, err
}

// one converges one host.
func (f *selection) one(ctx context.Context, h host.Host, c cli.ConvergeArgs, tell func(cli.HostEvent)) cli.HostResult {
	return onHost(ctx, h, tell, func(ctx context.Context, event func(converge.Event)) (converge.Report, error) {
		h, err := located(ctx, h)
		if err != nil {
			return converge.Report{}, err
		}
		v, m, err := f.visit(ctx, h)
		if err != nil {
			return converge.Report{}, err
		}
		defer v.Close()
		o := toConverge{DryRun: !c.Apply || h.Immutable, Tags: c.Tags, By: c.By, Name: rand.Text(), Version: c.Version, Dir: c.StateDir}
		if c.Apply && !h.Immutable {
			o.Guard = guardOf(h.Address, c.Guard)
		}
		if h.Immutable {
			return replaced(h, c.Apply, func(event func(converge.Event)) (converge.Report, error) { return v.converge(m, o, event) }, event)
		}
		r, err := v.converge(m, o, event)
		return guarded(ctx, h, f.self, o, r, err)
	})
}

func hostEvent(name string, e converge.Event) cli.HostEvent {
	out := cli.HostEvent{Host: name, Ref: e.Ref, Role: e.Role, Place: e.Place, Status: string(e.Status), Action: string(e.Diff.Action), Why: e.Why, Took: e.Took}
	for _, f := range e.Diff.Fields {
		out.Fields = append(out.Fields, cli.HostField(f))
	}
	return out
}

func verifyHosts(ctx context.Context, a cli.HostArgs, format string, out io.Writer) (int, error) {
	w, err := reportFormat(format)
	if err != nil {
		return 0, err
	}
	f, err := openFleet(a)
	if err != nil {
		return 0, err
	}
	var all []verify.Report
	for _, h := range f.hosts {
		r, err := f.verify(ctx, h)
		if ctx.Err() != nil || fault.Of(err) == fault.Invalid { // no host can help it
			return 0, fmt.Errorf("%s: %w", h.Name, err)
		}
		if err != nil {
			r = notReached(h, err)
		}
		all = append(all, r)
	}
	return report.Code(format, all...), w.Write(out, all, report.Style{})
}

// notReached is the report of a host that does not answer: the others have theirs
// beside it.
func notReached(h host.Host, err error) verify.Report {
	p := verify.Property{Name: "reached", Status: verify.Error, Expected: "true", Why: err.Error()}
	return verify.Report{Host: h.Name, Start: time.Now(), Tests: 1, Counts: map[verify.Status]int{verify.Error: 1}, Results: []verify.Result{
		{Test: "host " + h.Name, Kind: "host", ID: h.Name, Severity: "page", Status: verify.Error, Why: p.Why, Attempts: 1, Properties: []verify.Property{p}}}}
}

func (f *selection) verify(ctx context.Context, h host.Host) (verify.Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var r verify.Report
	h, err := located(ctx, h)
	if err != nil {
		return r, err
	}
	v, m, err := f.visit(ctx, h)
	if err != nil {
		return r, err
	}
	defer v.Close()
	tests, err := testsYAML(m)
	if err != nil {
		return r, err
	}
	r, err = v.verify(tests)
	r.Host = h.Name
	for i := range r.Results { // the host knows only the text of the tests
		r.Results[i].Place = m.Tests[i].Place()
	}
	return r, err
}

func reportFormat(name string) (report.Format, error) {
	var names []string
	for _, f := range report.Formats() {
		names = append(names, f.Name)
	}
	f, ok := report.Find(name)
	if !ok {
		return f, fault.Usage(fmt.Errorf("--format %s: unknown%s", name, config.Suggest(name, names)))
	}
	return f, nil
}

func addTest(ctx context.Context, kind, name string) ([]byte, error) {
	return verify.Add(ctx, infra.NewHost(ctx), kind, name)
}

func listHosts(_ context.Context, a cli.HostArgs) ([]cli.HostInfo, error) {
	all, err := host.ReadInventory(os.DirFS(a.Definitions))
	if err == nil {
		all, err = host.Select(host.Lasting(all, time.Now()), a.Limit)
	}
	if err != nil {
		return nil, err
	}
	out := []cli.HostInfo{}
	for _, h := range all {
		i := cli.HostInfo{Host: h.Name, Group: h.Group, Owner: string(h.Owner), Address: h.Address, Made: h.Make != nil}
		for _, u := range h.Roles {
			i.Roles = append(i.Roles, u.Role)
		}
		out = append(out, i)
	}
	return out, nil
}

// makeHosts creates, starts, rebuilds, stops or destroys hosts of the inventory, and
// converges those that are there afterwards.
func makeHosts(ctx context.Context, a cli.HostArgs, what string, tell func(cli.HostEvent)) ([]cli.HostResult, error) {
	f, err := openFleet(a)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	step := func(h host.Host, text string) {
		mu.Lock()
		defer mu.Unlock()
		tell(cli.HostEvent{Host: h.Name, Status: "step", Why: text})
	}
	since := func(start time.Time) string { return time.Since(start).Round(time.Millisecond).String() }
	var all []cli.HostResult
	var there []host.Host
	started := map[string]time.Time{}
	_, err = host.Each(ctx, f.hosts, host.Waves{MaxFail: -1}, func(ctx context.Context, h host.Host) bool {
		start := time.Now()
		var err error
		over := false // there is nothing to converge
		switch what {
		case "start":
			if err = host.SwitchOn(ctx, h); err == nil {
				step(h, "runs, after "+since(start))
			}
		case host.Off, host.Kill, host.Freeze, host.Cut:
			over = true
			if err = host.SwitchOff(ctx, h, what); err == nil {
				step(h, host.Said(what)+" in "+since(start))
			}
		case "destroy", "rebuild":
			over = what == "destroy"
			if err = host.Destroy(ctx, h); err == nil {
				step(h, "destroyed")
			}
		}
		if (what == "create" || what == "rebuild") && err == nil {
			var made bool
			if made, err = host.Create(ctx, h); err == nil && made {
				step(h, "made in "+since(start))
			}
		}
		mu.Lock()
		defer mu.Unlock()
		switch started[h.Name] = start; {
		case err != nil:
			all = append(all, cli.HostResult{Host: h.Name, Failed: true, Error: err.Error(), Took: time.Since(start)})
		case over:
			all = append(all, cli.HostResult{Host: h.Name, Counts: map[string]int{}, Took: time.Since(start)})
		default:
			there = append(there, h)
		}
		return err == nil
	})
	if err != nil || len(there) == 0 {
		return all, err
	}
	f.hosts = there
	results, err := f.converge(ctx, cli.ConvergeArgs{Apply: true, MaxFail: -1, By: "steer host " + what}, tell)
	for _, r := range results {
		r.Took = time.Since(started[r.Host]) // what it took until the host was as declared
		all = append(all, r)
	}
	return all, err
}

// testRole applies a role in a container made for it, tests it, applies it again and
// destroys the container.
func testRole(ctx context.Context, t cli.RoleTest, out io.Writer) (ok bool, err error) {
	w, err := reportFormat(t.Format)
	if err != nil {
		return false, err
	}
	t.Roles = []string{t.Role}
	name := "steer-test-" + strings.ToLower(rand.Text()[:10])
	t.Address = "docker://" + name
	f, err := openFleet(t.HostArgs)
	if err != nil {
		return false, err
	}
	r, err := f.tryRole(ctx, throwAway(name, t.Image, t.Systemd), t.Role, t.Keep)
	if err != nil {
		return false, err
	}
	if err := w.Write(out, []verify.Report{r}, report.Style{}); err != nil {
		return false, err
	}
	return !r.Failed(), nil
}

// throwAway is a host to try a role on.
func throwAway(name, image string, systemd bool) host.Host {
	h := host.Host{Name: name, Address: "docker://" + name}
	h.Make = &host.Make{Docker: &host.Docker{Image: image, Run: []string{"sleep", "infinity"}, Rights: []string{"NET_ADMIN", "SYS_ADMIN"}}}
	if systemd {
		h.Make.Docker.Run = []string{"/sbin/init"}
	}
	return h
}

// tryRole makes a host, applies a role, tests it, applies it again, and destroys the
// host unless it is to be kept. The error, of kind Conflict, says what the role did not
// manage; other errors are about the host.
func (f *selection) tryRole(ctx context.Context, h host.Host, name string, keep bool) (r verify.Report, err error) {
	f.hosts = []host.Host{h}
	if _, err := host.Create(ctx, h); err != nil {
		host.Destroy(context.WithoutCancel(ctx), h) //nolint:errcheck // the first error tells more
		return r, err
	}
	if !keep {
		defer func() { err = errors.Join(err, host.Destroy(context.WithoutCancel(ctx), h)) }()
	}
	var wrong []string
	say := func(e cli.HostEvent) {
		if e.Status == string(converge.Failed) || e.Status == string(converge.Skipped) {
			wrong = append(wrong, fmt.Sprintf("%s %s: %s (%s)", e.Ref, e.Status, e.Why, e.Place))
		}
	}
	first := f.one(ctx, h, cli.ConvergeArgs{Apply: true, By: "steer test role"}, say)
	if first.Failed {
		if first.Error != "" {
			wrong = append(wrong, first.Error)
		}
		return r, fault.New(fault.Conflict, "the role cannot be applied to a new host: %s", strings.Join(wrong, "\n  "))
	}
	if r, err = f.verify(ctx, h); err != nil {
		return r, err
	}
	second := f.one(ctx, h, cli.ConvergeArgs{Apply: true, By: "steer test role"}, func(e cli.HostEvent) {
		if e.Status != string(converge.OK) {
			wrong = append(wrong, strings.TrimSpace(fmt.Sprintf("%s %s %s (%s)", e.Ref, e.Status, e.Why, e.Place)))
		}
	})
	again := verify.Result{Test: "a second apply changes nothing", Kind: "role", ID: name, Severity: "ticket", Status: verify.Passed, Attempts: 1, Took: second.Took}
	p := verify.Property{Name: "changes", Status: verify.Passed, Expected: "0", Found: "0"}
	if len(wrong) > 0 || second.Failed {
		again.Status, p.Status, p.Found = verify.Failed, verify.Failed, strings.TrimSpace(strings.Join(wrong, "; ")+" "+second.Error)
	}
	again.Properties = []verify.Property{p}
	r.Results, r.Tests = append(r.Results, again), r.Tests+1
	if r.Counts == nil {
		r.Counts = map[verify.Status]int{}
	}
	r.Counts[p.Status]++
	return r, nil
}

func hostFacts(ctx context.Context, a cli.HostArgs) ([]byte, error) {
	self, err := fromHere()
	if err != nil {
		return nil, err
	}
	v, err := visitHost(ctx, cmp.Or(a.Address, "local"), self)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	facts, err := v.facts()
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(facts, "", "  ")
}
