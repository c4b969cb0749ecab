package app

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"

	"steer/base/fault"
	"steer/infra/host"
)

// TestAddTestThere: a test is written where the thing is, on the other side of a
// conversation, and so is the error that there is none.
func TestAddTestThere(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- host.Serve(ctx, theirs, theirs, hostAnswer) }()
	v := &there{host.Over(ours), ours}
	b, err := v.addTest("file", "/etc/passwd")
	if err != nil || !strings.HasPrefix(string(b), "tests:\n  - file:\n      path: /etc/passwd\n      exists: true\n") {
		t.Errorf("%v\n%s", err, b)
	}
	if b, err := v.addTest("file", "/no/such"); fault.Of(err) != fault.NotFound {
		t.Errorf("%v\n%s", err, b)
	}
	if _, err := hostAnswer(ctx, askAddTest, json.RawMessage(`1`), nil); fault.Of(err) != fault.Invalid {
		t.Error(err)
	}
	v.Close()
	cancel()
	<-served
}
