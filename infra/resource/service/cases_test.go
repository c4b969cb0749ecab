package service

import (
	"testing"

	"steer/infra/infratest"
)

// TestCases: situations that the tests of other tools look at, and some of our own.
func TestCases(t *testing.T) {
	infratest.InsideSystemd(t, func() {
		infratest.Cases(t, Kinds(), serviceCases())
		infratest.Cases(t, Kinds(), unitCases())
		infratest.Cases(t, Kinds(), timerCases())
		infratest.Cases(t, Kinds(), cronCases())
	})
}

// has is a script that writes a unit and lets systemd read it.
func has(name, text string) string {
	return "cat > '/etc/systemd/system/" + name + "' <<'END'\n" + text + "\nEND\nsystemctl daemon-reload\n"
}

const (
	sleeps  = "[Service]\nExecStart=/bin/sleep 1000\n"
	install = "[Install]\nWantedBy=multi-user.target"
)

func serviceCases() []infratest.Case {
	service := func(text string) string { return "service: {settle: 100ms, " + text + "}" }
	const up = "systemctl is-active -q "
	return []infratest.Case{
		{Name: "never started", From: "ansible systemd", Before: has("a.service", sleeps+install), YAML: service("name: a"), Diff: "update state, enabled", After: up + "a; systemctl is-enabled -q a"},
		{Name: "runs and starts with the host", From: "ansible systemd", YAML: service("name: a")},
		{Name: "its whole name", From: "pyinfra systemd.service", YAML: service("name: a.service")},
		{Name: "stopped by hand", From: "puppet service", Before: "systemctl stop a", YAML: service("name: a"), Diff: "update state", After: up + "a"},
		{Name: "disabled by hand", From: "puppet service enable", Before: "systemctl disable -q a", YAML: service("name: a"), Diff: "update enabled"},
		{Name: "enabled until the host starts anew", From: "ansible systemd enabled_runtime", Before: "systemctl disable -q a; systemctl enable -q --runtime a", YAML: service("name: a"), Diff: "update enabled", After: "test -L /etc/systemd/system/multi-user.target.wants/a.service; systemctl disable -q --runtime a"},
		{Name: "started with the host, and not now", From: "ansible service", Before: "systemctl stop a", YAML: service("name: a, state: any, enabled: true"), After: "! " + up + "a"},
		{Name: "running now, and not with the host", From: "ansible service", YAML: service("name: a, enabled: false"), Diff: "update state, enabled", After: up + "a"},
		{Name: "stopped", From: "salt service.dead", YAML: service("name: a, state: stopped"), Diff: "update state", After: "! " + up + "a"},
		{Name: "stopped already", From: "salt service.dead", YAML: service("name: a, state: stopped")},
		{Name: "a name with dots", From: "pyinfra systemd.service (ambiguous unit)", Before: has("org.example.app.service", sleeps+install), YAML: service("name: org.example.app"), Diff: "update state, enabled", After: up + "org.example.app.service"},
		{Name: "a name with an escaped blank", From: "pyinfra systemd.service (quotes)", Before: "systemctl daemon-reload; " + has(`with\x20blank.service`, sleeps), YAML: service(`name: 'with\x20blank', enabled: false`), Diff: "update state", After: up + `'with\x20blank.service'`},
		{Name: "no such unit runs", From: "ansible systemd", YAML: service("name: no-such"), Error: "this host has no such unit"},
		{Name: "no such unit is stopped", From: "puppet service stopped", YAML: service("name: no-such, state: stopped"), Differs: "Ansible fails; what is not there does not run"},
		{Name: "no such unit is masked", From: "ansible systemd mask", YAML: service("name: no-such, state: stopped, masked: true"), Diff: "update masked", After: "test $(readlink /etc/systemd/system/no-such.service) = /dev/null; systemctl -q unmask no-such"},
		{Name: "a unit without anything it starts with", From: "ansible systemd", Before: has("static.service", sleeps), YAML: service("name: static"), Error: "no section [Install]"},
		{Name: "such a unit, only running", From: "ansible systemd", YAML: service("name: static, enabled: false"), Diff: "update state"},
		{Name: "masked", From: "ansible systemd mask", Before: "mv /etc/systemd/system/a.service /usr/lib/systemd/system; systemctl daemon-reload; systemctl mask -q a", YAML: service("name: a"), Diff: "update masked, state, enabled", After: up + "a"},
		{Name: "masked while it runs", From: "ansible systemd mask", YAML: service("name: a, state: stopped, masked: true"), Diff: "update masked, state, enabled", After: "! " + up + "a"},
		{Name: "masked already", From: "ansible systemd mask", YAML: service("name: a, state: stopped, masked: true"), After: "systemctl unmask -q a"},
		{Name: "masked until the host starts anew", From: "ansible systemd mask", Before: "systemctl mask -q --runtime a", YAML: service("name: a"), Diff: "update masked, state, enabled", After: up + "a"},
		{Name: "a unit of the administrator cannot be masked", From: "ansible systemd mask", Before: has("mine.service", sleeps+install), YAML: service("name: mine, state: stopped, masked: true"), Error: "is a file of the administrator, which a mask would replace", After: "test -f /etc/systemd/system/mine.service"},
		{Name: "an instance of a template", From: "ansible systemd (unit template)", Before: has("t@.service", "[Service]\nExecStart=/bin/sleep 10%i\n"+install), YAML: service("name: t@01"), Diff: "update state, enabled", After: up + "t@01; ! systemctl is-enabled -q t@02"},
		{Name: "the instance already", From: "ansible systemd (unit template)", YAML: service("name: t@01")},
		{Name: "another instance", From: "puppet service", YAML: service("name: t@02, enabled: false"), Diff: "update state"},
		{Name: "an instance with a path", From: "own", YAML: service(`name: 't@0\x2d1', state: stopped`)},
		{Name: "a template itself", From: "ansible systemd (unit template)", YAML: service("name: t@"), Error: "is a template of units"},
		{Name: "only its socket starts it", From: "ansible systemd (indirect)", Before: has("ind.socket", "[Socket]\nListenStream=/run/ind\n[Install]\nWantedBy=sockets.target") + has("ind.service", sleeps+"[Install]\nAlso=ind.socket"), YAML: service("name: ind"), Error: "write enabled: false, and a service for what it names under Also",
			Differs: "Ansible enables what it names under Also; here each unit is a resource of its own"},
		{Name: "its socket", From: "ansible systemd (indirect)", YAML: service("name: ind.socket"), Diff: "update state, enabled", After: "systemctl stop -q ind.socket"},
		{Name: "a service that its socket may wake", From: "own", Before: "systemctl start ind.socket; systemctl start ind.service", YAML: service("name: ind, state: stopped"), Diff: "update state", After: up + "ind.socket; systemctl stop -q ind.socket"},
		{Name: "by another name", From: "puppet service", Before: has("real.service", sleeps+install+"\nAlias=other.service") + "systemctl enable -q --now real", YAML: service("name: other")},
		{Name: "stopped by another name", From: "puppet service", YAML: service("name: other, state: stopped, enabled: true"), Diff: "update state", After: "! " + up + "real"},
		{Name: "a unit that is a link of the administrator", From: "own", Before: "printf '[Service]\\nExecStart=/bin/sleep 1000\\n[Install]\\nWantedBy=multi-user.target\\n' > /linked.service; systemctl link -q /linked.service", YAML: service("name: linked"), Diff: "update state, enabled", After: up + "linked"},
		{Name: "a link of a package to another name", From: "own", Before: "printf '[Service]\\nExecStart=/bin/sleep 1000\\n[Install]\\nWantedBy=multi-user.target\\n' > /usr/lib/systemd/system/new.service; ln -s new.service /usr/lib/systemd/system/old.service; systemctl daemon-reload", YAML: service("name: old"), Diff: "update state, enabled", After: up + "new; systemctl is-enabled -q new"},
		{Name: "failed", From: "puppet service", Before: has("fails.service", "[Service]\nExecStart=/bin/sh -c 'test -e /tmp/good || exit 3; exec sleep 1000'\n") + "systemctl start fails; while " + up + "fails; do sleep 0.02; done; touch /tmp/good", YAML: service("name: fails, enabled: false"), Diff: "update state", After: up + "fails; rm /tmp/good"},
		{Name: "failed and to be stopped", From: "puppet service", Before: "systemctl kill -s KILL fails; while " + up + "fails; do sleep 0.02; done", YAML: service("name: fails, state: stopped")},
		{Name: "it dies at once", From: "own", YAML: service("name: fails, enabled: false"), Error: "ended with 3",
			Differs: "others start it anew each time and say that all is well"},
		{Name: "it does its work and stays active", From: "ansible systemd", Before: has("once.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"), YAML: service("name: once, enabled: false"), Diff: "update state"},
		{Name: "it does its work and ends", From: "salt service.running", Before: has("ends.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n"), YAML: service("name: ends, enabled: false"), Error: "it did its work and ended"},
		{Name: "its conditions are not met", From: "own", Before: has("cond.service", "[Unit]\nConditionPathExists=/no/such\n"+sleeps), YAML: service("name: cond, enabled: false"), Error: "its conditions are not met"},
		{Name: "its unit is wrong", From: "own", Before: has("bad.service", "[Service]\nType=simple\n"), YAML: service("name: bad, enabled: false"), Error: "bad"},
		{Name: "its unit changed on disk", From: "ansible systemd daemon_reload", Before: "systemctl start static; echo '# more' >> /etc/systemd/system/static.service", YAML: service("name: static, enabled: false"), Diff: "update unit"},
		{Name: "its unit is gone while it runs", From: "own", Before: "rm /etc/systemd/system/static.service", YAML: service("name: static, state: stopped"), Diff: "update unit, state", After: "! " + up + "static"},
		{Name: "what somebody started without a unit", From: "own", Before: "systemd-run -q --unit=adhoc sleep 1000", YAML: service("name: adhoc, state: stopped"), Diff: "update state", After: "! " + up + "adhoc"},
		{Name: "a timer", From: "pyinfra systemd.service (timer)", Before: has("tick.timer", "[Timer]\nOnCalendar=yearly\nUnit=ends.service\n[Install]\nWantedBy=timers.target"), YAML: service("name: tick.timer"), Diff: "update state, enabled", After: up + "tick.timer"},
		{Name: "a path", From: "own", Before: has("look.path", "[Path]\nPathExists=/no/such\nUnit=ends.service\n[Install]\nWantedBy=multi-user.target"), YAML: service("name: look.path"), Diff: "update state, enabled"},
		{Name: "a target", From: "own", Before: has("all.target", "[Unit]\nDescription=all\n"+install), YAML: service("name: all.target"), Diff: "update state, enabled"},
		{Name: "a script of System V", From: "puppet service (init on systemd)", Before: "printf '#!/bin/sh\\n### BEGIN INIT INFO\\n# Provides: sysv\\n# Default-Start: 2 3 4 5\\n# Default-Stop: 0 1 6\\n### END INIT INFO\\n' > /etc/init.d/sysv; chmod +x /etc/init.d/sysv; systemctl daemon-reload", YAML: service("name: sysv"), Diff: "update state, enabled", After: "test -n \"$(ls /etc/rc2.d/S*sysv)\""},
		{Name: "it is restarted by a state", From: "ansible service restarted", YAML: service("name: a, state: restarted"), Error: "restarts come from notify",
			Differs: "a restart in each run is no state: it comes with a change, by notify"},
	}
}

func unitCases() []infratest.Case {
	unit := func(text string) string { return "unit: {" + text + "}" }
	const body = `content: "[Service]\nExecStart=/bin/sleep 1000\n"`
	const at = "/etc/systemd/system/u.service"
	return []infratest.Case{
		{Name: "new", From: "own", YAML: unit("name: u.service, " + body), Diff: "create content", After: "test $(systemctl show -P LoadState u) = loaded"},
		{Name: "there", From: "own", YAML: unit("name: u.service, " + body)},
		{Name: "a masked unit", From: "own", Before: "rm " + at + "; systemctl mask -q u", YAML: unit("name: u.service, " + body), Diff: "update content", After: "test ! -L " + at + "; test $(systemctl show -P LoadState u) = loaded"},
		{Name: "a link that leads nowhere", From: "own", Before: "ln -sf /no/such " + at, YAML: unit("name: u.service, " + body), Diff: "update content", After: "test -f " + at},
		{Name: "a folder is in its place", From: "own", Before: "rm " + at + "; mkdir " + at, YAML: unit("name: u.service, " + body), Error: "is a directory", After: "rmdir " + at},
		{Name: "who may write it is root", From: "own", Before: "printf '[Service]\\nExecStart=/bin/sleep 1000\\n' > " + at + "; chmod 666 " + at + "; chown nobody " + at, YAML: unit("name: u.service, " + body), Diff: "update mode, owner", After: "test \"$(stat -c '%U %a' " + at + ")\" = 'root 644'"},
		{Name: "a mode that lets nobody in", From: "own", Before: "chmod 600 " + at, YAML: unit("name: u.service, " + body)},
		{Name: "an addition", From: "ansible systemd (drop-in)", YAML: unit(`name: u.service, drop_in: more, content: "[Service]\nNice=5\n"`), Diff: "create content", After: "test $(systemctl show -P Nice u) = 5"},
		{Name: "an addition to an instance of a template", From: "own", YAML: unit(`name: 't@01.service', drop_in: more, content: "[Service]\nNice=5\n"`), Diff: "create content", After: "test $(systemctl show -P Nice t@01) = 5"},
		{Name: "the last addition goes with its folder", From: "own", YAML: unit("name: u.service, drop_in: more, state: absent"), Diff: "delete state", After: "test ! -e " + at + ".d"},
		{Name: "an addition goes, that of others stays", From: "own", Before: "mkdir " + at + ".d; touch " + at + ".d/more.conf " + at + ".d/x.conf", YAML: unit("name: u.service, drop_in: more, state: absent"), Diff: "delete state", After: "test -f " + at + ".d/x.conf; rm -r " + at + ".d"},
		{Name: "it goes while it runs", From: "own", Before: "systemctl start u", YAML: unit("name: u.service, state: absent"), Diff: "delete state", After: "test $(systemctl show -P ActiveState u) = inactive; test ! -e " + at},
		{Name: "it is gone", From: "own", YAML: unit("name: u.service, state: absent")},
		{Name: "without an end", From: "own", YAML: unit(`name: u.service, content: "[Service]\nExecStart=/bin/sleep 1000"`), Diff: "create content", After: "test $(tail -c 4 " + at + ") = 1000; rm " + at},
		{Name: "with nothing in it", From: "own", YAML: unit(`name: u.service, content: "# later\n"`), Error: "counts as masked"},
	}
}

func timerCases() []infratest.Case {
	timer := func(text string) string { return "timer: {name: job, " + text + "}" }
	return []infratest.Case{
		{Name: "new", From: "own", YAML: timer("schedule: daily, command: 'true'"), Diff: "create timer, service, state, enabled", After: "systemctl is-active -q job.timer"},
		{Name: "there", From: "own", YAML: timer("schedule: daily, command: 'true'")},
		{Name: "at another time", From: "pyinfra crontab (edit)", YAML: timer("schedule: 'Mon *-*-* 04:00', command: 'true'"), Diff: "update timer", After: "systemctl list-timers job.timer | grep -q 04:00"},
		{Name: "stopped by hand", From: "own", Before: "systemctl stop job.timer", YAML: timer("schedule: 'Mon *-*-* 04:00', command: 'true'"), Diff: "update state"},
		{Name: "masked where its own file comes first", From: "own", Before: "systemctl mask -q --runtime --now job.timer", YAML: timer("schedule: 'Mon *-*-* 04:00', command: 'true'"), Diff: "update state", After: "systemctl is-active -q job.timer"},
		{Name: "a time that is none", From: "own", YAML: timer("schedule: now and then, command: 'true'"), Error: "does not understand schedule"},
		{Name: "signs of systemd and of shells in it", From: "pyinfra crontab (quotes)", YAML: timer(`schedule: daily, command: 'printf "%s" "$HOME \"a'' %i" > /tmp/timer'`), Diff: "update timer, service", After: `systemctl start job.service; test "$(cat /tmp/timer)" = "/root \"a' %i"`},
		{Name: "gone", From: "own", YAML: timer("state: absent"), Diff: "delete timer, service", After: "test ! -e /etc/systemd/system/job.timer; test ! -e /etc/systemd/system/timers.target.wants/job.timer"},
		{Name: "a name of a service of the system", From: "own", YAML: "timer: {name: cron, schedule: daily, command: 'true'}", Error: "cron.service is there already", After: "test ! -e /etc/systemd/system/cron.service"},
	}
}

func cronCases() []infratest.Case {
	cron := func(text string) string { return "cron: {name: job, " + text + "}" }
	const at = "/etc/cron.d/job"
	return []infratest.Case{
		{Name: "new", From: "ansible cron", YAML: cron("schedule: '5 4 * * *', command: date > /tmp/x"), Diff: "create content", After: "grep -qx '5 4 \\* \\* \\* root date > /tmp/x' " + at},
		{Name: "there", From: "puppet cron (idempotent)", YAML: cron("schedule: '5 4 * * *', command: date > /tmp/x")},
		{Name: "blanks in the schedule", From: "puppet cron (whitespace)", YAML: cron("schedule: ' 5  4 * *   * ', command: date > /tmp/x")},
		{Name: "at another time", From: "puppet cron (update)", YAML: cron("schedule: '6 4 * * *', command: date > /tmp/x"), Diff: "update content", After: "test $(grep -c date " + at + ") = 1"},
		{Name: "another command", From: "pyinfra crontab (edit)", YAML: cron("schedule: '6 4 * * *', command: date"), Diff: "update content"},
		{Name: "from fields to a word", From: "pyinfra crontab (to special time)", YAML: cron("schedule: '@daily', command: date"), Diff: "update content", After: "grep -qx '@daily root date' " + at},
		{Name: "the word already", From: "ansible cron special_time", YAML: cron("schedule: '@daily', command: date")},
		{Name: "from a word to fields", From: "pyinfra crontab (from special time)", YAML: cron("schedule: '0 0 * * *', command: date"), Diff: "update content"},
		{Name: "a word that is none", From: "ansible cron special_time", YAML: cron("schedule: '@sometimes', command: date"), Error: "cron does not know"},
		{Name: "names of months and days", From: "own", YAML: cron("schedule: '0 0 * jan,FEB mon-fri', command: date"), Diff: "update content"},
		{Name: "Sunday as 7, a step", From: "own", YAML: cron("schedule: '*/20 0-8/4 * * 7', command: date"), Diff: "update content"},
		{Name: "a minute too many", From: "ansible cron", YAML: cron("schedule: '60 * * * *', command: date"), Error: "is no minute"},
		{Name: "a day that never comes", From: "own", YAML: cron("schedule: '0 0 31 feb,apr *', command: date"), Error: "never comes"},
		{Name: "percent signs", From: "ansible cron", YAML: cron("schedule: '@daily', command: 'date +%F%%'"), Diff: "update content", After: `grep -qF 'date +\%F\%\%' ` + at},
		{Name: "percent signs that are escaped already", From: "ansible cron", YAML: cron(`schedule: '@daily', command: 'date +\%F'`), Error: `write % without \`,
			Differs: "others pass them on as they are, so that roles have to escape them for cron"},
		{Name: "quotes", From: "pyinfra crontab (quotes)", YAML: cron(`schedule: '@daily', command: "echo 'a' \"b\" $HOME #c"`), Diff: "update content", After: `grep -qF "echo 'a' \"b\" \$HOME #c" ` + at},
		{Name: "variables", From: "ansible cron env", YAML: cron("schedule: '@daily', command: date, environment: {MAILTO: '', B: 'x y', A: '1'}"), Diff: "update content", After: "test \"$(grep -n '^[A-Z]*=' " + at + " | cut -d= -f1 | cut -d: -f2 | xargs)\" = 'PATH A B MAILTO'"},
		{Name: "the variables already", From: "ansible cron env", YAML: cron("schedule: '@daily', command: date, environment: {A: '1', B: 'x y', MAILTO: ''}")},
		{Name: "a variable goes", From: "ansible cron env", YAML: cron("schedule: '@daily', command: date"), Diff: "update content", After: "! grep -q MAILTO " + at},
		{Name: "a variable of two lines", From: "own", YAML: cron(`schedule: '@daily', command: date, environment: {A: "1\n* * * * * root id"}`), Error: "more than one line"},
		{Name: "a command of two lines", From: "ansible cron", YAML: cron(`schedule: '@daily', command: "date\n* * * * * root id"`), Error: "is not one line"},
		{Name: "a command that begins and ends with blanks", From: "puppet cron (whitespace)", YAML: cron("schedule: '@daily', command: ' date '"), Diff: "update content"},
		{Name: "the same twice", From: "salt cron.present (identifier)", YAML: "cron: {name: again, schedule: '@daily', command: date}", Diff: "create content", After: "rm /etc/cron.d/again"},
		{Name: "somebody added a line", From: "puppet cron", Before: "echo '* * * * * root id' >> " + at, YAML: cron("schedule: '@daily', command: date"), Diff: "update content",
			Differs: "in a crontab of a user others leave what they do not know; here the file is the resource's"},
		{Name: "somebody wrote it twice", From: "salt cron.present (duplicates)", Before: "tail -n 1 " + at + " > f; cat f >> " + at, YAML: cron("schedule: '@daily', command: date"), Diff: "update content", After: "test $(grep -c @daily " + at + ") = 1"},
		{Name: "the file lost its end", From: "puppet cron (trailing whitespace)", Before: "truncate -s -1 " + at, YAML: cron("schedule: '@daily', command: date"), Diff: "update content"},
		{Name: "the file became one of Windows", From: "own", Before: "sed -i 's/$/\\r/' " + at, YAML: cron("schedule: '@daily', command: date"), Diff: "update content", After: "! grep -q \"$(printf '\\r')\" " + at},
		{Name: "rights with which cron skips it", From: "puppet cron", Before: "chmod 664 " + at, YAML: cron("schedule: '@daily', command: date"), Diff: "update mode"},
		{Name: "another name of the file keeps the old job", From: "own", Before: "cp " + at + " f; ln -f f " + at, YAML: cron("schedule: '@hourly', command: date"), Diff: "update content", After: "grep -q @daily f"},
		{Name: "a folder in its place", From: "own", Before: "rm " + at + "; mkdir " + at, YAML: cron("schedule: '@daily', command: date"), Error: "is a directory", After: "rmdir " + at},
		{Name: "a user who is not there", From: "puppet cron (nonexistent user)", YAML: cron("schedule: '@daily', command: date, user: nobody-here"), Error: "no user"},
		{Name: "a user with a name for the shell", From: "pyinfra crontab (injection)", YAML: cron("schedule: '@daily', command: date, user: \"x'; id\""), Error: "is no name of a user"},
		{Name: "a name that cron skips", From: "own", YAML: "cron: {name: job.sh, schedule: '@daily', command: date}", Error: "cron skips a file named"},
		{Name: "a link that leads nowhere is removed", From: "puppet cron (remove)", Before: "ln -sf /no/such " + at, YAML: cron("state: absent"), Diff: "delete state", After: "test ! -L " + at},
		{Name: "removed already", From: "puppet cron (remove)", YAML: cron("state: absent")},
		{Name: "no folder for it", From: "own", Before: "rm -rf /etc/cron.d", YAML: cron("schedule: '@daily', command: date"), Diff: "create content", After: "test $(stat -c %a /etc/cron.d) = 755"},
	}
}
