package command

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
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

// Ansible runs an Ansible playbook on the host itself.
type Ansible struct {
	Playbook string `yaml:"playbook,omitempty" doc:"File of the role, like site.yml. Its hosts are localhost or all."`
	bundle   `yaml:",inline"`
	Vars     map[string]string `yaml:"vars,omitempty" doc:"Variables of the playbook."`
	Timeout  config.Duration   `yaml:"timeout,omitempty" doc:"After this it is killed." default:"30m"`
}

func ansibleKind() infra.Kind {
	return infra.Kind{
		Name: "ansible", Key: "playbook",
		Doc: "Runs an Ansible playbook on the host itself, without SSH. What it would change is asked with --check, which takes Ansible some seconds each time and misses what tasks without check mode would do.",
		Example: `ansible: site.yml
files: [templates/motd.j2, roles/base/tasks/main.yml]
vars: {greeting: Welcome}
`,
		New: func() infra.Resource { return &Ansible{} },
	}
}

// ID is the name of the playbook.
func (a *Ansible) ID() string { return a.Playbook }

// Check refuses names that are none of files of a role.
func (a *Ansible) Check() error {
	errs := a.check("playbook", a.Playbook)
	if a.Timeout <= 0 {
		errs = append(errs, fault.New(fault.Invalid, "timeout: must be more than 0"))
	}
	return errors.Join(errs...)
}

// Source reads the playbook and the other files.
func (a *Ansible) Source(read func(string) ([]byte, error), _ map[string]any) error {
	return a.bundle.read(a.Playbook, read)
}

// Diff asks Ansible what it would change. A task that fails in check mode mostly
// needs what a task before it would make: what comes after it is not known.
func (a *Ansible) Diff(ctx context.Context, h *infra.Host) (infra.Diff, error) {
	d := infra.Diff{}
	if !h.Has("ansible-playbook") {
		d.Action = infra.Run
		d.Set(a.Playbook, "", "cannot be compared before Ansible is installed")
		return d, nil
	}
	events, err := a.run(ctx, h, "--check")
	if err != nil {
		return d, err
	}
	for _, e := range events {
		switch {
		case e.Outcome == "failed":
			d.Action = infra.Run
			d.Set(e.Task, "", "cannot be told before it runs: "+e.Message)
		case e.Changed:
			d.Action = infra.Run
			d.Set(e.Task, "", "changed ("+e.Action+")")
		}
	}
	return d, nil
}

// Apply lets Ansible run the playbook.
func (a *Ansible) Apply(ctx context.Context, h *infra.Host, _ infra.Diff) error {
	if !h.Has("ansible-playbook") {
		return fmt.Errorf("the program ansible-playbook is not installed (declare it before: - package: ansible-core)")
	}
	defer h.ForgetAll()
	events, err := a.run(ctx, h)
	if err != nil {
		return err
	}
	for _, e := range events {
		if e.Outcome == "failed" {
			return fmt.Errorf("ansible-playbook %s: task %q failed: %s", a.Playbook, e.Task, e.Message)
		}
	}
	return nil
}

// report is the callback plugin that tells what tasks did: the core of Ansible has
// none that writes JSON.
//
//go:embed report.py
var report []byte

// ansibleEvent is what report.py writes: a task, or the recap at the end.
type ansibleEvent struct {
	Task    string                    `json:"task"`
	Action  string                    `json:"action"`
	Outcome string                    `json:"outcome"` // ok, skipped, failed, ignored
	Changed bool                      `json:"changed"`
	Message string                    `json:"message"`
	Recap   map[string]map[string]int `json:"recap"`
}

// run runs ansible-playbook, whose exit codes are 0, 2 for failed tasks, and others
// for playbooks that cannot run.
func (a *Ansible) run(ctx context.Context, h *infra.Host, more ...string) ([]ansibleEvent, error) {
	dir, remove, err := a.unpack()
	if err != nil {
		return nil, err
	}
	defer remove()
	files, plugins, log := filepath.Join(dir, "files"), filepath.Join(dir, "callbacks"), filepath.Join(dir, "events")
	vars, err := json.Marshal(a.Vars)
	if err == nil {
		err = errors.Join(os.Mkdir(plugins, 0o700), os.WriteFile(filepath.Join(plugins, "report.py"), report, 0o600), os.WriteFile(filepath.Join(dir, "vars.json"), vars, 0o600))
	}
	if err != nil {
		return nil, fmt.Errorf("write the files of the role: %w", err)
	}
	args := []string{"ansible-playbook", "-i", "localhost,", "-c", "local"}
	if len(a.Vars) > 0 { // a file, since everybody sees arguments
		args = append(args, "-e", "@"+filepath.Join(dir, "vars.json"))
	}
	out, err := h.Exec(ctx, infra.Command{
		Args: append(append(args, more...), filepath.Join(files, filepath.FromSlash(a.Playbook))),
		Dir:  files,
		Env: []string{"STEER_EVENTS=" + log, "ANSIBLE_CALLBACK_PLUGINS=" + plugins, "ANSIBLE_STDOUT_CALLBACK=report", "ANSIBLE_PYTHON_INTERPRETER=auto_silent",
			"ANSIBLE_RETRY_FILES_ENABLED=0", "ANSIBLE_NOCOLOR=1", "ANSIBLE_LOCAL_TEMP=" + filepath.Join(dir, "tmp"), "ANSIBLE_REMOTE_TEMP=" + filepath.Join(dir, "tmp")},
		Within: a.Timeout.Std(),
	})
	if err != nil {
		return nil, err
	}
	events, recap, err := readEvents(log)
	switch {
	case err != nil || recap == nil || out.Code != 0 && out.Code != 2:
		return nil, fmt.Errorf("ansible-playbook %s: ended with code %d%s", a.Playbook, out.Code, strings.ReplaceAll(ending(out), files+"/", ""))
	case len(recap) == 0:
		return nil, fmt.Errorf("ansible-playbook %s: no play is for this host (write hosts: localhost, or all)", a.Playbook)
	}
	return events, nil
}

const largestEvents = 64 << 20

// readEvents reads the tasks and the recap, which is nil when the run did not reach
// its end.
func readEvents(name string) (tasks []ansibleEvent, recap map[string]map[string]int, err error) {
	info, err := os.Stat(name)
	if err != nil || info.Size() > largestEvents {
		return nil, nil, errors.Join(err, errors.New("what the tasks did cannot be read"))
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, err
	}
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var e ansibleEvent
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			return nil, nil, fmt.Errorf("read what the tasks did: %w", err)
		}
		if e.Recap != nil {
			recap = e.Recap
			continue
		}
		tasks = append(tasks, e)
	}
	return tasks, recap, s.Err()
}
