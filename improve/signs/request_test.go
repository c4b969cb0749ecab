package signs

import (
	"fmt"
	"strings"
	"testing"

	"steer/base/event"
	"steer/base/id"
)

func commit(sha, message string, who id.Person, hours float64, paths ...string) event.Event {
	return told(event.DefinitionsChanged, "definitions/"+sha, hours, map[string]any{"sha": sha, "message": message + "\n\nwhy", "paths": paths}, by(who))
}

func group(kind string, hours float64, sha string, who id.Person) event.Event {
	return told(kind, "group/web", hours, map[string]any{"name": "web", "candidate": sha, "good": sha}, by(who))
}

func TestRequests(t *testing.T) {
	week := 7 * 24.0
	wait := func(kind, decision string, hours float64, who id.Person) event.Event {
		return told(kind, "run/1", hours, map[string]any{"run": 1, "stage": "production", "decision": decision, "environment": "production"}, of("shop", "production", "b1", "chainb1"), by(who))
	}
	for _, c := range []struct {
		name   string
		events []event.Event
		infra  []id.Team
		want   string // kind count median alone/of open failed …; waiting count median, waits, own, helped
	}{
		{name: "nothing", want: "alone 0/0 own 0 helped 0 waited 0 none waits 0"},
		{
			name: "a deploy by a person", events: deployed(1, "deploy", "lovis", week+1, week+2, "b1"), infra: []id.Team{"platform"},
			want: "deploys 1 1 1/1 0 0 alone 1/1 own 0 helped 0 waited 0 none waits 0",
		}, {
			name: "a deploy by Steer is none", events: deployed(1, "deploy", "steer", week+1, week+2, "b1"), infra: []id.Team{"platform"},
			want: "alone 0/0 own 0 helped 0 waited 0 none waits 0",
		}, {
			name: "a deploy that failed", events: append(deployed(1, "deploy", "lovis", week+1, week+2, "b1")[:1], told(event.DeployFailed, "deploy/1", week+2, nil)),
			want: "deploys 0 none 0/0 1 1 alone 0/0 own 0 helped 0 waited 0 none waits 0",
		}, {
			name:   "an approval by infrastructure",
			events: append([]event.Event{wait(event.ApprovalCreated, "", week+1, "steer"), wait(event.ApprovalClosed, "approved", week+4, "pat")}, deployed(1, "deploy", "pat", week+4, week+5, "b1")...), infra: []id.Team{"platform"},
			want: "deploys 1 4 0/1 0 0 alone 0/1 own 0 helped 1 waited 1 3 waits 0",
		}, {
			name:   "an approval within the team",
			events: append([]event.Event{wait(event.ApprovalCreated, "", week+1, "steer"), wait(event.ApprovalClosed, "approved", week+4, "bob")}, deployed(1, "deploy", "bob", week+4, week+5, "b1")...),
			want:   "deploys 1 4 1/1 0 0 alone 1/1 own 0 helped 0 waited 1 3 waits 0",
		}, {
			name:   "an approval that a newer version ended is no wait",
			events: []event.Event{wait(event.ApprovalCreated, "", week+1, "steer"), wait(event.ApprovalClosed, "superseded", week+4, "steer")},
			want:   "alone 0/0 own 0 helped 0 waited 0 none waits 0",
		}, {
			name:   "an approval that is still wanted",
			events: []event.Event{wait(event.ApprovalCreated, "", week+1, "steer")},
			want:   "alone 0/0 own 0 helped 0 waited 0 none waits 1",
		}, {
			name: "a commit to hosts, approved by others",
			events: []event.Event{commit("aaa", "Bigger shop", "lovis", week+1, "hosts.yaml"), group(event.GroupBegins, week+1.1, "aaa", "steer"), group(event.GroupAsks, week+1.5, "aaa", "steer"),
				group(event.GroupApproved, week+3.5, "aaa", "pat"), group(event.GroupFollows, week+5, "aaa", "steer")},
			want: "hosts 1 4 0/1 0 0 alone 0/1 own 0 helped 1 waited 1 2 waits 0",
		}, {
			name:   "a commit that hosts heard of before the journal did",
			events: []event.Event{group(event.GroupBegins, week+1, "aaa", "steer"), commit("aaa", "Fast", "lovis", week+1, "hosts.yaml"), group(event.GroupFollows, week+2, "aaa", "steer")},
			want:   "hosts 1 1 1/1 0 0 alone 1/1 own 0 helped 0 waited 0 none waits 0",
		}, {
			name: "a commit that went on with the next one",
			events: []event.Event{commit("aaa", "One", "lovis", week+1, "roles/web.yaml"), group(event.GroupBegins, week+1, "aaa", "steer"), group(event.GroupFailed, week+2, "aaa", "steer"),
				commit("bbb", "Two", "lovis", week+3, "roles/web.yaml"), group(event.GroupBegins, week+3, "bbb", "steer"), group(event.GroupFollows, week+5, "bbb", "steer")},
			want: "hosts 2 3 2/2 0 0 alone 2/2 own 0 helped 0 waited 0 none waits 0",
		}, {
			name:   "a refusal",
			events: []event.Event{commit("aaa", "No", "lovis", week+1, "hosts.yaml"), group(event.GroupBegins, week+1, "aaa", "steer"), group(event.GroupAsks, week+1, "aaa", "steer"), group(event.GroupRefused, week+2, "aaa", "pat")},
			want:   "hosts 0 none 0/0 1 1 alone 0/0 own 0 helped 0 waited 1 1 waits 0",
		}, {
			name: "their own", events: []event.Event{commit("aaa", "Ours", "pat", week+1, "hosts.yaml"), group(event.GroupBegins, week+1, "aaa", "steer"), group(event.GroupFollows, week+2, "aaa", "steer")}, infra: []id.Team{"platform"},
			want: "hosts 1 1 0/0 0 0 alone 0/0 own 1 helped 0 waited 0 none waits 0",
		}, {
			name: "a check is in force at once", events: []event.Event{commit("aaa", "A check", "lovis", week+1, "checks/shop.yaml")},
			want: "definitions 1 0 1/1 0 0 alone 1/1 own 0 helped 0 waited 0 none waits 0",
		}, {
			name: "a new environment and service",
			events: []event.Event{commit("aaa", "uat", "lovis", week+1, "environments.yaml", "services.yaml"),
				told(event.Deployed, "deploy/1", week+3, map[string]any{"kind": "deploy"}, of("shop", "uat", "b1", "")), told(event.Deployed, "deploy/2", week+4, map[string]any{"kind": "deploy"}, of("pay", "uat", "b1", ""))},
			want: "environments 1 2 1/1 0 0 services 2 2.5 2/2 0 0 alone 3/3 own 0 helped 0 waited 0 none waits 0",
		}, {
			name: "a rebuild", events: []event.Event{told(event.HostAsked, "host/web-1", week+1, map[string]any{"visit": 3, "kind": "rebuild"}, by("lovis")), told(event.HostAsked, "host/web-1", week+1, map[string]any{"visit": 4, "kind": "converge"}, by("lovis")),
				told(event.HostRebuilt, "host/web-1", week+1.5, map[string]any{"visit": 3, "kind": "rebuild"}, by("lovis"))},
			want: "rebuilds 1 0.5 1/1 0 0 alone 1/1 own 0 helped 0 waited 0 none waits 0",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Facts{Hosts: web, Teams: people, Services: map[id.Service]id.Team{"shop": "storefront", "pay": "storefront"}, Infrastructure: c.infra}
			r := tale(c.events...).requests(weeks, Query{}, f.known())
			var got strings.Builder
			for _, k := range r.Kinds {
				if k.Times.Count+k.Open > 0 {
					fmt.Fprintf(&got, "%s %d %s %d/%d %d %d ", k.Kind, k.Times.Count, text(k.Times.Median), k.Alone.Part, k.Alone.Of, k.Open, k.Failed)
				}
			}
			fmt.Fprintf(&got, "alone %d/%d own %d helped %d waited %d %s waits %d", r.Alone.Part, r.Alone.Of, r.Own, len(r.Helped), r.Waiting.Count, text(r.Waiting.Median), len(r.Waits))
			if got.String() != c.want {
				t.Errorf("%s\nwant %s", &got, c.want)
			}
		})
	}
	// Without teams nobody can tell who is who.
	r := tale(deployed(1, "deploy", "lovis", week+1, week+2, "b1")...).requests(weeks, Query{}, Facts{}.known())
	if r.Alone.Of != 0 || r.Kinds[0].Times.Count != 1 {
		t.Errorf("%+v", r)
	}
}
