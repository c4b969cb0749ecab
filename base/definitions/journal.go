package definitions

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/git"
	"steer/base/id"
)

// Changed is the data of an event.DefinitionsChanged.
type Changed struct {
	SHA     string   `json:"sha"`
	Author  string   `json:"author"` // as the commit says; the event's actor is who brought it here
	Email   string   `json:"email"`
	Message string   `json:"message"`
	Paths   []string `json:"paths"` // files that differ from the commit before
}

// atOnce bounds the commits of one push that the journal names, the newest.
const atOnce = 100

// Limits of one event, which is no place for everything.
const (
	maxPaths   = 500
	maxMessage = 8 << 10 // bytes
)

func cut(s string) string {
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return s
}

// tell journals the commits up to the current one that it does not know yet.
// The mark moves after each; a crash in between tries one again, which the
// journal recognizes by the event's id.
func (d *Definitions) tell(ctx context.Context) error {
	now, _ := d.Current()
	if d.Journal == nil || d.told == now {
		return nil
	}
	from, limit := d.told, atOnce
	if from == "" {
		limit = 1
	} else if known, err := d.repo.Has(ctx, from); err != nil {
		return err
	} else if !known {
		from, limit = "", 1
	}
	commits, err := d.repo.Trunk(ctx, from, now, limit)
	if err != nil {
		return err
	}
	if len(commits) == 0 { // mainline went back, which changes the content as well
		if commits, err = d.repo.Trunk(ctx, "", now, 1); err != nil {
			return err
		}
	}
	movers, err := d.repo.Movers(ctx, git.Mainline, 10*atOnce)
	if err != nil {
		return err
	}
	actors, mover := make([]string, len(commits)), ""
	for i, c := range slices.Backward(commits) {
		if m, ok := movers[c.SHA]; ok {
			mover = m
		}
		actors[i] = cmp.Or(mover, c.Author, "unknown")
	}
	for i, c := range commits {
		var before string
		if len(c.Parents) > 0 {
			before = c.Parents[0]
		}
		paths, err := d.repo.ChangedPaths(ctx, before, c.SHA)
		if err != nil {
			return err
		}
		if err := d.record(ctx, c, actors[i], paths); err != nil {
			return err
		}
	}
	if err := d.repo.Mark(ctx, journaled, now); err != nil {
		return err
	}
	d.told = now
	return nil
}

func (d *Definitions) record(ctx context.Context, c git.Commit, actor string, paths []string) error {
	summary := fmt.Sprintf("%s changed %s: %s", actor, list(paths), cmp.Or(c.Title(), "no reason given"))
	data, err := json.Marshal(Changed{c.SHA, c.Author, c.Email, cut(c.Message), paths[:min(len(paths), maxPaths)]})
	if err != nil {
		return err
	}
	_, err = d.Journal.Record(ctx, event.Event{
		ID:     fmt.Sprintf("definitions-%.12s-%s", d.told, c.SHA), // the same when it is tried again
		Source: "/steer/definitions", Type: event.DefinitionsChanged, Subject: "definitions/" + c.SHA,
		Data: data, Chain: id.New(), Actor: id.Person(actor), Reason: cut(c.Message), Summary: summary,
	})
	if err != nil && fault.Of(err) != fault.Conflict { // the latter: it is there already
		return fmt.Errorf("journal definitions %.12s: %w", c.SHA, err)
	}
	if err := d.repo.Mark(ctx, journaled, c.SHA); err != nil {
		return err
	}
	d.told = c.SHA
	return nil
}

// list names the first few files.
func list(paths []string) string {
	const few = 3
	switch n := len(paths); {
	case n == 0:
		return "no file"
	case n > few:
		return fmt.Sprintf("%s and %d more", strings.Join(paths[:few], ", "), n-few)
	}
	return strings.Join(paths, ", ")
}
