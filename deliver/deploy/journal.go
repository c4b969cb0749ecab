package deploy

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"steer/base/event"
	"steer/base/id"
)

const source = "/steer/deploy"

func subject(number int64) string { return "deploy/" + strconv.FormatInt(number, 10) }

func subjectVersion(s id.Service, v id.Version) string {
	return "version/" + string(s) + "/" + string(v)
}

func subjectPlacement(p place) string {
	return "placement/" + string(p.environment) + "/" + string(p.service)
}

// Data is what the events of a deploy carry.
type Data struct {
	Deploy    int64      `json:"deploy"`
	Kind      string     `json:"kind"`
	Previous  id.Version `json:"previous,omitempty"`
	Digest    string     `json:"digest,omitempty"`
	Commit    string     `json:"commit,omitempty"`
	Committed *time.Time `json:"committed,omitempty"`
	Asked     time.Time  `json:"asked"`               // when somebody or something wanted it
	Unchanged bool       `json:"unchanged,omitempty"` // it served already: no change of what runs
	Failure   *Failure   `json:"failure,omitempty"`
}

// tell journals an event of a deploy and returns its id.
func (d *Deployer) tell(ctx context.Context, tx *sql.Tx, y Deploy, kind, summary, reason, cause string) (string, error) {
	data := Data{Deploy: y.ID, Kind: y.Kind, Previous: y.Previous, Asked: y.Created.UTC(), Unchanged: y.Unchanged, Failure: y.Failure}
	if r := y.release; r != nil {
		data.Digest, data.Commit = r.Digest, r.Commit
		if !r.Committed.IsZero() {
			data.Committed = &r.Committed
		}
	}
	b, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("journal %s: %w", subject(y.ID), err)
	}
	e := event.Event{Source: source, Type: kind, Subject: subject(y.ID), Data: b, Summary: summary, Actor: y.Actor, Reason: reason,
		Service: y.Service, Environment: y.Environment, Version: y.Version, Chain: y.Chain, Cause: cause}
	return appended(&e, d.o.Journal.Append(ctx, tx, &e))
}

func appended(e *event.Event, err error) (string, error) { return e.ID, err }

// node journals what happened to a node. It must not keep a deploy or a repair
// from going on, so an error is only logged.
func (d *Deployer) node(ctx context.Context, kind string, n Instance, summary, reason, chain, cause string) {
	b, _ := json.Marshal(map[string]any{"node": n.ID, "index": n.Index, "restarts": n.Restarts, "exit": n.LastExit})
	if _, err := d.o.Journal.Record(ctx, event.Event{Source: source, Type: kind, Subject: "node/" + n.ID, Data: b, Summary: summary, Reason: reason,
		Service: n.Service, Environment: n.Environment, Version: n.Version, Chain: chain, Cause: cause}); err != nil {
		d.log.Error("cannot journal an event of a node", "node", n.ID, "type", kind, "error", err)
	}
}
