package followup

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"steer/base/event"
	"steer/base/id"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func at(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }

// story is the journal of a fault of shop b2 in production, minute by minute: seen
// at 10, over at 15.
type story struct{ events []event.Event }

func (s *story) add(minute int, e event.Event) event.Event {
	e.Seq, e.Time = int64(len(s.events)+1), at(minute)
	e.ID = fmt.Sprint("e", e.Seq)
	s.events = append(s.events, e)
	return e
}

func data(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

type d = map[string]any

func (s *story) deploy(minute, number int, version string) {
	s.add(minute, event.Event{Type: event.Upgraded, Subject: fmt.Sprint("deploy/", number), Service: "shop", Environment: "production", Version: id.Version(version),
		Data: data(d{"kind": "deploy"}), Summary: "shop " + version + " serves"})
}

func (s *story) back(minute, number int, from string) {
	s.add(minute, event.Event{Type: event.RolledBack, Subject: fmt.Sprint("deploy/", number), Service: "shop", Environment: "production", Version: "b1",
		Data: data(d{"kind": "rollback", "previous": from}), Summary: "shop is back at b1"})
}

func (s *story) run(minute, number int, name string, failed int) {
	exit, outcome := 0, "success"
	if failed > 0 {
		exit, outcome = 1, "failure"
	}
	s.add(minute, event.Event{Type: event.StageFinished, Subject: fmt.Sprint("run/", number), Service: "shop", Version: id.Version(fmt.Sprint("b", number)),
		Data: data(d{"run": number, "stage": name, "outcome": outcome, "exit_code": exit, "tests": d{"failed": failed}}), Summary: name})
}

func (s *story) check(minute int, key, to string) {
	from := map[string]string{"OK": "CRITICAL", "CRITICAL": "OK", "NODATA": "OK"}[to]
	s.add(minute, event.Event{Type: event.CheckChanged, Subject: "check/" + key, Service: "shop", Environment: "production", Data: data(d{"from": from, "to": to}), Summary: key + " " + to})
}

func (s *story) host(minute int, kind, commit string, tests int, failing ...string) event.Event {
	return s.add(minute, event.Event{Type: kind, Subject: "host/web-1", Environment: "production",
		Data: data(d{"visit": minute, "commit": commit, "tests": tests, "failing": failing}), Summary: "web-1 changed"})
}

func (s *story) definitions(minute int, commit string) {
	s.add(minute, event.Event{Type: event.DefinitionsChanged, Subject: "definitions/" + commit, Summary: "ada changed roles/web.yaml"})
}

// faulty is the beginning of each story of the shop.
func faulty() *story {
	s := &story{}
	s.deploy(5, 2, "b2")
	s.check(10, "shop/slow", "CRITICAL")
	s.back(13, 3, "b2")
	s.check(15, "shop/slow", "OK")
	return s
}

func known7(s *story, now int) facts {
	return facts{events: s.events, within: 7 * 24 * time.Hour, now: at(now), checks: []Watched{{"shop/slow", 5 * time.Minute}, {"shop/new", time.Minute}},
		incident: Incident{Number: 7, Check: "shop/slow", ByCheck: true, Level: "CRITICAL", Service: "shop", Environment: "production", Version: "b2",
			Commit: "0123456789abcdef", Began: at(10), Opened: at(10), Resolved: at(15), ResolvedBy: "steer"}}
}

// outline is a follow-up in one line: the state, and the evidence of each step.
func outline(f Followup) string {
	words := []string{f.State}
	for _, s := range f.Steps {
		switch {
		case s.Evidence != nil:
			words = append(words, s.Evidence.Ref)
		case s.State == Waived:
			words = append(words, "waived")
		default:
			words = append(words, "-")
		}
	}
	return strings.Join(words, " ")
}

const day = 24 * 60

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		name string
		more func(s *story)
		now  int
		said []said
		want string
		next string // in what is to be done
	}{
		{"only restored", func(*story) {}, 30, nil, "following deploy/3 check/shop/slow - - - -", "fails on b2 (git checkout 01234567), and push it without the fix"},
		{"all", func(s *story) {
			s.run(20, 3, "acceptance", 1)
			s.run(30, 4, "acceptance", 0)
			s.deploy(40, 4, "b4")
		}, 45, nil, "complete deploy/3 check/shop/slow run/3/acceptance deploy/4 run/4/acceptance check/shop/slow", ""},
		{"the check needs time", func(s *story) {
			s.run(20, 3, "acceptance", 1)
			s.run(30, 4, "acceptance", 0)
			s.deploy(40, 4, "b4")
		}, 44, nil, "following deploy/3 check/shop/slow run/3/acceptance deploy/4 run/4/acceptance -", "has to stay OK until 08:45:00 UTC"},
		{"the check breaks too soon", func(s *story) {
			s.run(20, 3, "acceptance", 1)
			s.run(30, 4, "acceptance", 0)
			s.deploy(40, 4, "b4")
			s.check(43, "shop/slow", "CRITICAL")
		}, 60, nil, "following deploy/3 check/shop/slow run/3/acceptance deploy/4 run/4/acceptance -", "Watch check shop/slow"},
		{"what was OK for long enough stays so", func(s *story) {
			s.run(20, 3, "acceptance", 1)
			s.run(30, 4, "acceptance", 0)
			s.deploy(40, 4, "b4")
			s.check(46, "shop/slow", "CRITICAL")
		}, 60, nil, "complete deploy/3 check/shop/slow run/3/acceptance deploy/4 run/4/acceptance check/shop/slow", ""},
		{"red, and not green yet", func(s *story) { s.run(20, 3, "acceptance", 1); s.deploy(25, 4, "b3") }, 30, nil,
			"following deploy/3 check/shop/slow run/3/acceptance - - -", "the test that failed has to pass first"},
		{"the same commit at a second try is no fix", func(s *story) { s.run(20, 3, "acceptance", 1); s.run(22, 3, "acceptance", 0) }, 30, nil,
			"following deploy/3 check/shop/slow run/3/acceptance - - -", "real fix"},
		{"a fix without a test", func(s *story) { s.deploy(40, 4, "b4") }, 50, nil,
			"following deploy/3 check/shop/slow - deploy/4 - check/shop/slow", "Write a test"},
		{"a fix that was taken back is none", func(s *story) { s.deploy(40, 4, "b4"); s.back(42, 5, "b4"); s.deploy(50, 6, "b5") }, 60, nil,
			"following deploy/3 check/shop/slow - deploy/6 - check/shop/slow", ""},
		{"the faulty version again is no fix", func(s *story) { s.deploy(40, 4, "b2") }, 60, nil, "following deploy/3 check/shop/slow - - - -", ""},
		{"a run of before the incident is no test", func(s *story) {
			s.run(9, 3, "acceptance", 1)
		}, 60, nil, "following deploy/3 check/shop/slow - - - -", ""},
		{"the faulty version's own red run is no test", func(s *story) { s.run(20, 2, "acceptance", 1) }, 60, nil, "following deploy/3 check/shop/slow - - - -", ""},
		{"one that names a failed test is taken before a broken build", func(s *story) {
			s.run(20, 3, "commit", 1)
			s.events[len(s.events)-1].Data = data(d{"run": 3, "stage": "commit", "outcome": "failure", "exit_code": 2})
			s.run(22, 4, "commit", 0)
			s.run(23, 4, "acceptance", 1)
			s.run(25, 5, "acceptance", 0)
		}, 60, nil, "following deploy/3 check/shop/slow run/4/acceptance - run/5/acceptance -", ""},
		{"doubted evidence is not taken again", func(s *story) {
			s.run(20, 3, "acceptance", 1)
			s.run(30, 4, "acceptance", 0)
			s.run(31, 5, "acceptance", 1)
		}, 60, []said{{Step: Test, What: doubt, Evidence: &Evidence{Ref: "run/3/acceptance"}}}, "following deploy/3 check/shop/slow run/5/acceptance - - -", ""},
		{"a waiver ends with a doubt", func(*story) {}, 30, []said{{Step: Test, What: waive, By: "ada"}, {Step: Test, What: doubt, By: "bob"}},
			"following deploy/3 check/shop/slow - - - -", "Write a test"},
		{"without a test none has to pass", func(s *story) { s.deploy(40, 4, "b4") }, 50, []said{{Step: Test, What: waive, By: "ada", Reason: "no"}},
			"waived deploy/3 check/shop/slow waived deploy/4 waived check/shop/slow", ""},
		{"a better check", func(s *story) {
			s.check(14, "shop/new", "CRITICAL")
			s.check(16, "shop/new", "OK")
		}, 30, []said{{Step: Check, What: doubt, Evidence: &Evidence{Ref: "check/shop/slow"}, Reason: "customers were faster"}},
			"following deploy/3 check/shop/new - - - -", ""},
		{"time is over", func(*story) {}, 15 + 7*day, nil, "without deploy/3 check/shop/slow - - - -", "Write a test"},
		{"time is not over", func(*story) {}, 14 + 7*day, nil, "following deploy/3 check/shop/slow - - - -", ""},
		{"late is better than never", func(s *story) {
			s.run(8*day, 3, "acceptance", 1)
			s.run(8*day+1, 4, "acceptance", 0)
			s.deploy(8*day+2, 4, "b4")
		}, 9 * day, nil, "complete deploy/3 check/shop/slow run/3/acceptance deploy/4 run/4/acceptance check/shop/slow", ""},
	} {
		s := faulty()
		c.more(s)
		f := known7(s, c.now)
		f.said = c.said
		got := follow(f)
		if o := outline(got); o != c.want || !strings.Contains(got.Next, c.next) {
			t.Errorf("%s:\n got %s\nwant %s\nnext %q", c.name, o, c.want, got.Next)
		}
		if (got.Next == "") != (got.Done+got.Waived == len(got.Steps)) {
			t.Errorf("%s: %d done, next %q", c.name, got.Done, got.Next)
		}
	}
}

func TestStepsWhileItIsOpen(t *testing.T) {
	s := faulty()
	f := known7(s, 12)
	f.incident.Resolved, f.events = time.Time{}, s.events[:2]
	got := follow(f)
	if o := outline(got); o != "following - check/shop/slow - - - -" || !strings.Contains(got.Next, "steer rollback artifact=shop environment=production") || got.Until != nil {
		t.Errorf("%s, next %q, until %v", o, got.Next, got.Until)
	}
	// Nobody did anything, and it was over.
	f.incident.Resolved, f.incident.Reason = at(15), "recovered"
	if got = follow(f); got.Steps[0].Evidence.Text != "it ended by itself: recovered" || got.Steps[0].Evidence.Ref != "incident/7" {
		t.Errorf("%+v", got.Steps[0].Evidence)
	}
	f.incident.ResolvedBy, f.incident.Reason = "ada", "false alarm"
	if got = follow(f); got.Steps[0].Evidence.Text != "ada ended it: false alarm" {
		t.Errorf("%+v", got.Steps[0].Evidence)
	}
}

func TestStepsOfAHost(t *testing.T) {
	for _, c := range []struct {
		name, want string
		failing    []string
		more       func(s *story)
	}{
		{"a test of its role", "complete visit/20 visit/10 visit/10 definitions/new visit/20 visit/20", []string{"port:80"}, func(s *story) {
			s.definitions(18, "new")
			s.host(20, event.HostChanged, "new", 3)
		}},
		{"put right by hand", "following visit/20 visit/10 visit/10 - - -", []string{"port:80"}, func(s *story) { s.host(20, event.HostConverged, "old", 3) }},
		{"no test of it", "following visit/20 visit/10 - definitions/new - visit/20", nil, func(s *story) {
			s.definitions(18, "new")
			s.host(20, event.HostChanged, "new", 3)
		}},
		{"a commit that did not help", "complete visit/30 visit/10 visit/10 definitions/newer visit/30 visit/30", []string{"port:80"}, func(s *story) {
			s.definitions(18, "new")
			s.host(20, event.HostFailed, "new", 3, "port:80")
			s.definitions(28, "newer")
			s.host(30, event.HostChanged, "newer", 3)
		}},
	} {
		s := &story{}
		opened := s.host(10, event.HostFailed, "old", 3, c.failing...)
		c.more(s)
		last := s.events[len(s.events)-1].Time
		got := follow(facts{events: s.events, within: time.Hour, now: last, incident: Incident{
			Number: 7, Check: "host/web-1", Hosts: []string{"web-1"}, Roles: []string{"web"}, Environment: "production", Level: "CRITICAL",
			Began: at(10), Opened: at(10), Resolved: last, Cause: opened.ID}})
		if o := outline(got); o != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, o, c.want)
		}
	}
}

func TestStepsOfAGroup(t *testing.T) {
	s := &story{}
	s.host(9, event.HostFailed, "bad", 3, "port:80")
	opened := s.add(10, event.Event{Type: event.GroupFailed, Subject: "group/web", Summary: "bad does not reach all hosts of web", Data: data(d{"good": "old", "candidate": "bad"})})
	s.definitions(18, "new")
	s.host(20, event.HostChanged, "new", 3) // the first of its hosts
	f := facts{events: s.events, within: time.Hour, now: at(21), incident: Incident{
		Number: 7, Check: "group/web", Hosts: []string{"web-1", "web-2"}, Level: "CRITICAL", Began: at(10), Opened: at(10), Resolved: at(22), Cause: opened.ID}}
	if o := outline(follow(f)); o != "following visit/20 group/web visit/9 - - -" {
		t.Error(o)
	}
	s.add(22, event.Event{Type: event.GroupFollows, Subject: "group/web", Summary: "All hosts of web follow new", Data: data(d{"good": "new"})})
	f.events, f.now = s.events, at(23)
	if o := outline(follow(f)); o != "complete group/web group/web visit/9 definitions/new group/web group/web" {
		t.Error(o)
	}
}

// Whatever the journal holds and people say, a follow-up agrees with itself.
func TestStepsAreConsistent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := faulty()
		minute := 15
		for range rapid.IntRange(0, 30).Draw(t, "events") {
			minute += rapid.IntRange(0, 10).Draw(t, "pause")
			n := rapid.IntRange(1, 9).Draw(t, "number")
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				s.deploy(minute, 10+n, fmt.Sprint("b", n))
			case 1:
				s.run(minute, n, rapid.SampledFrom([]string{"commit", "acceptance"}).Draw(t, "stage"), rapid.IntRange(0, 1).Draw(t, "failed"))
			case 2:
				s.check(minute, rapid.SampledFrom([]string{"shop/slow", "shop/new"}).Draw(t, "check"), rapid.SampledFrom([]string{"OK", "CRITICAL", "NODATA"}).Draw(t, "to"))
			case 3:
				s.back(minute, 20+n, fmt.Sprint("b", n))
			}
		}
		f := known7(s, minute+rapid.IntRange(0, 10).Draw(t, "later"))
		first := follow(f)
		doubted := map[string]string{}
		for _, step := range first.Steps {
			switch rapid.IntRange(0, 3).Draw(t, "said of "+step.Name) {
			case 1:
				if step.Evidence != nil {
					doubted[step.Name] = step.Evidence.Ref
					f.said = append(f.said, said{Step: step.Name, What: doubt, Evidence: step.Evidence, By: "ada"})
				}
			case 2:
				if step.State == Open {
					f.said = append(f.said, said{Step: step.Name, What: waive, By: "ada"})
				}
			}
		}
		got := follow(f)
		waived := false
		byName := map[string]*Evidence{}
		for _, step := range got.Steps {
			waived = waived || step.State == Waived
			byName[step.Name] = step.Evidence
			if (step.Evidence != nil) != (step.State == Found) || (step.State == Open) != (step.Next != "") {
				t.Fatalf("%+v", step)
			}
			if e := step.Evidence; e != nil && e.Ref == doubted[step.Name] {
				t.Fatalf("%s is taken again: %+v", step.Name, e)
			}
		}
		if all := got.Done+got.Waived == len(got.Steps); all != (got.Settled != nil) || all && waived != (got.State == Waived) || all && !waived && got.State != Complete {
			t.Fatalf("%+v", got)
		}
		if e := byName[Fix]; e != nil && (!e.At.After(f.incident.Opened) || !newer(e.Version, "b2")) {
			t.Fatalf("fix: %+v", e)
		}
		if red, green := byName[Test], byName[TestPasses]; green != nil && (red == nil || green.At.Before(red.At) && green.Ref == red.Ref || !newer(green.Version, red.Version)) {
			t.Fatalf("red %+v, green %+v", red, green)
		}
		if ok, fix := byName[CheckPasses], byName[Fix]; ok != nil && (fix == nil || ok.At.Before(fix.At.Add(time.Minute))) {
			t.Fatalf("OK %+v, fix %+v", ok, fix)
		}
		if again := follow(f); outline(again) != outline(got) {
			t.Fatal("it is no function")
		}
	})
}
