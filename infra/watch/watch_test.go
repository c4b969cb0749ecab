package watch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"steer/infra"
	"steer/infra/infratest"
	"steer/infra/resource/file"
	"steer/infra/resource/service"
	"steer/infra/resource/system"
	"steer/infra/watch"
)

// watching is a watch under way.
type watching struct {
	t    *testing.T
	w    *watch.Watcher
	busy atomic.Bool
	mu   sync.Mutex
	told []infra.Drift
	stop func()
}

func kinds() infra.Kinds { return slices.Concat(file.Kinds(), service.Kinds(), system.Kinds()) }

// declare makes resources of KIND and YAML.
func declare(t *testing.T, all ...[2]string) []infra.Declared {
	t.Helper()
	var sent []map[string]any
	for _, one := range all {
		sent = append(sent, map[string]any{"kind": one[0], "body": one[1], "role": "r", "place": "r.yaml:1", "heal": "report"})
	}
	b, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	out, err := infra.Decode(kinds(), b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range out {
		out[i].ID = out[i].Resource.ID()
	}
	return out
}

func begin(t *testing.T, all []infra.Declared) *watching {
	t.Helper()
	w := &watching{t: t}
	w.w = watch.New(watch.Options{Busy: w.busy.Load, Drift: func(d infra.Drift) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, d)
	}})
	w.run(all)
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *watching) run(all []infra.Declared) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.w.Run(ctx, all) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// next waits for a drift of a resource and forgets those before it.
func (w *watching) next(ref string, action infra.Action) infra.Drift {
	w.t.Helper()
	start := time.Now()
	for {
		w.mu.Lock()
		for i, d := range w.told {
			if d.Ref == ref && d.Action == action {
				w.told = w.told[i+1:]
				w.mu.Unlock()
				return d
			}
		}
		told := fmt.Sprint(w.told)
		w.mu.Unlock()
		if time.Since(start) > 10*time.Second {
			w.t.Fatalf("waited for %q of %s, there is %s", action, ref, told)
		}
		time.Sleep(time.Millisecond)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	a, deep := filepath.Join(dir, "a"), filepath.Join(dir, "x/y/z/deep")
	write(t, a, "a\n")
	w := begin(t, declare(t,
		[2]string{"file", "path: " + a + "\ncontent: \"a\\n\"\n"},
		[2]string{"file", "path: " + deep + "\ncontent: \"deep\\n\"\n"}))
	if d := w.next("file:"+deep, infra.Create); d.Heal != "report" || d.Role != "r" || d.Place != "r.yaml:1" || time.Since(d.At) > time.Minute {
		t.Errorf("%+v", d)
	}
	// Written, set right again, replaced, its rights changed and back, removed.
	write(t, a, "b\n")
	if d := w.next("file:"+a, infra.Update); len(d.Fields) != 1 || !strings.Contains(d.Fields[0].Text, "+a") {
		t.Errorf("%+v", d)
	}
	write(t, a, "a\n")
	w.next("file:"+a, infra.None)
	write(t, a+".new", "c\n")
	os.Rename(a+".new", a)
	w.next("file:"+a, infra.Update)
	os.Remove(a)
	w.next("file:"+a, infra.Create)
	// Folders that appear, with what is in them, and that are moved away.
	if err := os.MkdirAll(filepath.Join(dir, "made/y/z"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "made/y/z/deep"), "deep\n")
	os.Rename(filepath.Join(dir, "made"), filepath.Join(dir, "x"))
	w.next("file:"+deep, infra.None)
	write(t, deep, "other\n")
	w.next("file:"+deep, infra.Update)
	os.Rename(filepath.Join(dir, "x"), filepath.Join(dir, "gone"))
	w.next("file:"+deep, infra.Create)
	if err := os.MkdirAll(filepath.Dir(deep), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, deep, "deep\n")
	w.next("file:"+deep, infra.None)
	os.RemoveAll(filepath.Join(dir, "x"))
	w.next("file:"+deep, infra.Create)
}

func TestWhileARunIsUnderWay(t *testing.T) {
	a := filepath.Join(t.TempDir(), "a")
	write(t, a, "a\n")
	all := declare(t, [2]string{"file", "path: " + a + "\ncontent: \"a\\n\"\n"})
	w := begin(t, all)
	write(t, a, "first\n")
	w.next("file:"+a, infra.Update)
	w.busy.Store(true)
	write(t, a, "second\n")
	write(t, a, "a\n")
	w.busy.Store(false)
	// What was there in the meantime is not told.
	w.next("file:"+a, infra.None)
	w.mu.Lock()
	if len(w.told) > 0 {
		t.Errorf("%+v", w.told)
	}
	w.mu.Unlock()
	// Drift that was told is not told again with the next manifest.
	write(t, a, "third\n")
	w.next("file:"+a, infra.Update)
	w.stop()
	w.run(append(declare(t, [2]string{"file", "path: " + a + "2\ncontent: \"a\\n\"\n"}), all...))
	w.next("file:"+a+"2", infra.Create)
	os.Remove(a)
	w.mu.Lock()
	if len(w.told) > 0 && w.told[0].Action != infra.Create {
		t.Errorf("told again: %+v", w.told)
	}
	w.mu.Unlock()
	w.next("file:"+a, infra.Create)
}

func TestSecretsAreNotTold(t *testing.T) {
	a := filepath.Join(t.TempDir(), "a")
	all := declare(t, [2]string{"file", "path: " + a + "\ncontent: hunter2\n"})
	all[0].Sensitive = true
	w := begin(t, all)
	w.next("file:"+a, infra.Create)
	write(t, a, "hunter1")
	if d := w.next("file:"+a, infra.Update); strings.Contains(fmt.Sprint(d), "hunter") || len(d.Fields) == 0 {
		t.Errorf("%+v", d)
	}
	write(t, a, "hunter3") // another difference is news, though it looks the same
	w.next("file:"+a, infra.Update)
}

func TestChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "later")
	c, err := watch.Changed(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path+"2", "not this one")
	select {
	case <-c:
		t.Error("another file is taken for it")
	default:
	}
	write(t, path, "x")
	<-c
	ctx, cancel := context.WithCancel(t.Context())
	if c, err = watch.Changed(ctx, path); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-c
}

// TestManyFiles: none is missed when all change at once.
func TestManyFiles(t *testing.T) {
	const n = 2000
	dir := t.TempDir()
	var bodies [][2]string
	for i := range n {
		path := filepath.Join(dir, fmt.Sprint(i%40), fmt.Sprint(i))
		os.MkdirAll(filepath.Dir(path), 0o755)
		write(t, path, "a\n")
		bodies = append(bodies, [2]string{"file", "path: " + path + "\ncontent: \"a\\n\"\n"})
	}
	w := begin(t, declare(t, bodies...))
	start := time.Now()
	for i := range n {
		write(t, filepath.Join(dir, fmt.Sprint(i%40), fmt.Sprint(i)), "b\n")
	}
	refs := map[string]bool{}
	for len(refs) < n {
		w.mu.Lock()
		for _, d := range w.told {
			if d.Action == infra.Update {
				refs[d.Ref] = true
			}
		}
		w.told = nil
		w.mu.Unlock()
		if time.Since(start) > 30*time.Second {
			t.Fatalf("of %d files %d were seen", n, len(refs))
		}
		time.Sleep(time.Millisecond)
	}
	t.Logf("%d files changed and seen within %s", n, time.Since(start).Round(time.Millisecond))
}

func TestUnits(t *testing.T) {
	infratest.InsideSystemd(t, func() {
		write(t, "/etc/systemd/system/shop.service", "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n")
		write(t, "/etc/systemd/system/a-b@.service", "[Service]\nExecStart=/bin/sleep infinity\n")
		write(t, "/etc/systemd/system/tick.timer", "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n")
		write(t, "/etc/systemd/system/tick.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
		infratest.Shell(t, "systemctl daemon-reload; systemctl enable --now shop tick.timer; systemctl start a-b@1")
		infratest.Shell(t, "mount -o remount,rw /proc/sys; mkdir -p '/srv/a-b c'; printf '%s\\n' 'tmpfs /srv/a-b\\040c tmpfs defaults 0 0' >> /etc/fstab; mount '/srv/a-b c'")
		w := begin(t, declare(t, [2]string{"service", "name: shop\n"}, [2]string{"service", "name: a-b@1\nenabled: false\n"}, [2]string{"service", "name: tick.timer\n"},
			[2]string{"mount", "path: /srv/a-b c\nsource: tmpfs\ntype: tmpfs\n"},
			[2]string{"sysctl", "name: net.ipv4.ip_forward\nvalue: \"1\"\n"}))
		w.next("sysctl:net.ipv4.ip_forward", infra.Create)
		for _, c := range []struct{ script, ref string }{
			{"systemctl stop shop", "service:shop"},
			{"systemctl start shop", "service:shop="},
			{"systemctl kill -s KILL shop", "service:shop"},
			{"systemctl start shop", "service:shop="},
			{"systemctl disable shop", "service:shop"},
			{"systemctl enable shop", "service:shop="},
			{"systemctl stop a-b@1", "service:a-b@1"},
			{"systemctl stop tick.timer", "service:tick.timer"},
			{"umount '/srv/a-b c'", "mount:/srv/a-b c"},
			{"systemctl daemon-reexec; systemctl start tick.timer", "service:tick.timer="},
		} {
			start := time.Now()
			infratest.Shell(t, c.script)
			ref, ok := strings.CutSuffix(c.ref, "=")
			action := infra.Update
			if ok {
				action = infra.None
			}
			d := w.next(ref, action)
			t.Logf("%s: seen after %s", c.script, d.At.Sub(start).Round(time.Millisecond))
			if took := d.At.Sub(start); took > 5*time.Second && !strings.Contains(c.script, "reexec") {
				t.Errorf("%s: seen after %s", c.script, took)
			}
		}
		start := time.Now()
		write(t, "/etc/sysctl.d/x", "")
		infratest.Shell(t, "mkdir -p /etc/sysctl.d; printf '# Written by Steer.\\nnet/ipv4/ip_forward = 1\\n' > /etc/sysctl.d/zz-steer-net.ipv4.ip_forward.conf; echo 1 > /proc/sys/net/ipv4/ip_forward")
		w.next("sysctl:net.ipv4.ip_forward", infra.None)
		infratest.Shell(t, "sysctl -qw net.ipv4.ip_forward=0")
		w.next("sysctl:net.ipv4.ip_forward", infra.Update)
		t.Logf("sysctl: seen after %s", time.Since(start).Round(time.Millisecond))
	})
}

// TestHints: on a real host, who is logged in by SSH, whose file it is, what apt and
// systemd wrote down is told with what changed, and not with what differed before.
func TestHints(t *testing.T) {
	infratest.InsideSystemd(t, func() {
		write(t, "/etc/systemd/system/shop.service", "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n")
		write(t, "/etc/motd", "welcome\n")
		infratest.Shell(t, `systemctl daemon-reload; systemctl enable --now shop; useradd -m alice; touch /run/utmp
mkdir -p /root/.ssh ~alice/.ssh /run/sshd; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id; cp /root/.ssh/id.pub ~alice/.ssh/authorized_keys; chown -R alice ~alice; chmod 700 ~alice/.ssh
systemctl start ssh`)
		w := begin(t, declare(t, [2]string{"service", "name: shop\n"}, [2]string{"file", "path: /etc/motd\nowner: root\ncontent: \"welcome\\n\"\n"},
			[2]string{"file", "path: /etc/before\ncontent: \"x\"\n"}, [2]string{"file", "path: /etc/cron.d/shop\ncontent: \"x\"\n"}))
		if d := w.next("file:/etc/before", infra.Create); len(d.Hints) > 0 {
			t.Errorf("who is there now says nothing of what differed before: %+v", d)
		}
		infratest.Shell(t, `setsid ssh -tt -i /root/.ssh/id -o StrictHostKeyChecking=no alice@127.0.0.1 'touch /tmp/there; sleep 60' >/dev/null 2>&1 </dev/null &
for i in $(seq 600); do [ -e /tmp/there ] && break; sleep 0.05; done; [ -e /tmp/there ]`)
		has := func(d infra.Drift, want string) {
			t.Helper()
			if !strings.Contains(strings.Join(d.Hints, "\n"), want) {
				t.Errorf("%q is not in %q", want, d.Hints)
			}
		}
		infratest.Shell(t, "chown alice /etc/motd")
		d := w.next("file:/etc/motd", infra.Update)
		has(d, "logged in then: alice from 127.0.0.1")
		has(d, "the file belongs to alice")
		infratest.Shell(t, "systemctl stop shop")
		has(w.next("service:shop", infra.Update), ": Stopped shop.service")
		infratest.Shell(t, "SUDO_UID=$(id -u alice) apt-get remove -y cron >/dev/null 2>&1; mkdir -p /etc/cron.d; echo y > /etc/cron.d/shop")
		has(w.next("file:/etc/cron.d/shop", infra.Update), "apt: apt-get remove -y cron, by alice")
		t.Log(d.Hints)
	})
}
