package app

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"steer/base/fault"
	"steer/cli"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/host"
	"steer/infra/image"
	"steer/infra/role"
	"steer/infra/verify"
	"steer/infra/verify/report"
)

// bake makes an image of roles.
func bake(ctx context.Context, a cli.BakeArgs, tell func(cli.HostEvent), done func(cli.BakePart)) (cli.BakeResult, error) {
	a.HostArgs.Address = ""
	f, err := openFleet(a.HostArgs)
	if err != nil {
		return cli.BakeResult{}, err
	}
	uses, err := f.uses(f.hosts[0])
	if err != nil {
		return cli.BakeResult{}, err
	}
	b := &baking{selection: f, uses: uses, name: strings.Join(a.Roles, "-"), secrets: a.WithSecrets, noLogin: a.NoLogin, tell: tell}
	o := image.Options{
		From: a.From, Packages: a.Packages, Mirror: a.Mirror, Cache: a.Cache, Room: a.CacheSize, Fresh: a.Fresh, Name: b.name,
		Layout: a.Out, RootFS: a.RootFS, Enter: b.enter, Steps: b.compile,
		Slow: func(why error) {
			tell(cli.HostEvent{Host: b.name, Status: "step", Why: fmt.Sprintf("trees are copied from here on, which is slower (%v)", why)})
		},
		Done: func(p image.Part) {
			part := cli.BakePart{Part: p.Title, Cached: p.Cached, Took: p.Took}
			for _, l := range p.Layers {
				part.Digest, part.Size, part.Files = l.Digest, part.Size+l.Size, part.Files+l.Files
			}
			done(part)
		},
	}
	if o.Epoch, err = sourceDate(); err != nil {
		return cli.BakeResult{}, err
	}
	if a.Test {
		o.Last = func(in image.Inside) error { return b.test(in, a.TestOutput) }
	}
	revision, when := committed(ctx, a.Definitions)
	o.Config = image.Settings{Entrypoint: a.Entrypoint, Cmd: a.Cmd, Env: a.Env, Tags: a.Tags, Created: when, Labels: map[string]string{
		"org.opencontainers.image.title": b.name, "steer.role": strings.Join(a.Roles, ","),
	}}
	if revision != "" {
		o.Config.Labels["org.opencontainers.image.revision"] = revision
	}
	if a.NoLogin {
		o.Config.Labels["steer.login"] = "off"
	}
	for k, v := range a.Labels {
		o.Config.Labels[k] = v
	}
	img, err := image.Bake(ctx, o)
	if err != nil {
		return cli.BakeResult{}, err
	}
	out := cli.BakeResult{Image: b.name, Digest: img.Digest, ID: img.Config, RootFS: img.RootFS, Hash: img.Hash, Size: img.Size, Parts: len(img.Parts), Took: img.Took}
	for _, p := range img.Parts {
		if p.Cached {
			out.Cached++
		}
	}
	return out, nil
}

// sourceDate reads SOURCE_DATE_EPOCH; see reproducible-builds.org.
func sourceDate() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Time{}, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}, fault.New(fault.Invalid, "SOURCE_DATE_EPOCH: %q is no number of seconds since 1970", text)
	}
	return time.Unix(n, 0), nil
}

// committed tells the commit of the definitions and its time; definitions that are not
// in Git have none.
func committed(ctx context.Context, dir string) (revision string, when time.Time) {
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "log", "-1", "--format=%H %ct").Output()
	if err != nil {
		return "", time.Time{}
	}
	words := strings.Fields(string(out))
	if len(words) != 2 {
		return "", time.Time{}
	}
	if n, err := strconv.ParseInt(words[1], 10, 64); err == nil {
		when = time.Unix(n, 0)
	}
	if out, err := exec.CommandContext(ctx, "git", "-C", dir, "status", "--porcelain", "--", ".").Output(); err != nil || len(out) > 0 {
		return words[0] + "-dirty", when
	}
	return words[0], when
}

// baking is roles on their way into an image.
type baking struct {
	*selection
	uses    []role.Use
	name    string
	secrets bool // may be in the image
	noLogin bool
	tell    func(cli.HostEvent)

	mu       sync.Mutex // guards tell
	manifest infra.Manifest
	steps    [][]infra.Declared
}

// mostLayers bounds the layers of an image: engines refuse more than 127.
const mostLayers = 100

// compile makes the steps of the roles on a host of these facts.
func (b *baking) compile(facts infra.Facts) ([]image.Step, error) {
	var err error
	if b.manifest, err = b.library.Compile(b.uses, role.Input{Facts: facts, Secret: b.secret}); err != nil {
		return nil, err
	}
	if _, err := verify.Decode(b.manifest.Tests); err != nil {
		return nil, err
	}
	if b.noLogin {
		if b.manifest, err = closed(b.manifest, "--no-login"); err != nil {
			return nil, err
		}
	}
	order, err := converge.Order(b.manifest.Resources)
	if err != nil {
		return nil, err
	}
	b.steps = layers(b.manifest.Resources, order)
	var out []image.Step
	for _, step := range b.steps {
		var refs []string
		plain := slices.Clone(step)
		for i, d := range step {
			if d.Sensitive && !b.secrets {
				return nil, fault.New(fault.Denied, "%s: %s uses a secret, which everybody who has the image could read (hand it to the host when it starts, or give --with-secrets)", d.Place, d.Ref())
			}
			plain[i].Place = "" // where it is written changes nothing
			refs = append(refs, d.Ref())
		}
		input, err := infra.Encode(plain)
		if err != nil {
			return nil, err
		}
		out = append(out, image.Step{Title: strings.Join(refs, ", "), Input: input})
	}
	return out, nil
}

// layers puts resources into groups that become a layer each: those of one class that
// stand side by side go together, up to ten, and the last resource of all stays alone,
// since it is the one that is worked on. The groups of the first resources do not
// depend on what comes later, so that they stay in the cache.
func layers(all []infra.Declared, order [][]int) [][]infra.Declared {
	const together = 10
	var out [][]infra.Declared
	for i, stage := range order {
		var groups [][]int
		if last := len(stage) - 1; i == len(order)-1 && last > 0 {
			groups = append(slices.Collect(slices.Chunk(stage[:last], together)), stage[last:])
		} else {
			groups = slices.Collect(slices.Chunk(stage, together))
		}
		for _, g := range groups {
			if len(out) < mostLayers {
				out = append(out, nil)
			}
			for _, j := range g {
				out[len(out)-1] = append(out[len(out)-1], all[j])
			}
		}
	}
	return out
}

// enter starts this program in the tree.
func (b *baking) enter(ctx context.Context, root string, binds map[string]string) (image.Inside, error) {
	way := infra.Entrance{Root: root, Name: b.name, Binds: binds}
	conn := &host.Program{Before: append([]string{b.self.program}, way.Words()...)}
	return &within{b, &there{host.Start(ctx, conn, "/proc/self/exe", host.Command), conn}}, nil
}

// within is a stay in the tree of an image. What it remembers is in the tree's /dev,
// which is not part of the image.
type within struct {
	*baking
	v *there
}

func (w *within) Facts() (infra.Facts, error) { return w.v.facts() }
func (w *within) Close() error                { return w.v.Close() }

// Apply applies one step.
func (w *within) Apply(step int, told []string) ([]string, error) {
	var wrong []string
	r, err := w.v.converge(infra.Manifest{Resources: w.steps[step]}, toConverge{Part: true, Tell: told, By: "steer bake", Dir: "/dev/steer"}, func(e converge.Event) {
		if e.Status == converge.Failed || e.Status == converge.Skipped {
			wrong = append(wrong, fmt.Sprintf("%s %s: %s (%s)", e.Ref, e.Status, e.Why, e.Place))
		}
		if e.Status != converge.OK || e.Why != "" {
			w.say(e)
		}
	})
	if err == nil && r.Failed() {
		err = fault.New(fault.Conflict, "the roles cannot be applied to the image:\n  %s", strings.Join(wrong, "\n  "))
	}
	return r.Told, err
}

func (w *within) say(e converge.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell(hostEvent(w.name, e))
}

// Check compares everything once more: what a later resource undid shows here.
func (w *within) Check() (string, error) {
	var undone []string
	r, err := w.v.converge(w.manifest, toConverge{DryRun: true, Dir: "/dev/steer-check"}, func(e converge.Event) {
		if e.Status == converge.Failed || e.Status == converge.Planned && e.Diff.Action != infra.Run {
			undone = append(undone, fmt.Sprintf("%s: %s (%s)", e.Ref, cmp.Or(e.Why, e.Diff.String()), e.Place))
		}
	})
	if err == nil && len(undone) > 0 {
		err = fault.New(fault.Conflict, "the finished image is not as declared; something undid what was done, or is cleaned away as litter:\n  %s", strings.Join(undone, "\n  "))
	}
	return r.Hash, err
}

// test runs the tests of the roles in the finished tree.
func (b *baking) test(in image.Inside, out io.Writer) error {
	w, err := reportFormat("text")
	if err != nil {
		return err
	}
	tests, err := testsYAML(b.manifest)
	if err != nil {
		return err
	}
	r, err := in.(*within).v.verify(tests, 0)
	if err != nil {
		return err
	}
	r.Host = b.name
	for i := range r.Results {
		r.Results[i].Place = b.manifest.Tests[i].Place()
	}
	if err := w.Write(out, []verify.Report{r}, report.Style{}); err != nil {
		return err
	}
	if r.Failed() {
		return fault.New(fault.Conflict, "tests of the roles failed in the image; it was not written")
	}
	return nil
}
