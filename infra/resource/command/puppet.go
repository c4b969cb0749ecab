package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
)

// Puppet applies a Puppet manifest.
type Puppet struct {
	Manifest string `yaml:"manifest,omitempty" doc:"File of the role, like site.pp."`
	bundle   `yaml:",inline"`
	Modules  string          `yaml:"modules,omitempty" doc:"Folders with modules on the host, with colons between; those that Puppet knows and modules/ of files count anyway."`
	Timeout  config.Duration `yaml:"timeout,omitempty" doc:"After this it is killed." default:"30m"`
}

func puppetKind() infra.Kind {
	return infra.Kind{
		Name: "puppet", Key: "manifest",
		Doc: "Applies a Puppet manifest with puppet apply. What it would change is asked with --noop, which takes Puppet some seconds each time.",
		Example: `puppet: site.pp
files: [modules/motd/manifests/init.pp]
`,
		New: func() infra.Resource { return &Puppet{} },
	}
}

// ID is the name of the manifest.
func (p *Puppet) ID() string { return p.Manifest }

// Check refuses names that are none of files of a role.
func (p *Puppet) Check() error {
	errs := p.check("manifest", p.Manifest)
	if p.Timeout <= 0 {
		errs = append(errs, fault.New(fault.Invalid, "timeout: must be more than 0"))
	}
	return errors.Join(errs...)
}

// Source reads the manifest and the other files.
func (p *Puppet) Source(read func(string) ([]byte, error), _ map[string]any) error {
	return p.bundle.read(p.Manifest, read)
}

// Diff asks Puppet what it would change.
func (p *Puppet) Diff(ctx context.Context, h *infra.Host) (infra.Diff, error) {
	d := infra.Diff{}
	if !h.Has("puppet") {
		d.Action = infra.Run
		d.Set(p.Manifest, "", "cannot be compared before Puppet is installed")
		return d, nil
	}
	events, _, err := p.run(ctx, h, "--noop")
	for _, e := range events {
		if resource, property, is, should, ok := e.change(); ok {
			d.Action = infra.Run
			d.Set(resource+" "+property, is, should)
		}
	}
	return d, err
}

// Apply lets Puppet apply the manifest.
func (p *Puppet) Apply(ctx context.Context, h *infra.Host, _ infra.Diff) error {
	if !h.Has("puppet") {
		return fmt.Errorf("the program puppet is not installed (declare it before: - package: puppet-agent, on other systems openvox-agent)")
	}
	defer h.ForgetAll()
	_, _, err := p.run(ctx, h)
	return err
}

// run runs puppet apply. Its exit codes are 0 for nothing to do, 2 for changes, 4 for
// failures, 6 for both, and 1 when the manifest does not compile; with --noop 0 and 1
// only.
func (p *Puppet) run(ctx context.Context, h *infra.Host, more ...string) ([]puppetEvent, int, error) {
	dir, remove, err := p.unpack()
	if err != nil {
		return nil, 0, err
	}
	defer remove()
	files := filepath.Join(dir, "files")
	log := filepath.Join(dir, "log.json")
	args := []string{"puppet", "apply", "--detailed-exitcodes", "--color=false", "--no-show_diff", "--logdest", log}
	if len(more) > 0 {
		// Its own folder: reports of runs that only compare are nobody's business.
		args = append(args, "--vardir", filepath.Join(dir, "var"))
	}
	modules := filepath.Join(files, "modules") + ":$basemodulepath"
	if p.Modules != "" {
		modules = p.Modules + ":" + modules
	}
	args = append(append(args, "--modulepath", modules), more...)
	out, err := h.Exec(ctx, infra.Command{Args: append(args, filepath.Join(files, filepath.FromSlash(p.Manifest))), Within: p.Timeout.Std()})
	if err != nil {
		return nil, 0, err
	}
	events, err := readPuppetLog(log)
	if err != nil {
		return nil, out.Code, fmt.Errorf("puppet apply ended with code %d: %w%s", out.Code, err, ending(out))
	}
	if out.Code == 0 || out.Code == 2 {
		return events, out.Code, nil
	}
	var wrong []string
	for _, e := range events {
		if (e.Level == "err" || e.Level == "alert" || e.Level == "crit") && e.Source != "Facter" && len(wrong) < 10 {
			wrong = append(wrong, strings.ReplaceAll(strings.TrimPrefix(e.resource()+": ", "Puppet: ")+e.Message+e.place(), files+"/", ""))
		}
	}
	if len(wrong) == 0 {
		return events, out.Code, fmt.Errorf("puppet apply ended with code %d%s", out.Code, ending(out))
	}
	return events, out.Code, fmt.Errorf("puppet apply ended with code %d: %s", out.Code, strings.Join(wrong, "; "))
}

// puppetEvent is an entry of the log that Puppet writes into a file named .json.
type puppetEvent struct {
	Level   string `json:"level"`
	Message string `json:"message"`
	Source  string `json:"source"` // /Stage[main]/Main/File[/etc/motd]/ensure
	File    string `json:"file"`
	Line    int    `json:"line"`
}

func (e puppetEvent) place() string {
	if e.File == "" {
		return ""
	}
	return fmt.Sprintf(" (%s:%d)", e.File, e.Line)
}

const largestPuppetLog = 64 << 20

func readPuppetLog(name string) ([]puppetEvent, error) {
	info, err := os.Stat(name)
	if err != nil || info.Size() > largestPuppetLog {
		return nil, errors.Join(err, errors.New("its log cannot be read"))
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read its log: %w", err)
	}
	text := strings.TrimSpace(string(b))
	if !strings.HasSuffix(text, "]") {
		text += "\n]" // it leaves the list open when it ends early
	}
	var events []puppetEvent
	if err := json.Unmarshal([]byte(text), &events); err != nil {
		return nil, fmt.Errorf("read its log: %w", err)
	}
	return events, nil
}

// resource is the innermost resource of an event: File[/etc/motd]. Containers stand
// before it, a property after it, with slashes between; titles may have slashes and
// pairs of brackets in them too.
func (e puppetEvent) resource() string {
	depth, start, found := 0, 0, e.Source
	for i, c := range e.Source {
		switch {
		case c == '/' && depth == 0:
			start = i + 1
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			if depth--; depth == 0 {
				found = e.Source[start : i+1]
			}
		}
	}
	return found
}

// change reads what a run with --noop says of one property.
func (e puppetEvent) change() (resource, property, is, should string, ok bool) {
	text, ok1 := strings.CutPrefix(e.Message, "current_value ")
	text, ok2 := strings.CutSuffix(text, " (noop)")
	is, should, ok3 := strings.Cut(text, ", should be ")
	if !ok1 || !ok2 || !ok3 {
		return "", "", "", "", false
	}
	property = e.Source[strings.LastIndex(e.Source, "/")+1:]
	return e.resource(), property, strings.Trim(is, "'"), strings.Trim(should, "'"), true
}
