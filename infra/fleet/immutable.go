package fleet

import (
	"fmt"
	"slices"
	"strings"
)

// unchanged takes what differs on a host that is never changed: it drifted from its
// image. If it was just made of that, or differs in nothing more than it did then, the
// image itself is not as declared; the text says so.
func (e *end) unchanged(failure error) (unfit string) {
	v, h := &e.v, &e.h
	if failure == nil && (v.Kind == Rebuild || !h.Made) { // else nobody could make it anew, and it would stay so
		h.Touched = nil
	}
	if !h.Immutable {
		h.Stray, h.Unfit = "", nil
	}
	if !h.Immutable || failure != nil {
		return ""
	}
	var differ []string
	for i := range v.Changes {
		if c := &v.Changes[i]; c.Status == "planned" && c.Action != "run" {
			c.Status, c.Drift = "drifted", true
			differ = append(differ, c.Ref)
		}
	}
	if len(v.Refs) == 0 {
		h.Stray = ""
	}
	if len(differ) > 0 {
		h.Stray = "not as its image: " + differences(v.Changes)
	}
	known := func(ref string) bool { return slices.Contains(e.was.Unfit, ref) }
	switch {
	case len(v.Refs) > 0:
		return ""
	case len(differ) == 0:
		h.Unfit = nil
		return ""
	case v.Kind == Rebuild || e.was.Contact.IsZero() && h.Made:
		h.Unfit = differ
	case e.was.Commit != v.Commit || slices.ContainsFunc(differ, func(ref string) bool { return !known(ref) }):
		h.Unfit = nil
		return ""
	}
	h.Stray = ""
	bake := "steer bake"
	if slices.Contains(differ, loginRef) {
		bake += " --no-login"
	}
	names := strings.Join(differ[:min(len(differ), 5)], ", ")
	if more := len(differ) - 5; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("its image is not as declared: %s (bake it anew with %s, name it in hosts.yaml, then steer fleet visit %s --kind rebuild)", names, bake, h.Name)
}

// loginRef is how manifests name that nobody can log in.
const loginRef = "login:off"

// mostDifferences bounds the text of what differs, in bytes.
const mostDifferences = 600

// differences says in one line what differs, and how it is.
func differences(changes []Change) string {
	var all []string
	for _, c := range changes {
		if c.Status != "drifted" {
			continue
		}
		var fields []string
		for _, f := range c.Fields {
			text := f.Name
			if f.Old != "" && f.Text == "" {
				text += " " + strings.Join(strings.Fields(f.Old), " ")
			}
			fields = append(fields, text)
		}
		text := c.Ref
		if len(fields) > 0 {
			text += " (" + strings.Join(fields, "; ") + ")"
		}
		all = append(all, text)
	}
	text := strings.Join(all, ", ")
	if len(text) > mostDifferences {
		text = strings.ToValidUTF8(text[:mostDifferences], "") + " …"
	}
	return text
}
