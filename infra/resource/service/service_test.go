package service

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"steer/base/config"
	"steer/infra"
	"steer/infra/infratest"
)

func decode(t *testing.T, r infra.Resource, text string) infra.Resource {
	t.Helper()
	if err := config.Decode("test.yaml", []byte(text), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func service(t *testing.T, text string) *Service {
	t.Helper()
	return decode(t, &Service{}, text).(*Service)
}

func sh(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// differs is the diff as one line of fields, old -> new, after the host changed.
func differs(t *testing.T, h *infra.Host, r infra.Resource) string {
	t.Helper()
	h.Changed()
	d, err := r.Diff(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(string(d.Action))
	for _, f := range d.Fields {
		b.WriteString(" " + f.Name + ": " + f.Old + " -> " + f.New)
	}
	return b.String()
}

func apply(t *testing.T, h *infra.Host, r infra.Resource) error {
	t.Helper()
	h.Changed()
	d, err := r.Diff(t.Context(), h)
	if err != nil || d.Empty() {
		return err
	}
	err = r.Apply(t.Context(), h, d)
	h.Changed()
	return err
}

// becomes expects a difference, applies, and expects none.
func becomes(t *testing.T, h *infra.Host, r infra.Resource, diff string) {
	t.Helper()
	if got := differs(t, h, r); got != diff {
		t.Errorf("%s differs by %q, want %q", r.ID(), got, diff)
	}
	if err := apply(t, h, r); err != nil {
		t.Errorf("apply %s: %v", r.ID(), err)
	}
	if got := differs(t, h, r); got != "" {
		t.Errorf("%s still differs: %s", r.ID(), got)
	}
}

func contains(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error lacks %q: %v", text, err)
		}
	}
}

const tiny = "[Service]\nExecStart=/bin/sleep 1000\nExecReload=/bin/touch /reloaded\n[Install]\nWantedBy=multi-user.target\nAlias=small.service\n"

func TestService(t *testing.T) {
	infratest.InsideSystemd(t, func() {
		h := infra.NewHost(t.Context())
		s := service(t, "{name: tiny, settle: 100ms}")
		if got := differs(t, h, s); got != "update state: no such unit -> running enabled: false -> true" {
			t.Errorf("without its unit: %q", got)
		}
		contains(t, apply(t, h, service(t, "{name: tiny, enabled: false}")), "start tiny: this host has no such unit")
		if got := differs(t, h, service(t, "{name: tiny, state: stopped}")); got != "" {
			t.Errorf("what is not there runs: %q", got)
		}

		write(t, "/etc/systemd/system/tiny.service", tiny)
		becomes(t, h, s, "update state: inactive (dead) -> running enabled: false -> true")
		becomes(t, h, service(t, "name: small"), "")
		sh(t, "systemctl stop tiny")
		becomes(t, h, s, "update state: inactive (dead) -> running")
		sh(t, "systemctl disable tiny")
		becomes(t, h, s, "update enabled: false -> true")
		sh(t, "systemctl disable tiny; systemctl enable --runtime tiny")
		if got := differs(t, h, s); got != "update enabled: false -> true" {
			t.Errorf("enabled until the next start: %q", got)
		}
		becomes(t, h, s, "update enabled: false -> true")
		sh(t, "systemctl stop tiny")
		becomes(t, h, s, "update state: inactive (dead) -> running")

		// The unit changed on disk.
		write(t, "/etc/systemd/system/tiny.service", tiny+"# more\n")
		becomes(t, h, s, "update unit: as read earlier -> as on disk")

		pid := func() string { return strings.TrimSpace(sh(t, "systemctl show -P MainPID tiny")) }
		before := pid()
		if err := s.Notify(t.Context(), h); err != nil || pid() != before {
			t.Errorf("restarted though it was started in this run: %v", err)
		}
		next := infra.NewHost(t.Context())
		if err := s.Notify(t.Context(), next); err != nil || pid() == before {
			t.Errorf("not restarted: %v", err)
		}
		before = pid()
		if err := service(t, "{name: tiny, on_notify: reload, settle: 0s}").Notify(t.Context(), h); err != nil || pid() != before {
			t.Errorf("%v", err)
		}
		if _, err := os.Stat("/reloaded"); err != nil {
			t.Error("not reloaded")
		}
		write(t, "/etc/systemd/system/tiny.service", strings.Replace(tiny, "ExecReload=/bin/touch /reloaded\n", "", 1))
		h.Changed()
		contains(t, service(t, "{name: tiny, on_notify: reload, settle: 0s}").Notify(t.Context(), h), "reload tiny", "write on_notify: restart")

		becomes(t, h, service(t, "{name: tiny, state: any, enabled: false}"), "update enabled: true -> false")
		becomes(t, h, service(t, "{name: tiny, state: stopped}"), "update state: active (running) -> stopped")
		h.Changed()
		if err := service(t, "{name: tiny, state: any}").Notify(t.Context(), h); err != nil || pid() != "0" {
			t.Errorf("a stopped service was started by a notification: %v", err)
		}
		sh(t, "mv /etc/systemd/system/tiny.service /usr/lib/systemd/system/; systemctl daemon-reload")
		becomes(t, h, service(t, "{name: tiny, state: stopped, masked: true}"), "update masked: false -> true")
		sh(t, "systemctl is-enabled tiny | grep -x masked")
		becomes(t, h, s, "update masked: true -> false state: inactive (dead) -> running enabled: false -> true")
		sh(t, "systemctl mask --runtime --now tiny")
		becomes(t, h, s, "update masked: true -> false state: inactive (dead) -> running enabled: false -> true")

		sh(t, "systemctl start cron.service")
		becomes(t, h, service(t, "name: cron"), "")
		becomes(t, h, service(t, "{name: apt-daily.timer, state: stopped, masked: true}"), sh(t, `systemctl is-active -q apt-daily.timer && a="state: active (waiting) -> stopped" || true; systemctl is-enabled -q apt-daily.timer && e=" enabled: true -> false" || true; printf %s "update masked: false -> true${a:+ $a}$e"`))
	})
}

func TestServiceDies(t *testing.T) {
	infratest.InsideSystemd(t, func() {
		h := infra.NewHost(t.Context())
		unit := func(name, text string) *Service {
			write(t, "/etc/systemd/system/"+name+".service", "[Service]\n"+text+"\n")
			return service(t, "{name: "+name+", enabled: false, settle: 300ms}")
		}
		dies := unit("dies", "ExecStart=/bin/sh -c 'echo I lack my file; exit 3'")
		for range 6 { // more often than systemd would start it by itself
			contains(t, apply(t, h, dies), "start dies: it is failed (failed)", "ended with 3", "I lack my file")
		}
		contains(t, apply(t, h, unit("loops", "ExecStart=/bin/sh -c 'echo round; exit 1'\nRestart=always\nRestartSec=10ms\nStartLimitIntervalSec=0")), "start loops: ", "round")
		contains(t, apply(t, h, unit("late", "Type=notify\nTimeoutStartSec=200ms\nExecStart=/bin/sh -c 'echo never ready; sleep 100'")), "start late: ", "never ready")
		contains(t, apply(t, h, unit("once", "Type=oneshot\nExecStart=/bin/true")), "start once: it did its work", "state: any")
		contains(t, apply(t, h, service(t, "{name: systemd-journald, enabled: true}")), "enable systemd-journald", "no section [Install]")
		if got := differs(t, h, service(t, "{name: systemd-journald, enabled: false}")); got != "" {
			t.Errorf("what cannot be enabled is not: %q", got)
		}
		// Killed, it is a difference.
		lives := unit("lives", "ExecStart=/bin/sleep 1000")
		becomes(t, h, lives, "update state: inactive (dead) -> running")
		sh(t, "systemctl kill -s KILL lives; while systemctl is-active -q lives; do :; done")
		becomes(t, h, lives, "update state: failed (failed) -> running")
		if got := differs(t, h, service(t, "{name: dies, state: stopped}")); got != "" {
			t.Errorf("failed is not running: %q", got)
		}
	})
}

func TestUnit(t *testing.T) {
	infratest.InsideSystemd(t, func() {
		h := infra.NewHost(t.Context())
		u := decode(t, &Unit{}, "name: shop.service\ncontent: |\n  [Service]\n  ExecStart=/bin/sleep 1000\n  [Install]\n  WantedBy=multi-user.target\n")
		s := service(t, "name: shop")
		becomes(t, h, u, "create content:  -> ")
		becomes(t, h, s, "update state: inactive (dead) -> running enabled: false -> true")
		sh(t, "echo '# by hand' >> /etc/systemd/system/shop.service")
		becomes(t, h, u, "update content:  -> ")
		drop := decode(t, &Unit{}, "name: shop.service\ndrop_in: limits\ncontent: |\n  [Service]\n  LimitNOFILE=4242\n")
		becomes(t, h, drop, "create content:  -> ")
		becomes(t, h, s, "")
		if got := sh(t, "systemctl show -P LimitNOFILE shop"); got != "4242\n" {
			t.Errorf("the drop-in was not read: %s", got)
		}
		becomes(t, h, drop.(infra.Removable).Absent(), "delete state: present -> absent")
		gone := u.(infra.Removable).Absent()
		becomes(t, h, gone, "delete state: present -> absent")
		if got := sh(t, "systemctl is-active shop || true; ls /etc/systemd/system | grep shop || true; ls /etc/systemd/system/multi-user.target.wants | grep shop || true"); got != "inactive\n" {
			t.Errorf("left: %s", got)
		}
		// A link in its place is replaced, and what it names kept.
		sh(t, "echo x > /target; ln -s /target /etc/systemd/system/shop.service")
		becomes(t, h, u, "update content:  -> ")
		if got := sh(t, "cat /target"); got != "x\n" {
			t.Error("the link was followed")
		}
	})
}

func TestTimer(t *testing.T) {
	infratest.InsideSystemd(t, func() {
		h := infra.NewHost(t.Context())
		timer := decode(t, &Timer{}, `
name: job
schedule: '*-*-* 03:00'
command: echo "$WHO is \"100%\"" $(id -un) '\x' > /tmp/$WHO
user: nobody
delay: 90s
environment: {WHO: 'me', OTHER: 'a "b" %c $d \e'}
`)
		becomes(t, h, timer, "create timer:  ->  service:  ->  state: no such unit -> running enabled: false -> true")
		sh(t, "systemctl start job.service")
		if got := sh(t, "cat /tmp/me"); got != "me is \"100%\" nobody \\x\n" {
			t.Errorf("the command wrote %q", got)
		}
		if got := sh(t, `systemctl show -P Environment job.service`); !strings.Contains(got, `OTHER=a \"b\" %c \$d \\e`) && !strings.Contains(got, `a "b" %c $d \e`) {
			t.Errorf("environment %q", got)
		}
		sh(t, "systemctl stop job.timer")
		becomes(t, h, timer, "update state: inactive (dead) -> running")
		sh(t, "systemctl disable job.timer")
		becomes(t, h, timer, "update enabled: false -> true")
		sh(t, "echo >> /etc/systemd/system/job.service")
		becomes(t, h, timer, "update service:  -> ")
		other := timer.(*Timer)
		other.Schedule = "Mon *-*-* 04:00"
		becomes(t, h, other, "update timer:  -> ")
		if got := sh(t, "systemctl show -P TimersCalendar job.timer"); !strings.Contains(got, "Mon *-*-* 04:00:00") {
			t.Errorf("the timer still waits for %s", got)
		}
		becomes(t, h, timer.(infra.Removable).Absent(), "delete timer: /etc/systemd/system/job.timer -> absent service: /etc/systemd/system/job.service -> absent")
		other.Schedule = "each morning"
		contains(t, apply(t, h, other), "timer job", "does not understand schedule")
		other.Schedule, other.User = "daily", "nobody-here"
		contains(t, apply(t, h, other), `no user "nobody-here"`, "declare the user")
		if got := sh(t, "ls /etc/systemd/system | grep job || true"); got != "" {
			t.Errorf("left: %s", got)
		}
	})
}
