package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/infra"
	"steer/infra/agent"
	"steer/infra/converge"
	"steer/infra/host"
	"steer/infra/patch"
	"steer/infra/verify"
)

// visit is a stay on a host: here, or by way of this program there.
type visit interface {
	facts() (infra.Facts, error)
	converge(m infra.Manifest, o toConverge, event func(converge.Event)) (converge.Report, error)
	verify(tests string, retry time.Duration) (verify.Report, error) // retry: at least so long
	addTest(kind, name string) ([]byte, error)
	patches() (patch.State, error)
	capture(r infra.Declared) (captured, error)
	generations(dir string) ([]converge.Generation, error)
	rollback(o toRollback, event func(converge.Event)) (converge.Report, error)
	confirm(dir string, generation int) error
	Close() error
}

// way is how hosts are reached from here.
type way struct {
	program string          // file of this program
	agents  *agent.Registry // hosts that joined; nil: this is no server
}

// fromHere is the way of a command, which is no server.
func fromHere() (way, error) {
	program, err := os.Executable()
	if err != nil {
		return way{}, fmt.Errorf("find this program: %w", err)
	}
	return way{program: program}, nil
}

// agentAddress begins the address of a host that joined: agent://NAME.
const agentAddress = "agent://"

// visitHost begins a stay.
func visitHost(ctx context.Context, address string, self way) (visit, error) {
	if address == "local" {
		return here{ctx, infra.NewHost(ctx)}, nil
	}
	session, way, err := self.converse(ctx, address, false)
	if err != nil {
		return nil, err
	}
	return &there{session, way}, nil
}

// converse begins a conversation with this program on a host, which lasts as long as
// ctx; stay says that nobody waits for its end. Its way has to be closed too.
func (self way) converse(ctx context.Context, address string, stay bool) (*host.Session, io.Closer, error) {
	if name, ok := strings.CutPrefix(address, agentAddress); ok {
		if self.agents == nil {
			return nil, nil, fault.New(fault.Invalid, "%s comes by itself, to the server only (steer fleet, or another way: --host ssh://…)", address)
		}
		take := self.agents.Take
		if stay {
			take = self.agents.Stay
		}
		conn, err := take(ctx, id.Host(name))
		if fault.Of(err) == fault.NotFound {
			err = fault.New(fault.Unavailable, "%w", err) // it may come yet
		}
		if err != nil {
			return nil, nil, err
		}
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		return host.Over(conn), closing(func() error {
			stop()
			return conn.Close()
		}), nil
	}
	conn, err := host.Dial(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	s, err := host.Open(ctx, conn, self.program)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return s, conn, nil
}

// closing is an io.Closer.
type closing func() error

// Close calls it.
func (c closing) Close() error { return c() }

// here works in this process: nothing has to be written for the way.
type here struct {
	ctx  context.Context
	host *infra.Host
}

func (h here) facts() (infra.Facts, error) { return h.host.Facts, nil }

func (h here) converge(m infra.Manifest, o toConverge, event func(converge.Event)) (converge.Report, error) {
	return converge.Run(h.ctx, m, o.options(h.ctx, h.host, event))
}

func (h here) verify(tests string, retry time.Duration) (verify.Report, error) {
	return runTests(h.ctx, toVerify{tests, retry})
}

func (h here) addTest(kind, name string) ([]byte, error) {
	return verify.Add(h.ctx, infra.NewHost(h.ctx), kind, name)
}

func (h here) patches() (patch.State, error) { return patch.Look(h.ctx, infra.NewHost(h.ctx)) }

func (h here) capture(r infra.Declared) (captured, error) {
	return captureHere(h.ctx, infra.NewHost(h.ctx), r)
}

func (h here) generations(dir string) ([]converge.Generation, error) {
	return converge.Generations(dir)
}

func (h here) rollback(o toRollback, event func(converge.Event)) (converge.Report, error) {
	return converge.Rollback(h.ctx, o.To, o.options(h.ctx, h.host, event))
}

func (h here) confirm(dir string, generation int) error { return converge.Confirm(dir, generation) }

func (h here) Close() error { return nil }

// there works by a conversation.
type there struct {
	*host.Session
	conn io.Closer
}

func (t *there) facts() (f infra.Facts, err error) { return f, t.Call(askFacts, nil, nil, &f) }

func (t *there) converge(m infra.Manifest, o toConverge, event func(converge.Event)) (r converge.Report, err error) {
	if o.Resources, err = infra.Encode(m.Resources); err != nil {
		return r, err
	}
	return r, t.Call(askConverge, o, tellEvent(event), &r)
}

func tellEvent(event func(converge.Event)) func(json.RawMessage) {
	return func(b json.RawMessage) {
		var e converge.Event
		if json.Unmarshal(b, &e) == nil {
			event(e)
		}
	}
}

func (t *there) generations(dir string) (all []converge.Generation, err error) {
	return all, t.Call(askGenerations, toConverge{Dir: dir}, nil, &all)
}

func (t *there) rollback(o toRollback, event func(converge.Event)) (r converge.Report, err error) {
	return r, t.Call(askRollback, o, tellEvent(event), &r)
}

func (t *there) confirm(dir string, generation int) error {
	return t.Call(askConfirm, toRollback{toConverge{Dir: dir}, generation}, nil, nil)
}

func (t *there) verify(tests string, retry time.Duration) (r verify.Report, err error) {
	return r, t.Call(askVerify, toVerify{tests, retry}, nil, &r)
}

func (t *there) addTest(kind, name string) (b []byte, err error) {
	return b, t.Call(askAddTest, toAddTest{kind, name}, nil, &b)
}

func (t *there) patches() (s patch.State, err error) { return s, t.Call(askPatches, nil, nil, &s) }

func (t *there) capture(r infra.Declared) (c captured, err error) {
	b, err := infra.Encode([]infra.Declared{r})
	if err != nil {
		return c, err
	}
	return c, t.Call(askCapture, toConverge{Resources: b}, nil, &c)
}

func (t *there) Close() error {
	t.Session.Close()
	return t.conn.Close()
}
