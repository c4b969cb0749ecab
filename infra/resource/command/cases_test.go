package command

import (
	"testing"

	"steer/infra/infratest"
)

// TestCases: situations that the tests of other tools look at, and some of our own.
func TestCases(t *testing.T) {
	infratest.Inside(t, func() { infratest.Cases(t, Kinds(), commandCases()) })
}

func commandCases() []infratest.Case {
	const runs = "run run, because"
	command := func(text string) string { return "command: {dir: /srv/c, " + text + "}" }
	return []infratest.Case{
		{Name: "what it creates is missing", From: "ansible command creates", YAML: command("run: date > f, creates: /srv/c/f"), Diff: runs, After: "test -s f"},
		{Name: "what it creates is there", From: "puppet exec creates", Before: "touch f", YAML: command("run: date > f, creates: /srv/c/f"), After: "test ! -s f"},
		{Name: "what it creates is a folder", From: "own", Before: "mkdir d", YAML: command("run: touch d/f, creates: /srv/c/d/"), After: "test ! -e d/f"},
		{Name: "what it creates is a link that leads nowhere", From: "own", Before: "ln -s nowhere f", YAML: command("run: touch g, creates: /srv/c/f"), After: "test ! -e g"},
		{Name: "what it creates has blanks and letters of a shell", From: "own", YAML: command(`args: [touch, "a b*$(id)ü"], creates: "/srv/c/a b*$(id)ü"`), Diff: runs, After: `test "$(ls)" = "a b*\$(id)ü"`},
		{Name: "a pattern for what it creates", From: "ansible command creates", Before: "touch f1", YAML: command("run: touch 'f*', creates: '/srv/c/f*'"), Diff: runs, After: "test $(ls | wc -l) = 2",
			Differs: "Ansible takes it for a pattern; here a path is a path, and only_if or unless looks for more"},
		{Name: "what it creates would be in a file", From: "own", Before: "touch f", YAML: command("run: 'rm f; mkdir f; touch f/g', creates: /srv/c/f/g"), Diff: runs, After: "test -f f/g"},
		{Name: "it does not create what it says", From: "own", YAML: command("run: 'true', creates: /srv/c/f"), Error: "/srv/c/f is still missing",
			Differs: "others take the word of the command, and run it again each time"},
		{Name: "what it removes is there", From: "ansible command removes", Before: "touch f", YAML: command("run: rm f, removes: /srv/c/f"), Diff: runs, After: "test ! -e f"},
		{Name: "what it removes is gone", From: "ansible command removes", YAML: command("run: touch g, removes: /srv/c/f"), After: "test ! -e g"},
		{Name: "it removes one thing and creates another", From: "ansible command", Before: "touch f", YAML: command("run: mv f g, removes: /srv/c/f, creates: /srv/c/g"), Diff: runs, After: "test -f g"},
		{Name: "both are there", From: "ansible command", Before: "touch f g", YAML: command("run: mv f g, removes: /srv/c/f, creates: /srv/c/g"), After: "test -f f"},
		{Name: "unless says that it is done", From: "puppet exec unless", YAML: command("run: touch f, unless: 'true'"), After: "test ! -e f"},
		{Name: "unless says that it is not", From: "salt cmd.run unless", YAML: command("run: echo a >> f, unless: grep -q a f"), Diff: runs, After: "test $(wc -l < f) = 1"},
		{Name: "unless asks a program that is not there", From: "puppet exec unless", YAML: command("run: touch f, unless: test -e f || no-such-program"), Diff: runs, After: "test -f f"},
		{Name: "unless asks a pipeline", From: "pyinfra server.shell", Before: "echo one > f", YAML: command(`run: echo two >> f, unless: "cat f | grep -qx 'two'"`), Diff: runs, After: "test $(wc -l < f) = 2"},
		{Name: "unless of several lines", From: "puppet exec unless", YAML: command(`run: touch f, unless: "cd /srv/c\ntest -e f"`), Diff: runs},
		{Name: "only_if says no", From: "puppet exec onlyif", YAML: command("run: touch f, only_if: test -e g"), After: "test ! -e f"},
		{Name: "only_if says yes, once", From: "salt cmd.run onlyif", Before: "touch g", YAML: command("run: mv g f, only_if: test -e g"), Diff: runs, After: "test -f f"},
		{Name: "only_if is killed", From: "own", YAML: command("run: touch f, only_if: kill -9 $$"), Error: "ask only_if", After: "test ! -e f"},
		{Name: "one of two conditions says no", From: "own", YAML: command("run: touch f, only_if: 'true', unless: 'true'"), After: "test ! -e f"},
		{Name: "conditions see folder and environment", From: "puppet exec cwd, environment", Before: "mkdir d", YAML: "command: {run: 'touch f', dir: /srv/c/d, env: {A: b  c}, unless: 'test -e f || test \"$A\" != \"b  c\"'}", Diff: runs, After: "test -f d/f"},
		{Name: "conditions are asked as the user", From: "puppet exec user", YAML: "command: {run: touch /tmp/nobodys, user: nobody, only_if: 'test $(id -un) = nobody', creates: /tmp/nobodys}", Diff: runs, After: "test $(stat -c %U /tmp/nobodys) = nobody; rm /tmp/nobodys"},
		{Name: "no condition", From: "ansible command", YAML: command("run: echo >> f"), Diff: runs, Again: runs, After: "test $(wc -l < f) = 1"},
		{Name: "only when told", From: "puppet exec refreshonly", YAML: command("run: touch f, on_notify: true"), After: "test ! -e f"},
		{Name: "a wrong end", From: "ansible shell", YAML: command("run: 'echo why >&2; exit 3', creates: /srv/c/f"), Error: "ended with code 3:\nwhy"},
		{Name: "an end that is right here", From: "puppet exec returns", YAML: command("run: 'touch f; exit 3', creates: /srv/c/f, codes: [0, 3]"), Diff: runs},
		{Name: "the right end of others", From: "puppet exec returns", YAML: command("run: 'touch f', creates: /srv/c/f, codes: [3]"), Error: "ended with code 0 (done is 3)"},
		{Name: "a signal", From: "own", YAML: command("run: kill -TERM $$, creates: /srv/c/f"), Error: "signal: terminated"},
		{Name: "a command that takes too long", From: "own", YAML: command("run: 'sleep 100; touch f', creates: /srv/c/f, timeout: 100ms"), Error: "not done within 100ms, killed", After: "test ! -e f"},
		{Name: "what it started is killed with it", From: "own", YAML: command("run: 'sleep 4321 & wait', creates: /srv/c/f, timeout: 100ms"), Error: "killed", After: "! pgrep -f 'sleep 432[1]'"},
		{Name: "what it leaves running goes on", From: "ansible shell", YAML: command("run: 'sleep 4322 >/dev/null 2>&1 & echo $! > f', creates: /srv/c/f"), Diff: runs, After: "kill $(cat f)"},
		{Name: "several lines", From: "puppet exec (multi-line)", YAML: command(`run: "echo a > f\necho b >> f\n", creates: /srv/c/f`), Diff: runs, After: "test $(wc -l < f) = 2"},
		{Name: "arguments that a shell would expand", From: "ansible command, puppet exec (array)", YAML: command(`args: [touch, '$HOME', '*', 'a;b', ''''], creates: '/srv/c/$HOME'`), Diff: runs, After: "test $(ls | wc -l) = 4"},
		{Name: "much output", From: "puppet exec (large output)", YAML: command("run: 'seq 1 300000; touch f', creates: /srv/c/f"), Diff: runs},
		{Name: "output that is no text", From: "ansible command", YAML: command("run: 'head -c 1000 /dev/urandom; exit 1', creates: /srv/c/f"), Error: "ended with code 1"},
		{Name: "it reads its input", From: "ansible command stdin", YAML: command("run: 'cat > f', creates: /srv/c/f"), Diff: runs, After: "test ! -s f"},
		{Name: "no such program", From: "puppet exec (bad command)", YAML: command("args: [no-such-program], creates: /srv/c/f"), Error: "no-such-program"},
		{Name: "no such program in a shell", From: "puppet exec (bad command)", YAML: command("run: no-such-program, creates: /srv/c/f"), Error: "ended with code 127"},
		{Name: "a program without rights", From: "own", Before: "echo '#!/bin/sh' > p", YAML: command("args: [/srv/c/p], creates: /srv/c/f"), Error: "permission denied"},
		{Name: "a program that is none", From: "own", Before: "echo x > p; chmod +x p", YAML: command("args: [/srv/c/p], creates: /srv/c/f"), Error: "exec format error"},
		{Name: "no such folder", From: "puppet exec cwd", YAML: "command: {run: touch f, dir: /srv/c/no, creates: /srv/c/f}", Error: "there is no folder /srv/c/no to run it in"},
		{Name: "no such user", From: "salt cmd.run runas", YAML: command("run: touch f, user: no-such-user, creates: /srv/c/f"), Error: "no-such-user"},
		{Name: "a variable of the environment with line breaks", From: "puppet exec environment", YAML: command(`run: 'printf %s "$A" > f', env: {A: "a\n b='c'"}, creates: /srv/c/f`), Diff: runs, After: `test "$(cat f)" = "a
 b='c'"`},
		{Name: "the path has programs of the administrator", From: "puppet exec path", YAML: command("run: 'command -v useradd > f', creates: /srv/c/f"), Diff: runs},
		{Name: "a path of its own", From: "puppet exec path", Before: "mkdir bin; printf '#!/bin/sh\ntouch f' > bin/p; chmod +x bin/p", YAML: command("run: p, env: {PATH: '/srv/c/bin:/bin:/usr/bin'}, creates: /srv/c/f"), Diff: runs},
		{Name: "a program found on a path of its own", From: "puppet exec path", Before: "mkdir bin; printf '#!/bin/sh\ntouch f' > bin/p; chmod +x bin/p", YAML: command("args: [p], env: {PATH: '/srv/c/bin:/bin:/usr/bin'}, creates: /srv/c/f"), Diff: runs},
		{Name: "a program of the folder", From: "own", Before: "printf '#!/bin/sh\ntouch f' > p; chmod +x p", YAML: command("args: [./p], creates: /srv/c/f"), Diff: runs},
		{Name: "what it makes may be read by others", From: "own", YAML: command("run: touch f, creates: /srv/c/f"), Diff: runs, After: "test $(stat -c %a f) = 644"},
		{Name: "a relative path", From: "ansible command creates", YAML: command("run: touch f, creates: f"), Error: "creates: \"f\" is no absolute path"},
	}
}
