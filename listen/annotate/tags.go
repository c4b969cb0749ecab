package annotate

import (
	"encoding/json"
	"slices"
	"strings"

	"steer/base/event"
)

// kind is a type of journal events that graphs show, and its tags.
type kind struct {
	typ  string
	tags []string
}

// kinds are those that people look for when a line in a graph bends. The guide
// lists them, docs/guide/graphite.md.
func kinds() []kind {
	return []kind{
		{event.Deployed, []string{"deploy"}},
		{event.Upgraded, []string{"deploy"}},
		{event.RolledBack, []string{"deploy", "rollback"}},
		{event.DeployFailed, []string{"deploy", "failed"}},
		{event.IncidentOpened, []string{"incident", "opened"}},
		{event.IncidentClosed, []string{"incident", "resolved"}},
		{event.NodeDied, []string{"node", "died"}},
		{event.ChangeMerged, []string{"commit"}},
		{event.RunFinished, []string{"run"}},
		{event.DefinitionsChanged, []string{"definitions"}},
		{event.ImportFinished, []string{"import"}},
		{event.ServerStarted, []string{"server", "started"}},
		{event.ServerStopped, []string{"server", "stopped"}},
		{event.Noted, nil}, // has what tags its author gave it
	}
}

func types() (all []string) {
	for _, k := range kinds() {
		all = append(all, k.typ)
	}
	return all
}

// shown is a journal event as graphs mark it. Those of Steer itself have also
// their service and environment as tags, and say who and why.
func shown(e event.Event) Event {
	out := Event{ID: e.Seq, When: e.Time.Unix(), What: e.Summary, Tags: []string{}}
	if e.Type == event.Noted {
		var n note
		// What another version of Steer wrote differently is left out.
		_ = json.Unmarshal(e.Data, &n)
		out.Tags, out.Data = append(out.Tags, n.Tags...), n.Data
		return out
	}
	for _, k := range kinds() {
		if k.typ == e.Type {
			out.Tags = append(out.Tags, k.tags...)
		}
	}
	for _, name := range [...]string{string(e.Service), string(e.Environment)} {
		if name != "" && !slices.Contains(out.Tags, name) {
			out.Tags = append(out.Tags, name)
		}
	}
	var texts []string
	if e.Actor != "" && e.Actor != event.Steer {
		texts = append(texts, "by "+string(e.Actor))
	}
	if e.Reason != "" {
		texts = append(texts, e.Reason)
	}
	out.Data = strings.Join(texts, ": ")
	return out
}
