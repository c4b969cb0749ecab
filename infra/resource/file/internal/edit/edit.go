package edit

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// largestEdited bounds a file in which lines are changed.
const largestEdited = 8 << 20

// Edit is what line and block share: a file of which only a part is looked after.
type Edit struct {
	Path         string `yaml:"path" doc:"Absolute path of the file."`
	InsertAfter  string `yaml:"insert_after,omitempty" doc:"Regular expression: what is new goes after the last line that it matches; at the end when none does."`
	InsertBefore string `yaml:"insert_before,omitempty" doc:"Regular expression: what is new goes before the first line that it matches; at the end when none does. Write ^ for the start of the file."`
	State        string `yaml:"state,omitempty" doc:"present or absent." default:"present"`
	Create       bool   `yaml:"create,omitempty" doc:"Make the file when there is none, for root and with mode 0644; else that is an error."`
	Validate     string `yaml:"validate,omitempty" doc:"Command that judges the new content before it takes its place, like visudo -cf %s."`
	Backup       bool   `yaml:"backup,omitempty" doc:"Keep what was there before as PATH.bak."`
}

// Check looks at the declaration.
func (e *Edit) Check() error {
	if err := place.CleanPath("path", &e.Path); err != nil {
		return err
	}
	if e.InsertAfter != "" && e.InsertBefore != "" {
		return fmt.Errorf("insert_before: stands beside insert_after (keep one of them)")
	}
	if err := checkRegexp("insert_after", e.InsertAfter); err != nil {
		return err
	}
	if err := checkRegexp("insert_before", e.InsertBefore); err != nil {
		return err
	}
	if err := place.CheckState(e.State); err != nil {
		return err
	}
	return place.CheckValidate(e.Validate)
}

func checkRegexp(key, expression string) error {
	if _, err := regexp.Compile(expression); err != nil {
		return fmt.Errorf("%s: %q is no regular expression: %v", key, expression, err)
	}
	return nil
}

// Gives names nothing: the file itself is given by who declares it as a whole.
func (e *Edit) Gives() []string {
	if e.Create && e.State == place.Present {
		return []string{"path:" + e.Path}
	}
	return nil
}

// Needs names the file.
func (e *Edit) Needs() []string { return []string{"path:" + e.Path} }

// Claims is a part of the file.
func (e *Edit) Claims() []infra.Claim {
	return []infra.Claim{{Name: "path:" + e.Path, As: infra.Part}}
}

// Watch names what to watch.
func (e *Edit) Watch() []string { return []string{e.Path} }

// text is the file as it is; ok is false when there is none.
func (e *Edit) text() (text string, ok bool, err error) {
	p, err := place.Open(e.Path)
	if place.Nowhere(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read %s: %w", e.Path, err)
	}
	defer p.Close()
	st, ok, err := p.Stat()
	if err != nil || !ok {
		return "", false, err
	}
	if is := place.TypeOf(st); is != "file" {
		return "", false, fault.New(fault.Conflict, "%s is a %s, and lines are changed in files only (name the file)", e.Path, is)
	}
	b, err := p.Content(largestEdited)
	return string(b), true, err
}

// compare tells what would become of the file by change, which says what it does.
func (e *Edit) compare(change func(old string) (string, infra.Action, error)) (infra.Diff, error) {
	var d infra.Diff
	old, ok, err := e.text()
	if err != nil || !ok && e.State == place.Absent {
		return d, err
	}
	text, action, err := change(old)
	if err != nil || ok && text == old {
		return d, err
	}
	d.Action = action
	d.SetContent("content", []byte(old), []byte(text))
	return d, nil
}

// apply writes what change makes of the file.
func (e *Edit) apply(ctx context.Context, h *infra.Host, change func(old string) (string, infra.Action, error)) error {
	release, err := place.Lock(h, e.Path)
	if err != nil {
		return err
	}
	defer release()
	old, ok, err := e.text()
	if err != nil {
		return err
	}
	if !ok && e.State == place.Absent {
		return nil
	}
	if !ok && !e.Create {
		return fault.New(fault.NotFound, "change %s: there is no such file (create: true makes it; or declare it: file: %s)", e.Path, e.Path)
	}
	text, _, err := change(old)
	if err != nil || ok && text == old {
		return err
	}
	p, err := place.Open(e.Path)
	if place.Nowhere(err) {
		return place.Missing(e.Path, err)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", e.Path, err)
	}
	defer p.Close()
	return p.Write(ctx, h, text, place.Writing{Validate: e.Validate, Backup: e.Backup})
}

// lines takes a text apart; each keeps its end.
func lines(text string) []string {
	var all []string
	for l := range strings.Lines(text) {
		all = append(all, l)
	}
	return all
}

// bare is a line without its end.
func bare(line string) string { return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r") }

// end is how lines of a text end: as the first one does.
func end(all []string) string {
	if len(all) > 0 && strings.HasSuffix(all[0], "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// insert puts new lines, each with its end, where the anchors say.
func (e *Edit) insert(all, added []string) []string {
	at := len(all)
	if e.InsertAfter != "" || e.InsertBefore != "" {
		anchor := regexp.MustCompile(e.InsertAfter + e.InsertBefore) // one is empty
		for i, l := range all {
			if !anchor.MatchString(bare(l)) {
				continue
			}
			if e.InsertBefore != "" {
				at = i
				break
			}
			at = i + 1
		}
	}
	if at > 0 && !strings.HasSuffix(all[at-1], "\n") {
		all[at-1] += end(all) // the last line had no end
	}
	return append(all[:at:at], append(added, all[at:]...)...)
}
