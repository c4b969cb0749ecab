package hosts

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/deploy"
	"steer/deliver/deploy/deploytest"
)

func TestDriver(t *testing.T) {
	var mu sync.Mutex
	fleets := map[string]*fleet{}
	deploytest.Driver(t, func(t *testing.T, dir string) deploytest.Life {
		mu.Lock()
		if fleets[dir] == nil {
			fleets[dir] = newFleet(t, "one")
			// What is on the host is looked at like what is here.
			fleets[dir].hosts["one"].dir = filepath.Join(dir, "host")
		}
		f := fleets[dir]
		mu.Unlock()
		d, err := New(f.options(filepath.Join(dir, "nodes")))
		if err != nil {
			t.Fatal(err)
		}
		return deploytest.Life{Driver: anywhere{d}, Run: d.Run, Close: d.Close}
	})
}

func TestNodesAreSpread(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "one", "two")
	d, stop := f.open(t.TempDir(), nil)
	for _, release := range []string{"a", "b"} {
		for n := range 4 {
			begin(t, d, fmt.Sprint(release, n), release)
		}
	}
	on := map[string]int{}
	for _, i := range list(t, d) {
		on[i.Host+" "+i.Release]++
	}
	if fmt.Sprint(on) != "map[one a:2 one b:2 two a:2 two b:2]" {
		t.Errorf("nodes are on %v", on)
	}
	if n := f.brought.Load(); n != 2 {
		t.Errorf("the artifact was brought %d times to two hosts", n)
	}
	before := answers(t, d, "a0")
	stop()
	next, _ := f.open(d.o.Dir, nil)
	if after := answers(t, next, "a0"); after.Host != before.Host || after.PID != before.PID || after.Address["http"] != before.Address["http"] {
		t.Errorf("%+v, before %+v", after, before)
	}
	if _, err := d.Start(t.Context(), deploytest.Spec("nowhere")); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "have no hosts") {
		t.Errorf("a node without hosts: %v", err)
	}
}

func TestChoose(t *testing.T) {
	of := func(release string) deploy.Spec { return deploy.Spec{Environment: "e", Service: "s", Release: release} }
	other := deploy.Spec{Environment: "e", Service: "other", Release: "a"}
	for _, c := range []struct {
		nodes map[string][]deploy.Spec
		want  string
	}{
		{nil, "one"},
		{map[string][]deploy.Spec{"one": {of("a")}}, "two"},
		{map[string][]deploy.Spec{"one": {of("a")}, "two": {of("b"), of("b")}}, "two"}, // of its release
		{map[string][]deploy.Spec{"one": {of("b"), of("b")}, "two": {of("b")}}, "two"}, // of its service
		{map[string][]deploy.Spec{"one": {other, other}, "two": {of("b")}}, "one"},
		{map[string][]deploy.Spec{"one": {other, other}, "two": {other}}, "two"}, // of all
		{map[string][]deploy.Spec{"one": {other}, "two": {of("a")}, "three": {}}, "one"},
	} {
		if got := choose(of("a"), []string{"one", "two"}, c.nodes); got != c.want {
			t.Errorf("%v: %s, want %s", c.nodes, got, c.want)
		}
	}
	if got := choose(of("a"), nil, nil); got != "" {
		t.Errorf("of no hosts: %q", got)
	}
}

func TestHostGoesAndComesBack(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "one", "two")
	d, stop := f.open(t.TempDir(), nil)
	for n := range 4 {
		begin(t, d, fmt.Sprint("n", n), "a")
	}
	var lost []string
	for n := range 4 {
		if i := answers(t, d, fmt.Sprint("n", n)); i.Host == "one" {
			lost = append(lost, i.ID)
		}
	}
	// One that is away keeps its nodes for a while.
	f.turn("one", false)
	deploytest.Until(t, "doubt", func() bool { return strings.HasSuffix(list(t, d)[lost[0]].Unsure, "host one does not answer") })
	if i := list(t, d)[lost[0]]; !i.Running || i.Host != "one" || !strings.Contains(i.Unsure, "host one is away since") {
		t.Errorf("%+v", i)
	}
	// New ones come on the other; one that is stopped is gone for whoever asked.
	if i := begin(t, d, "n5", "a"); i.Host != "two" {
		t.Errorf("a new node is on %s", i.Host)
	}
	if err := d.Stop(t.Context(), lost[0]); err != nil {
		t.Fatal(err)
	}
	// The next Steer has less patience.
	stop()
	d, _ = f.open(d.o.Dir, func(o *Options) { o.Away = config.Duration(time.Millisecond) })
	var moved deploy.Instance
	deploytest.Until(t, "a new host", func() bool { moved = list(t, d)[lost[1]]; return moved.Host == "two" && moved.Running })
	if moved.Restarts != 1 || !strings.Contains(moved.LastExit, "host one was away for") {
		t.Errorf("%+v", moved)
	}
	answers(t, d, lost[1])
	if all := f.running("one"); len(all) != 2 {
		t.Fatalf("%v are on the host that is away, want two", all)
	}
	f.turn("one", true)
	deploytest.Until(t, "the host to be empty", func() bool { return len(f.running("one")) == 0 })
	if i := list(t, d)[lost[1]]; i.Host != "two" || i.PID != moved.PID {
		t.Errorf("%+v, before %+v", i, moved)
	}
	deploytest.Until(t, "nothing left to do", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.nodes[lost[0]].Left) == 0 && len(d.nodes[lost[1]].Left) == 0
	})
}

func TestConnectionIsCut(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "one")
	d, _ := f.open(t.TempDir(), nil)
	begin(t, d, "n1", "a")
	before := answers(t, d, "n1")
	r, err := d.Logs(t.Context(), "n1", 1, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	log := bufio.NewReader(r)
	read := func(want string) {
		t.Helper()
		if got, err := log.ReadString('\n'); !strings.Contains(got, want) {
			t.Errorf("who follows the log reads %q %v, want %s", got, err, want)
		}
	}
	read("node starts")
	f.cut("one", fault.New(fault.Unavailable, "cut"))
	read("(the connection to host one ended: ")
	deploytest.Until(t, "doubt", func() bool { return list(t, d)["n1"].Unsure != "" })
	if got := deploytest.Ask(before, "/"); got != deploytest.Password {
		t.Errorf("without a connection it answers %q", got)
	}
	// It is started again there, although nobody is connected.
	deploytest.Ask(before, "/die")
	deploytest.Until(t, "restart", func() bool { return deploytest.Ask(before, "/") == deploytest.Password })
	f.cut("one", nil)
	i := answers(t, d, "n1")
	if i.Restarts != 1 || i.LastExit != "exit status 7" {
		t.Errorf("%+v", i)
	}
	said, stop := make(chan bool), make(chan bool)
	go func() { // until somebody listens again
		defer close(said)
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				deploytest.Ask(i, "/say?what=hello")
			}
		}
	}()
	read("hello")
	close(stop)
	<-said
	// A command is ended with the connection, so that it can be run again.
	s := deploytest.Spec("task")
	s.Hosts, s.Ports, s.Command = []string{"one"}, nil, "./node wait"
	err = d.Task(t.Context(), s, writer(func([]byte) { f.cut("one", nil) }))
	if fault.Of(err) != fault.Unavailable {
		t.Errorf("a command that was cut off: %v", err)
	}
	deploytest.Until(t, "its end", func() bool {
		left, _ := filepath.Glob(filepath.Join(f.hosts["one"].dir, "nodes", "tasks", "*"))
		return len(left) == 0
	})
}

func TestKeeperEnds(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "one")
	d, _ := f.open(t.TempDir(), nil)
	begin(t, d, "n1", "a")
	before := answers(t, d, "n1")
	f.mu.Lock()
	f.hosts["one"].end(true)
	f.mu.Unlock()
	if got := deploytest.Ask(before, "/"); got != deploytest.Password {
		t.Errorf("without a keeper it answers %q", got)
	}
	deploytest.Ask(before, "/die")
	// The next keeper knows no secrets until it is told.
	deploytest.Until(t, "restart", func() bool { i := list(t, d)["n1"]; return i.Running && i.PID != before.PID })
	answers(t, d, "n1")
}

// TestUnknownNodesAreStopped: as after a restored backup, or a death of Steer right
// after it began.
func TestUnknownNodesAreStopped(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "one")
	d, stop := f.open(t.TempDir(), nil)
	begin(t, d, "n1", "a")
	begin(t, d, "n2", "a")
	i := answers(t, d, "n1")
	answers(t, d, "n2")
	stop()
	// n1 is forgotten, and n2 was never begun.
	if err := os.RemoveAll(filepath.Join(d.o.Dir, "n1")); err != nil {
		t.Fatal(err)
	}
	c := newClient("one", func(ctx context.Context) (io.ReadWriteCloser, error) {
		c, _, err := f.dial(ctx, "one", Settings{})
		return c, err
	})
	defer c.hangUp()
	if err := c.call(t.Context(), time.Minute, "DELETE", "/nodes/n2", nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	d, _ = f.open(d.o.Dir, nil)
	deploytest.Until(t, "the end of n1", func() bool { return slices.Equal(f.running("one"), []string{"n2"}) })
	if deploytest.Ask(i, "/") != "" {
		t.Error("n1 answers")
	}
	answers(t, d, "n2")
}

func TestBrokenArtifactIsRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "one")
	var archive string
	d, _ := f.open(t.TempDir(), func(o *Options) {
		o.Archive = func(context.Context, string) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(archive)), nil
		}
	})
	for text, want := range map[string]string{"rubbish": "is no artifact", strings.Repeat("x", 1<<20+1): "it has more than 1 MiB"} {
		archive = text
		s := deploytest.Spec("n1")
		s.Hosts = []string{"one"}
		if _, err := d.Start(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if all := list(t, d); len(all) > 0 {
			t.Errorf("%+v", all)
		}
		os.RemoveAll(filepath.Join(d.o.Dir, "n1"))
		d.mu.Lock()
		delete(d.nodes, "n1")
		d.mu.Unlock()
	}
	if left, _ := filepath.Glob(filepath.Join(f.hosts["one"].dir, "incoming", "*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	k, err := NewKeeper(KeeperOptions{Settings: Settings{Dir: t.TempDir(), MaxMB: 1}, Nodes: func(string, func(context.Context, string, string) error, func(id.Environment, string) (string, error)) (Nodes, error) {
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer k.stats.Close()
	r, _ := http.NewRequest("PUT", "/versions/sha256:1", strings.NewReader(content))
	r.SetPathValue("digest", "sha256:1")
	r.Trailer = http.Header{headerSum: {"other"}}
	if _, err := k.bring(nil, r); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "is not what was sent") {
		t.Errorf("an artifact with another sum: %v", err)
	}
}

// TestMetricsTakeTheConnection: a node sends to its own host, and Steer gets it.
func TestMetricsTakeTheConnection(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "one")
	packets := make(chan string, 10)
	d, _ := f.open(t.TempDir(), func(o *Options) { o.Stats = func(b []byte) { packets <- string(b) } })
	s := deploytest.Spec("n1")
	s.Hosts, s.Ports = []string{"one"}, nil
	s.Command = `bash -c 'echo -n shop.sold:1\|c >/dev/udp/$STATSD_HOST/$STATSD_PORT'; sleep 1000`
	s.Env["STATSD_HOST"], s.Env["STATSD_PORT"] = "127.0.0.1", "1"
	if _, err := d.Start(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-packets:
		if got != "shop.sold:1|c" {
			t.Errorf("got %q", got)
		}
	case <-time.After(90 * time.Second):
		t.Error("nothing comes")
	}
}

// TestAttach: there is one keeper, of the newest kind, whatever became of the one
// before; nodes do not notice.
func TestAttach(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "keeper-") // the name of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := Settings{Dir: dir, Ports: "24900-24909", MaxMB: 1, Program: self}
	attached := func() (c *client, now state) {
		t.Helper()
		c = newClient("here", func(ctx context.Context) (io.ReadWriteCloser, error) { return Attach(ctx, s) })
		t.Cleanup(c.hangUp)
		if err := c.call(t.Context(), time.Minute, "GET", "/nodes", nil, nil, &now); err != nil {
			t.Fatal(err)
		}
		return c, now
	}
	c, first := attached()
	t.Cleanup(func() {
		ask(context.Background(), dir, "POST", "/leave") //nolint:errcheck // it may have ended
	})
	f := &fleet{}
	h := &host{d: &Driver{o: f.options(t.TempDir())}, client: c}
	if err := h.bring(t.Context(), "sha256:1"); err != nil {
		t.Fatal(err)
	}
	n := deploytest.Spec("n1")
	n.Digest, n.Command, n.Env = "sha256:1", "sleep 1000", nil
	if err := c.call(t.Context(), time.Minute, "PUT", "/nodes/n1", nil, n, nil); err != nil {
		t.Fatal(err)
	}
	pid := 0
	deploytest.Until(t, "a process", func() bool { _, now := attached(); pid = now.Nodes[0].PID; return pid > 0 })
	if _, now := attached(); now.Keeper != first.Keeper {
		t.Error("the second one got another keeper")
	}
	s.LogFiles = 7 // another keeper
	c, second := attached()
	if second.Keeper == first.Keeper || second.Nodes[0].PID != pid || second.Nodes[0].Restarts != 0 {
		t.Errorf("%+v, before %+v", second, first)
	}
	c.call(t.Context(), time.Minute, "POST", "/leave", map[string][]string{"nodes": {"stop"}}, nil, nil) //nolint:errcheck // it may end before it answers
	c, third := attached()
	deploytest.Until(t, "a new process", func() bool {
		var now state
		err := c.call(t.Context(), time.Minute, "GET", "/nodes", nil, nil, &now)
		return err == nil && now.Nodes[0].PID != pid && now.Nodes[0].Running && now.Nodes[0].LastExit == deploy.StoppedWithSteer
	})
	if third.Keeper == second.Keeper {
		t.Error("the keeper that was to rest goes on")
	}
	if err := c.call(t.Context(), time.Minute, "DELETE", "/nodes/n1", nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	// One that cannot start says why.
	c.call(t.Context(), time.Minute, "POST", "/leave", nil, nil, nil) //nolint:errcheck // it may end before it answers
	s.Ports = "none"
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := Attach(ctx, s); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), `"none" is no range of ports`) {
		t.Errorf("got %v", err)
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) {
	w(b)
	return len(b), nil
}
