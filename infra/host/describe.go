package host

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Describe documents hosts as Markdown, those of an entry together: the inventory is the
// documentation. about says in a sentence what a role is for, and secret which of its
// parameters nobody is shown.
func Describe(hosts []Host, about func(role string) string, secret func(role, parameter string) bool) string {
	var b strings.Builder
	for len(hosts) > 0 {
		h := hosts[0]
		n := slices.IndexFunc(hosts, func(o Host) bool { return o.Item != h.Item || o.Like != h.Like || !o.Until.Equal(h.Until) })
		if n < 0 {
			n = len(hosts)
		}
		describe(&b, hosts[:n], about, secret)
		hosts = hosts[n:]
	}
	return b.String()
}

func describe(b *strings.Builder, hosts []Host, about func(string) string, secret func(role, parameter string) bool) {
	h := hosts[0]
	say := func(format string, args ...any) { fmt.Fprintf(b, format, args...) }
	say("## %s\n\n", h.Item)
	var names []string
	for _, o := range hosts {
		names = append(names, o.Name)
	}
	say("Hosts: %s.\n", strings.Join(names, ", "))
	for _, f := range [][2]string{{"Owner", string(h.Owner)}, {"Environment", string(h.Environment)}} {
		if f[1] != "" {
			say("%s: %s.\n", f[0], f[1])
		}
	}
	if h.Group != h.Item {
		say("Group: %s.\n", h.Group)
	}
	if !h.Until.IsZero() {
		say("\nThere until %s", h.Until.UTC().Format(time.RFC3339))
		if h.RequestedBy != "" {
			say(", requested by %s", h.RequestedBy)
		}
		if h.Reason != "" {
			say(": %s", strings.TrimSuffix(h.Reason, "."))
		}
		say(".\n")
	}
	say("\nEach is, in this order:\n\n")
	for _, u := range h.Roles {
		say("- %s: %s", u.Role, strings.TrimSpace(about(u.Role)))
		var with []string
		for _, key := range slices.Sorted(maps.Keys(u.With)) {
			if v, err := u.With[key].Value(); err == nil && !secret(u.Role, key) {
				with = append(with, key+" "+code(v))
			}
		}
		if len(with) > 0 {
			say(" With %s.", strings.Join(with, ", "))
		}
		say("\n")
	}
	way := strings.ReplaceAll(h.Connect, "{}", "NAME")
	if len(hosts) == 1 || way == "" {
		way = h.Address
	}
	if h.Make != nil {
		say("\nMade by steer host create, as %s.\n", h.Make.words())
	}
	if h.Make == nil || h.Connect != "" {
		say("\nReached by `%s`.\n", way)
	}
	if h.Immutable {
		say("\nNothing on it is ever changed: a change is a new image, and the host is rebuilt.\n")
	}
	say("\n%s\n\n", h.Converge.words())
}

// words say how hosts are made: the way, and what is given of it.
func (m *Make) words() string {
	text, err := json.Marshal(m)
	var ways map[string]map[string]any
	if err != nil || json.Unmarshal(text, &ways) != nil {
		return "hosts.yaml says"
	}
	var out []string
	for way, given := range ways {
		out = append(out, way)
		for _, key := range slices.Sorted(maps.Keys(given)) {
			out = append(out, key+" "+code(given[key]))
		}
	}
	return strings.Join(out, ", ")
}

// words say how a server keeps hosts.
func (c Converge) words() string {
	text := "A server visits them when somebody asks"
	if c.Every > 0 {
		text = "A server visits them every " + c.Every.String()
	}
	if c.Canary > 0 {
		text += fmt.Sprintf("; a change gets to %d of the group first", c.Canary)
		if c.Soak > 0 {
			text += ", which has to stay well for " + c.Soak.String()
		}
	}
	if c.Approve {
		text += "; before, somebody has to agree to its plan"
	}
	if c.Replace {
		text += "; who does not answer for " + c.Dead.String() + " is made anew"
	}
	if c.Drill.Every > 0 {
		text += "; one is rebuilt for practice every " + c.Drill.Every.String()
		if c.Drill.Within > 0 {
			text += ", within " + c.Drill.Within.String()
		}
	}
	return text + "."
}

// code sets a value apart from the words around it.
func code(v any) string {
	if text, ok := v.(string); ok {
		return "`" + text + "`"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "…"
	}
	return "`" + string(b) + "`"
}
