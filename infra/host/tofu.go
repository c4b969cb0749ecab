package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"steer/base/fault"
)

// Tofu makes a host by OpenTofu, or Terraform.
type Tofu struct {
	Folder    string            `yaml:"folder" json:"folder" doc:"Folder with its definitions (*.tf), from the folder of hosts.yaml."`
	Variables map[string]string `yaml:"variables" json:"variables,omitempty" doc:"Variables; {} stands for the name of the host. Lists and maps are written as JSON."`
	Output    string            `yaml:"output" json:"output,omitempty" doc:"Output that tells the address: a way like connect has it, or a name or number for ssh://root@." default:"address"`
	State     string            `yaml:"state" json:"state,omitempty" doc:"File of the state, from the folder; {} stands for the name of the host. backend: where the definitions say." default:"{}.tfstate"`
}

// Check says what is wrong.
func (t *Tofu) Check() error {
	switch {
	case t.Folder == "":
		return fault.New(fault.Invalid, "folder: is missing (name the one with the definitions of OpenTofu)")
	case t.Output == "" || strings.HasPrefix(t.Output, "-"):
		return fault.New(fault.Invalid, "output: %q is no name of an output", t.Output)
	}
	return nil
}

// address is not known before the host is made, see locate.
func (t *Tofu) address(string) string { return "{address}" }

func (t *Tofu) dir(h Host) string {
	if filepath.IsAbs(t.Folder) {
		return t.Folder
	}
	return filepath.Join(h.Folder, t.Folder)
}

// tofu is the program, whichever of the two is installed.
func tofu() (string, error) {
	for _, name := range []string{"tofu", "terraform"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fault.New(fault.NotFound, "neither tofu nor terraform is installed (install OpenTofu: https://opentofu.org/docs/intro/install)")
}

// call runs the program on the folder, and returns what it wrote. One call at a time
// works there.
func (t *Tofu) call(ctx context.Context, h Host, words ...string) ([]byte, error) {
	program, err := tofu()
	if err != nil {
		return nil, err
	}
	dir := t.dir(h)
	if !filepath.IsAbs(dir) && h.Folder == "" {
		return nil, fault.New(fault.Invalid, "the server has no folder %s (write an absolute one, or use steer host where the definitions are)", t.Folder)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	lock, err := os.Open(dir)
	if err != nil {
		return nil, fault.New(fault.NotFound, "open the definitions of %s: %w", filepath.Base(program), err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"-chdir=" + dir}, words...)...)
	cmd.Env = append(os.Environ(), "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it writes its state and ends
	var out, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &wrong
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return out.Bytes(), fault.New(fault.Unavailable, "%s %s in %s: %s", filepath.Base(program), words[0], t.Folder, diagnosis(out.Bytes(), wrong.Bytes()))
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "run %s: %w", program, err)
	}
	return out.Bytes(), nil
}

// diagnosis is what the program said of an error: in messages of its -json, each a
// line, or as text.
func diagnosis(out, wrong []byte) string {
	var all []string
	for line := range bytes.Lines(out) {
		var m struct {
			Diagnostic struct {
				Severity, Summary, Detail, Address string
			} `json:"diagnostic"`
		}
		if d := &m.Diagnostic; json.Unmarshal(line, &m) == nil && d.Severity == "error" {
			text := d.Summary
			if d.Address != "" {
				text = d.Address + ": " + text
			}
			if d.Detail != "" {
				text += ": " + d.Detail
			}
			all = append(all, text)
		}
	}
	text := strings.Join(all, "\n")
	if text == "" {
		text = string(bytes.TrimSpace(append(wrong, out...)))
	}
	return strings.ToValidUTF8(text[max(0, len(text)-4000):], "?")
}

func (t *Tofu) withState(h Host, words ...string) []string {
	if t.State == "backend" {
		return words
	}
	return append(words, "-state="+strings.ReplaceAll(t.State, "{}", h.Name))
}

// change does apply or destroy.
func (t *Tofu) change(ctx context.Context, h Host, verb string) ([]byte, error) {
	if _, err := t.call(ctx, h, "init", "-input=false", "-no-color"); err != nil {
		return nil, err
	}
	words := t.withState(h, verb, "-auto-approve", "-input=false", "-json")
	for _, name := range sortedKeys(t.Variables) {
		words = append(words, "-var="+name+"="+strings.ReplaceAll(t.Variables[name], "{}", h.Name))
	}
	return t.call(ctx, h, words...)
}

func (t *Tofu) create(ctx context.Context, h Host) (bool, error) {
	out, err := t.change(ctx, h, "apply")
	if err != nil {
		return false, fmt.Errorf("make host %s: %w", h.Name, err)
	}
	made := false
	for line := range bytes.Lines(out) {
		var m struct {
			Type    string
			Changes struct{ Add, Change int }
		}
		if json.Unmarshal(line, &m) == nil && m.Type == "change_summary" {
			made = m.Changes.Add+m.Changes.Change > 0
		}
	}
	return made, nil
}

func (t *Tofu) destroy(ctx context.Context, h Host) error {
	if _, err := t.change(ctx, h, "destroy"); err != nil {
		return fmt.Errorf("destroy host %s: %w", h.Name, err)
	}
	return nil
}

// locate reads the address from the outputs.
func (t *Tofu) locate(ctx context.Context, h Host) (string, error) {
	if !strings.Contains(h.Address, "{address}") {
		return h.Address, nil
	}
	out, err := t.call(ctx, h, t.withState(h, "output", "-json")...)
	if err != nil {
		return "", err
	}
	var outputs map[string]struct{ Value any }
	if err := json.Unmarshal(out, &outputs); err != nil {
		return "", fmt.Errorf("read the outputs of %s: %w", t.Folder, err)
	}
	value, ok := outputs[t.Output].Value.(string)
	switch {
	case len(outputs) == 0:
		return "", fault.New(fault.Unavailable, "host %s is not made yet (steer host create %[1]s)", h.Name)
	case !ok || value == "":
		return "", fault.New(fault.Invalid, "%s has no output %q that is a text (write one, or name another with output:)", t.Folder, t.Output)
	case h.Address != "{address}":
		return strings.ReplaceAll(h.Address, "{address}", value), nil
	case strings.Contains(value, ":/") || strings.HasPrefix(value, "command:") || value == "local":
		return value, nil
	}
	return "ssh://root@" + value, nil
}
