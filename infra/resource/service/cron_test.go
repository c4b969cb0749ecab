package service

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
	"steer/infra/infratest"
)

func TestCron(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		os.Remove("/etc/crontab") // is another thing
		c := decode(t, &Cron{}, "name: job\nschedule: '*/5  8-18 * * mon-fri'\ncommand: date +%F > /tmp/x\nuser: nobody\nenvironment: {MAILTO: '', SAY: ' \"hi\" '}\n")
		becomes(t, h, c, "create content:  -> ")
		want := written + "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nMAILTO=\"\"\nSAY=' \"hi\" '\n*/5 8-18 * * mon-fri nobody date +\\%F > /tmp/x\n"
		if got := sh(t, "cat /etc/cron.d/job"); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
		sh(t, "printf '* * * * * root true' > /etc/cron.d/job")
		becomes(t, h, c, "update content:  -> ")
		sh(t, "chmod 666 /etc/cron.d/job")
		becomes(t, h, c, "update mode: -rw-rw-rw- -> -rw-r--r--")
		sh(t, "chown nobody /etc/cron.d/job")
		becomes(t, h, c, "update owner: 65534 -> 0")
		sh(t, "mv /etc/cron.d/job /elsewhere; ln -s /elsewhere /etc/cron.d/job")
		becomes(t, h, c, "update mode: Lrwxrwxrwx -> -rw-r--r--")
		sh(t, "test -f /elsewhere; rm /etc/cron.d/job; ln -s /nowhere /etc/cron.d/job")
		becomes(t, h, c, "update content:  ->  mode: Lrwxrwxrwx -> -rw-r--r--")
		becomes(t, h, c.(infra.Removable).Absent(), "delete state: present -> absent")

		contains(t, apply(t, h, decode(t, &Cron{}, "{name: job, schedule: '@daily', command: x, user: nobody-here}")), "no user", "declare the user")
		contains(t, apply(t, h, decode(t, &Timer{}, "{name: job, schedule: daily, command: x}")), "timer job needs systemd", "write it as a cron")
		sh(t, "rm -r /usr/sbin/cron /etc/cron.d")
		h = infra.NewHost(t.Context())
		contains(t, apply(t, h, c), "this host has no cron", "cronie")
		if got := differs(t, h, c); got != "create content:  -> " {
			t.Errorf("%q", got)
		}
	})
}

// cron itself runs the job: names, times and rights are as it wants them.
func TestCronRuns(t *testing.T) {
	infratest.InsideSystemd(t, func() {
		h := infra.NewHost(t.Context())
		sh(t, "systemctl stop cron; rm -f /run/crond.reboot; mkfifo -m 666 /done")
		becomes(t, h, decode(t, &Cron{}, "name: at-start\nschedule: '@reboot'\ncommand: echo \"$WHO $(id -un) 100%\" > /done\nuser: nobody\nenvironment: {WHO: ' me'}\n"), "create content:  -> ")
		sh(t, "systemctl start cron")
		if got := sh(t, "timeout 20 cat /done"); got != " me nobody 100%\n" {
			t.Errorf("the job wrote %q; cron says %s", got, sh(t, "journalctl -u cron -o cat | tail"))
		}
	})
}

func TestScripts(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		if h.Facts.Init != "sysv" {
			t.Fatalf("the host has %s", h.Facts.Init)
		}
		sh(t, "update-rc.d -f cron remove")
		cron := service(t, "{name: cron, settle: 100ms}")
		becomes(t, h, cron, "update state: stopped -> running enabled: false -> true")
		sh(t, "kill -0 $(cat /run/crond.pid)")
		becomes(t, h, service(t, "name: cron.service"), "")
		sh(t, "update-rc.d cron disable")
		becomes(t, h, cron, "update enabled: false -> true")

		write(t, "/etc/init.d/web", "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: web\n# Required-Start:\n# Required-Stop:\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\n"+
			"case $1 in start) touch /up;; stop) rm /up;; restart) echo >> /again;; status) test -e /up || exit 1;; esac\n")
		web := service(t, "{name: web, settle: 0s}")
		becomes(t, h, web, "update state: dead -> running enabled: false -> true")
		restarts := func() string { return sh(t, "cat /again 2>/dev/null || true") }
		if err := web.Notify(t.Context(), h); err != nil || restarts() != "" {
			t.Errorf("restarted though it was started in this run: %v", err)
		}
		if err := web.Notify(t.Context(), infra.NewHost(t.Context())); err != nil || restarts() != "\n" {
			t.Errorf("not restarted: %v", err)
		}
		becomes(t, h, service(t, "{name: web, state: stopped}"), "update state: running -> stopped enabled: true -> false")

		contains(t, apply(t, h, service(t, "{name: none, enabled: false}")), "start none: there is no script /etc/init.d/none")
		contains(t, apply(t, h, service(t, "{name: cron, state: stopped, masked: true}")), "only systemd can do that")
		_, err := service(t, "name: x.timer").Diff(t.Context(), h)
		contains(t, err, "x.timer is a unit of systemd")
		write(t, "/etc/init.d/dies", "#!/bin/sh\ncase $1 in status) exit 3;; esac\n")
		contains(t, apply(t, h, service(t, "{name: dies, enabled: false}")), "start dies: it is not running after that", "stopped")
		write(t, "/etc/init.d/fails", "#!/bin/sh\ncase $1 in status) exit 3;; esac\necho bad configuration; exit 6\n")
		contains(t, apply(t, h, service(t, "{name: fails, enabled: false}")), "ended with code 6: bad configuration")
		_, err = service(t, "name: x").Diff(t.Context(), &infra.Host{})
		contains(t, err, "nothing runs services")
	})
}

// The programs of openrc are written here after their manuals.
func TestOpenrc(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		h.Facts.Init = "openrc"
		sh(t, "mkdir -p /etc/runlevels/default /usr/local/sbin")
		write(t, "/etc/init.d/web", "#!/bin/sh\ncase $1 in start) touch /up;; stop) rm /up;; restart) touch /again;; status) test -e /up || exit 32;; esac\n")
		write(t, "/usr/local/sbin/rc-service", "#!/bin/sh\nexec /etc/init.d/$1 $2\n")
		write(t, "/usr/local/sbin/rc-update", "#!/bin/sh\ncase $1 in add) ln -s /etc/init.d/$2 /etc/runlevels/$3/;; --all) rm /etc/runlevels/*/$3;; esac\n")
		web := service(t, "{name: web, settle: 0s}")
		becomes(t, h, web, "update state: dead -> running enabled: false -> true")
		next := infra.NewHost(t.Context())
		next.Facts.Init = "openrc"
		if err := web.Notify(t.Context(), next); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat("/again"); err != nil {
			t.Error("not restarted")
		}
		becomes(t, h, service(t, "{name: web, state: stopped}"), "update state: running -> stopped enabled: true -> false")
	})
}

func TestSchedules(t *testing.T) {
	for _, good := range []string{"0 0 * * *", "*/5 8-18/2 1,15 jan-mar,12 MON-fri", "@daily", "@reboot", "0 0 29 2 *", "0 0 31 2 1", "59 23 31 12 7", " 1 2 3 4 5 "} {
		if err := checkSchedule(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"": "five fields", "* * * *": "five fields", "* * * * * *": "five fields", "60 * * * *": "no minute (0 to 59", "* 24 * * *": "no hour",
		"* * 0 * *": "no day of month", "* * * 13 *": "no month", "* * * * 8": "no day of week", "5-1 * * * *": "no minute", "*/0 * * * *": "no minute",
		"5/10 * * * *": "no minute", "+5 * * * *": "no minute", "-1 * * * *": "no minute", "1,,2 * * * *": "no minute", "@often": "@hourly", "0~9 * * * *": "no minute",
		"0 0 30 2 *": "never comes", "0 0 31 4,6,9,11 *": "never comes", "* * * * mo": "no day of week",
	} {
		if err := checkSchedule(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", bad, err, want)
		}
	}
}

func TestUnits(t *testing.T) {
	all := parseUnits("Type=notify\nId=ssh.service\nNames=ssh.service sshd.service\nActiveState=active\nResult=\n\nId=x.timer\nNames=x.timer\nDescription=a=b\n")
	if len(all) != 3 || all["sshd.service"]["Id"] != "ssh.service" || all["x.timer"]["Description"] != "a=b" {
		t.Error(all)
	}
	for name, want := range map[string]string{"nginx": "nginx.service", "php8.2-fpm": "php8.2-fpm.service", "a.timer": "a.timer", "getty@tty1": "getty@tty1.service"} {
		if got := unit(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for states, want := range map[string]bool{"active running": true, "active exited": true, "activating start": true, "activating auto-restart": false, "activating auto-restart-queued": false, "failed failed": false, "inactive dead": false, "deactivating stop": false, "reloading reload": true} {
		var active, sub string
		fmt.Sscan(states, &active, &sub)
		if runs(map[string]string{"ActiveState": active, "SubState": sub}) != want {
			t.Error(states)
		}
	}
}

func TestWrongDeclarations(t *testing.T) {
	for _, c := range []struct {
		into infra.Resource
		yaml string
		want string
	}{
		{&Service{}, "{}", "name: "},
		{&Service{}, "name: -x", "is no name of a service"},
		{&Service{}, "name: 'a*'", "is no name of a service"},
		{&Service{}, "{name: x, state: restarted}", "restarts come from notify"},
		{&Service{}, "{name: x, masked: true}", "write state: stopped"},
		{&Service{}, "{name: x, state: stopped, enabled: true, masked: true}", "write state: stopped"},
		{&Service{}, "{name: x, on_notify: stop}", "neither restart nor reload"},
		{&Service{}, "{name: x, settle: 2h}", "settle: "},
		{&Unit{}, "{name: x, content: '[Service]'}", "no whole name"},
		{&Unit{}, "{name: x.service}", "content: is missing"},
		{&Unit{}, "{name: x.service, content: 'ExecStart=/bin/x'}", "begins with a section"},
		{&Unit{}, "{name: x.service, content: '# nothing'}", "counts as masked"},
		{&Unit{}, "{name: x.service, content: '[Service]', file: x}", "drop content or file"},
		{&Unit{}, "{name: x.service, drop_in: a/b, content: '[Service]'}", "drop_in: "},
		{&Timer{}, "{name: a.timer, schedule: daily, command: x}", "without .timer"},
		{&Timer{}, "{name: a, command: x}", "schedule: "},
		{&Timer{}, "{name: a, schedule: daily}", "command: "},
		{&Timer{}, "{name: a, schedule: daily, command: x, user: 'a b'}", "user: "},
		{&Timer{}, "{name: a, schedule: daily, command: x, delay: -5s}", "delay: "},
		{&Timer{}, "{name: a, schedule: daily, command: x, environment: {1a: b}}", "no name of a variable"},
		{&Cron{}, "{name: a.b, schedule: '@daily', command: x}", "cron skips a file"},
		{&Cron{}, "{name: a, schedule: '61 * * * *', command: x}", "schedule: "},
		{&Cron{}, "{name: a, schedule: '@daily', command: \"x\\n* * * * * root y\"}", "not one line"},
		{&Cron{}, "{name: a, schedule: '@daily', command: x, state: gone}", "neither present nor absent"},
		{&Cron{}, "{name: a, schedule: '@daily', command: x, environment: {A: \"b\\nc\"}}", "more than one line"},
		{&Cron{}, "{name: a, schedule: '@daily', command: x, environment: {A: '\"''\"'}}", "both kinds of quotes"},
	} {
		err := config.Decode("test.yaml", []byte(c.yaml), c.into)
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v, want %q", c.yaml, err, c.want)
		}
	}
}
