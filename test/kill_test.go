package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"steer/api/client"
	"steer/base/id"
)

// What this file kills, it kills with SIGKILL: nothing can be put in order first.

func TestKilledInTheFirstStage(t *testing.T) {
	p := serve(t, t.TempDir())
	s := newShop(t, p)
	flags := t.TempDir()
	// The stage says who it is and goes on once the file "go" exists.
	run := s.push(manifest{test: fmt.Sprintf("echo $$ >> %[1]s/pids; while [ ! -e %[1]s/go ]; do sleep 0.05; done", flags)})
	pids := func() []string {
		b, _ := os.ReadFile(filepath.Join(flags, "pids"))
		return strings.Fields(string(b))
	}
	until(t, "the stage has begun", func() error {
		if len(pids()) != 1 {
			return fmt.Errorf("%d have", len(pids()))
		}
		return nil
	})
	p.kill()
	p = serve(t, p.data)
	until(t, "the stage has begun again", func() error {
		if len(pids()) != 2 {
			return fmt.Errorf("it began %d times", len(pids()))
		}
		return nil
	})
	if alive(pids()[0]) {
		t.Errorf("process %s of the killed server still runs", pids()[0])
	}
	if err := os.WriteFile(filepath.Join(flags, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	run = p.run(run.ID, "passed")
	if run.Version != "b1" || len(pids()) != 2 {
		t.Errorf("version %s after %d tries, want b1 after 2", run.Version, len(pids()))
	}
	p.answers(p.shopAddress(), "v1")
}

// alive tells whether a process runs; one that only waits to be buried does not.
func alive(pid string) bool {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return false
	}
	state := b[bytes.LastIndexByte(b, ')')+2]
	return state != 'Z' && state != 'X'
}

func TestKilledInTheMiddleOfADeploy(t *testing.T) {
	for _, c := range []struct{ name, within, state, serves string }{
		{"the new version comes up", "60s", "passed", "v2"},
		{"the new version never comes up", "5s", "failed", "v1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := serve(t, t.TempDir())
			s := newShop(t, p)
			s.p.run(s.push(manifest{}).ID, "passed")
			address := p.shopAddress()
			p.answers(address, "v1")

			hold := filepath.Join(t.TempDir(), "come-up")
			run := s.push(manifest{env: fmt.Sprintf("{HOLD: %q}", hold), within: c.within})
			d := p.deploying(run.Version)
			p.kill()
			p = serve(t, p.data)
			p.answers(address, "v1") // at the same address, the old one until the new one is good
			watch := watchShop(t, address)
			if c.state == "passed" {
				if err := os.WriteFile(hold, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			run = p.run(run.ID, c.state)
			p.answers(address, c.serves)
			if failed := watch(); failed != "" {
				t.Errorf("a request failed after the restart: %s", failed)
			}
			d, err := p.api.DeployByID(t.Context(), d.ID)
			if err != nil {
				t.Fatal(err)
			}
			if d.State != c.state {
				t.Errorf("deploy %d is %s, want %s: %+v", d.ID, d.State, c.state, d.Failure)
			}
			if c.state == "failed" {
				// On a busy machine the node may not even answer in time.
				if d.Failure == nil || d.Failure.Message == "" || !strings.Contains(d.Failure.Probe+d.Failure.Message, "503") && !strings.Contains(d.Failure.Message, "no answer within") {
					t.Errorf("the failure does not say what the probe saw: %+v", d.Failure)
				}
				if run.Reason == "" {
					t.Error("the run does not say why it failed")
				}
			}
		})
	}
}

// watchShop asks again and again until the returned function is called, which
// says what failed first.
func watchShop(t *testing.T, address string) func() string {
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if body, err := get(address + "/"); err != nil {
				select {
				case failed <- fmt.Sprintf("%v %s", err, body):
				default:
				}
			}
		}
	}()
	stop := func() string {
		cancel()
		<-done
		select {
		case f := <-failed:
			return f
		default:
			return ""
		}
	}
	t.Cleanup(func() { stop() })
	return stop
}

// Killed at moments that chance picks, it never ends up between two versions.
func TestKilledAtAnyMomentOfADeploy(t *testing.T) {
	times := 4
	if soak, err := strconv.Atoi(os.Getenv("STEER_SOAK")); err == nil {
		times = soak
	}
	p := serve(t, t.TempDir())
	s := newShop(t, p)
	p.run(s.push(manifest{}).ID, "passed")
	p.run(s.push(manifest{}).ID, "passed")
	address := p.shopAddress()
	p.answers(address, "v2")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	for range times {
		target := id.Version("b1")
		if v, err := get(address + "/"); err != nil {
			t.Fatal(err)
		} else if v == "v1" {
			target = "b2"
		}
		d, err := p.api.Deploy(t.Context(), "shop", "production", string(target), "for a test", false)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(chance.IntN(400)) * time.Millisecond)
		p.kill()
		p = serve(t, p.data)
		until(t, fmt.Sprintf("deploy %d is over", d.ID), func() error {
			if d, err = p.api.DeployByID(t.Context(), d.ID); err == nil && d.State != "passed" && d.State != "failed" {
				err = fmt.Errorf("it is %s at %s", d.State, d.Step)
			}
			return err
		})
		want := map[id.Version]string{"b1": "v1", "b2": "v2"}[target]
		if d.State == "failed" {
			t.Logf("deploy %d failed: %+v", d.ID, d.Failure)
			want = map[id.Version]string{"b2": "v1", "b1": "v2"}[target]
		}
		p.answers(address, want)
		p.nodes(t, d, want)
	}
}

// nodes makes sure that production is what the last deploy made of it: two healthy
// nodes of one version.
func (p *process) nodes(t *testing.T, d client.Deploy, want string) {
	t.Helper()
	version := map[string]id.Version{"v1": "b1", "v2": "b2"}[want]
	until(t, fmt.Sprintf("two nodes of %s serve after deploy %d", version, d.ID), func() error {
		now, err := p.api.Now(t.Context())
		if err != nil {
			return err
		}
		for _, s := range now.Services {
			for _, place := range s.Placements {
				healthy := 0
				for _, n := range place.Nodes {
					if n.Version == version && n.State == "healthy" {
						healthy++
					}
				}
				if place.Version != version || healthy != 2 {
					return fmt.Errorf("%s with %d healthy nodes: %+v", place.Version, healthy, place.Nodes)
				}
				return nil
			}
		}
		return fmt.Errorf("nothing is placed")
	})
}

// Each batch of points has a second of its own, so that a lost batch shows as a hole.
func TestKilledWhileMetricsArrive(t *testing.T) {
	const series = 50
	for _, sync := range []string{"always", "1s"} {
		t.Run("sync "+sync, func(t *testing.T) {
			schemas := filepath.Join(t.TempDir(), "schemas.conf")
			if err := os.WriteFile(schemas, []byte("[all]\npattern = .*\nretentions = 1s:2h\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			set := []string{"store.sync=" + sync, "store.schemas=" + schemas, "agent.enabled=false"}
			p := serve(t, t.TempDir(), set...)
			conn, err := net.Dial("tcp", p.address("Graphite TCP"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			start := time.Now().Unix() - 3000
			stop := make(chan struct{})
			sent := make(chan int, 1)
			go func() { // without a pause, until the connection or the test ends
				n := 0
				defer func() { sent <- n }()
				for ; n < 2900; n++ {
					var b strings.Builder
					for i := range series {
						fmt.Fprintf(&b, "kill.s%d %d %d\n", i, n+1, start+int64(n))
					}
					if _, err := conn.Write([]byte(b.String())); err != nil {
						return
					}
					select {
					case <-stop:
						return
					case <-time.After(5 * time.Millisecond):
					}
				}
			}()
			// What can be asked for was accepted; under always it is safe by then,
			// else one interval later.
			safe := p.complete(t, series, start, 100)
			if sync != "always" {
				time.Sleep(1500 * time.Millisecond) // the promise is about time
			}
			p.kill()
			close(stop)
			total := <-sent
			p = serve(t, p.data, set...)
			after := p.complete(t, series, start, 0)
			t.Logf("%d batches sent, %d known to be safe, %d there after the kill", total, safe, after)
			if after < safe {
				t.Errorf("%d batches of %d points were safe before the kill, %d are there", safe, series, after)
			}
			if total == 2900 {
				t.Error("nothing was being sent any more when it was killed")
			}
		})
	}
}

// complete counts the batches from the first on that are there in every series,
// with their values, once there are at least a number of them.
func (p *process) complete(t *testing.T, series int, start int64, atLeast int) int {
	t.Helper()
	count := 0
	until(t, fmt.Sprintf("%d batches have arrived", atLeast), func() error {
		query := url.Values{"target": {"kill.*"}, "from": {fmt.Sprint(start - 1)}, "until": {fmt.Sprint(start + 2999)}, "format": {"json"}, "maxDataPoints": {"10000"}}
		body, err := get(p.url + "/render?" + query.Encode())
		if err != nil {
			return err
		}
		var all []struct {
			Target     string        `json:"target"`
			Datapoints [][2]*float64 `json:"datapoints"`
		}
		if err := json.Unmarshal([]byte(body), &all); err != nil {
			return err
		}
		if len(all) != series {
			return fmt.Errorf("%d of %d series", len(all), series)
		}
		count = 1 << 30
		for _, s := range all {
			values := map[int64]float64{}
			for _, d := range s.Datapoints {
				if d[0] != nil {
					values[int64(*d[1])] = *d[0]
				}
			}
			n := 0
			for values[start+int64(n)] == float64(n+1) {
				n++
			}
			count = min(count, n)
		}
		if count < atLeast {
			return fmt.Errorf("%d have", count)
		}
		return nil
	})
	return count
}
