package app_test

import (
	"encoding/binary"
	"errors"
	"net"
	"regexp"
	"strings"
	"testing"
)

// TestGraphsShowWhatHappened: what Steer did, and what people told it, is there for
// dashboards, and in the journal with its author.
func TestGraphsShowWhatHappened(t *testing.T) {
	s := start(t, t.TempDir())
	s.define(places)
	dora := s.as(s.give("dora", "developer"))
	if r := dora.do("POST", "/events/", `{"what": "Sale begins", "tags": ["shop", "sale"], "data": "50 %"}`); r.code != 200 {
		t.Fatal(r)
	}
	var events []struct {
		What, Data string
		Tags       []string
		When, ID   int64
	}
	find := func(query string) string {
		t.Helper()
		s.as("").do("GET", "/events/get_data?from=-1h&until=now&"+query, nil).json(t, &events)
		var all []string
		for _, e := range events {
			all = append(all, e.What)
		}
		return strings.Join(all, ", ")
	}
	if got := find("tags=sale"); got != "Sale begins" || events[0].Data != "50 %" {
		t.Errorf("%s %+v", got, events)
	}
	number := events[0].ID
	if got := find("tags=definitions"); got == "" || events[0].Data == "" {
		t.Errorf("definitions: %s %+v", got, events)
	}
	if got := find("tags=server%20started"); got == "" {
		t.Error("the start of the server is missing")
	}
	if got := find("tags=server%20sale&set=union"); !strings.HasSuffix(got, ", Sale begins") {
		t.Errorf("union: %s", got)
	}
	if r := s.as("").do("GET", `/render?target=sumSeries(events("sale"),events("no.such"))&from=-1h&until=%2B1min&format=json&noNullPoints=1`, nil); !strings.Contains(r.body, "[[1.0, ") {
		t.Errorf("the function events: %v", r)
	}
	var journal []struct {
		Seq            int64
		Actor, Summary string
	}
	s.as(s.token).do("GET", "/api/v1/events?type=dev.cdeventsx.steer-note.added.0.1.0", nil).json(t, &journal)
	if len(journal) != 1 || journal[0].Actor != "dora" || journal[0].Summary != "Sale begins" || journal[0].Seq != number {
		t.Errorf("%+v", journal)
	}
}

// TestPickleIsStored: from the socket of the pickle protocol to a graph.
func TestPickleIsStored(t *testing.T) {
	s := start(t, t.TempDir(), "receive.graphite.pickle=127.0.0.1:0")
	var to string
	s.until("the addresses are told", func() error {
		m := regexp.MustCompile(`Graphite pickle +(\S+)`).FindStringSubmatch(s.out.String())
		if m == nil {
			return errors.New(s.out.String())
		}
		to = m[1]
		return nil
	})
	conn, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const message = "\x80\x02](X\x0b\x00\x00\x00relay.pointJ\xff\xff\xff\xffG@E\x00\x00\x00\x00\x00\x00\x86\x86e." // -1 is now
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)); err != nil {
		t.Fatal(err)
	}
	s.until("the point can be read", func() error {
		if r := s.as("").do("GET", "/render?target=relay.point&from=-1min&until=%2B1min&format=json&noNullPoints=1", nil); !strings.Contains(r.body, "[[42.0, ") {
			return r
		}
		return nil
	})
}
