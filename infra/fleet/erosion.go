package fleet

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/base/event"
)

// Erosion is what one look at a host found: what broke or wore out although nobody
// changed anything.
type Erosion struct {
	Look     string      `json:"look"`               // arrays, disks, filesystems, memory, board, stuck, oom
	Findings []Breakdown `json:"findings,omitempty"` // what is wrong
	Note     string      `json:"note,omitempty"`     // what was looked at, and what not and why
	Off      string      `json:"off,omitempty"`      // why nobody looks
	Error    string      `json:"error,omitempty"`    // why it could not be looked; what was found before stays
	Severity string      `json:"severity,omitempty"` // of its incident
}

// Breakdown is something wrong with one thing.
type Breakdown struct {
	Of    string    `json:"of"`   // the thing: sda, md0, mysqld[312]
	Kind  string    `json:"kind"` // the trouble; with Of the same as long as it lasts
	Text  string    `json:"text"` // what is wrong and, in parentheses at its end, what a person does next
	Since time.Time `json:"since"`
}

// well tells that nothing was found.
func (e Erosion) well() bool { return len(e.Findings) == 0 }

// has tells whether the same was found.
func (e Erosion) has(b Breakdown) bool {
	return slices.ContainsFunc(e.Findings, func(o Breakdown) bool { return o.Of == b.Of && o.Kind == b.Kind })
}

// eroded is what a look had found until now.
func (h Host) eroded(look string) Erosion {
	if i := slices.IndexFunc(h.Erosion, func(e Erosion) bool { return e.Look == look }); i >= 0 {
		return h.Erosion[i]
	}
	return Erosion{Look: look}
}

// erode takes over what a visit found.
func (e *end) erode(found []Erosion) {
	if found == nil {
		return
	}
	e.h.Erosion = nil
	for _, one := range found {
		was := e.was.eroded(one.Look)
		if one.Error != "" {
			one.Findings = slices.Clone(was.Findings)
		}
		if one.Severity = worst(one.Severity, e.settings.Severity); one.well() {
			one.Severity = ""
		}
		for i, b := range one.Findings {
			one.Findings[i].Since = e.now
			for _, o := range was.Findings {
				if o.Of == b.Of && o.Kind == b.Kind {
					one.Findings[i].Since = o.Since
				}
			}
		}
		e.h.Erosion = append(e.h.Erosion, one)
	}
}

// eroded tells of what was not there before. There is one incident of each look at a
// host; when somebody ended it, what comes anew opens another.
func (e *end) eroded(ctx context.Context, tx *sql.Tx) (trouble []Trouble, err error) {
	for _, one := range e.h.Erosion {
		was := e.was.eroded(one.Look)
		news := slices.DeleteFunc(slices.Clone(one.Findings), was.has)
		if len(news) == 0 && (one.well() || one.Severity == was.Severity || worst(one.Severity, was.Severity) == was.Severity) {
			continue
		}
		first := one.Findings[0]
		if len(news) > 0 {
			first = news[0]
		}
		title := fmt.Sprintf("%s: %s", e.h.Name, titled(first.Text))
		if more := len(news) - 1; more > 0 {
			title += fmt.Sprintf(", and %d more", more)
		}
		ev := event.Event{Source: source, Type: event.HostEroded, Subject: "host/" + e.h.Name, Actor: event.Steer, Environment: e.h.Environment, Summary: title,
			Data: []byte(encoded(map[string]any{"visit": e.v.ID, "look": one.Look, "findings": one.Findings, "severity": one.Severity}))}
		if len(news) > 0 {
			if err := e.o.Journal(ctx, tx, &ev); err != nil {
				return nil, err
			}
		}
		var texts []string
		for _, b := range one.Findings[:min(len(one.Findings), 20)] {
			texts = append(texts, b.Text)
		}
		t := e.trouble(erosionKey(e.h.Name, one.Look), title, strings.Join(texts, "\n"), ev.ID)
		t.Severity = one.Severity
		trouble = append(trouble, t)
	}
	return trouble, nil
}

// erosionKey is what the incident of a look is about.
func erosionKey(host, look string) string { return "erosion/" + host + "/" + look }

// titled is what is wrong, without what to do next.
func titled(text string) string {
	if i := strings.LastIndex(text, " ("); i > 0 {
		text = text[:i]
	}
	if len(text) > 140 {
		text = strings.ToValidUTF8(text[:140], "") + "…"
	}
	return text
}

// closeErosion ends the incidents of looks that find nothing any more.
func (e *end) closeErosion(ctx context.Context) {
	gone := e.v.Kind == Destroy && e.v.State == Passed
	for _, was := range e.was.Erosion {
		is := e.h.eroded(was.Look)
		switch {
		case was.well() || !is.well() && !gone:
		case gone:
			e.o.Close(ctx, erosionKey(e.h.Name, was.Look), e.over())
		case is.Off != "":
			e.o.Close(ctx, erosionKey(e.h.Name, was.Look), "nobody looks at it any more: "+is.Off)
		default:
			e.o.Close(ctx, erosionKey(e.h.Name, was.Look), "it is well again")
		}
	}
}

// closeAgain ends the incidents about what is well, after a death before that.
func (f *Fleet) closeAgain(ctx context.Context, host string) error {
	hosts, err := readHosts(ctx, f.o.DB.Read())
	h, known := hosts[host]
	if err != nil || !known {
		return err
	}
	if h.State != HasFailed && h.State != Unreachable {
		f.o.Close(ctx, "host/"+host, host+" is "+h.State+" again")
	}
	for _, one := range h.Erosion {
		if one.well() {
			f.o.Close(ctx, erosionKey(host, one.Look), "it is well again")
		}
	}
	return nil
}
