package file_test

import (
	"strings"

	"steer/infra/infratest"
)

// long is a name of n letters.
func long(n int) string { return strings.Repeat("x", n) }

// is compares the file f with a text for printf.
func is(text string) string { return "printf '" + text + "' | cmp - f" }

// f writes the file with a text for printf.
func f(text string) string { return "printf '" + text + "' > f" }

func lineCases() []infratest.Case {
	line := func(more string) string { return "line: {path: /srv/c/f, " + more + "}" }
	return []infratest.Case{
		{Name: "a text with what expressions are made of", From: "ansible lineinfile", Before: f(`aXXbc[\n`), YAML: line("text: 'a.*bc['"), Diff: "create content", After: is(`aXXbc[\na.*bc[\n`)},
		{Name: "a text with expressions that is there", From: "ansible lineinfile", Before: f(`$x = (a|b)+?\n`), YAML: line("text: '$x = (a|b)+?'")},
		{Name: "quotes", From: "ansible lineinfile, pyinfra files.line", YAML: line(`text: "export A=\"b'c\"", create: true`), Diff: "create content", After: `grep -qx "export A=\"b'c\"" f`},
		{Name: "backslashes stand for themselves", From: "ansible lineinfile", YAML: line(`text: 'C:\dir\new\1', match: '^C:', create: true`), Diff: "create content", After: is(`C:\\dir\\new\\1\n`)},
		{Name: "what an expression caught is not filled in", From: "ansible lineinfile backrefs", Before: f(`max = 5\n`), YAML: line("match: '^(max) = .*', text: '$1 = \\1'"), Diff: "update content", After: is(`$1 = \\1\n`),
			Differs: "a text that depends on what was there is no declaration: the same role would leave hosts different"},
		{Name: "blanks in front count", From: "ansible lineinfile", Before: f(`x\n`), YAML: line("text: '  x'"), Diff: "create content", After: is(`x\n  x\n`)},
		{Name: "blanks behind count", From: "ansible lineinfile", Before: f(`x \n`), YAML: line("text: x"), Diff: "create content", After: is(`x \nx\n`)},
		{Name: "a text like YAML", From: "own", Before: f(`a\n`), YAML: line("text: '- x: [y]  # z'"), Diff: "create content", After: is(`a\n- x: [y]  # z\n`)},
		{Name: "a number", From: "own", Before: f(`a\n`), YAML: line("text: 0755"), Diff: "create content", After: is(`a\n0755\n`)},
		{Name: "letters of both cases", From: "ansible lineinfile", Before: f(`PermitRootLogin YES\n`), YAML: line("match: '(?i)^permitrootlogin', text: PermitRootLogin no"), Diff: "update content", After: is(`PermitRootLogin no\n`)},
		{Name: "an expression for the end, in a file of Windows", From: "puppet file_line", Before: f(`a=1\r\nb=2\r\n`), YAML: line("match: '^a=.$', text: a=2"), Diff: "update content", After: is(`a=2\r\nb=2\r\n`)},
		{Name: "a file of Windows has the line", From: "own", Before: f(`a\r\nb\r\n`), YAML: line("text: b")},
		{Name: "the last line has no end, and is replaced", From: "ansible lineinfile", Before: f(`a\nb=1`), YAML: line("match: ^b=, text: b=2"), Diff: "update content", After: is(`a\nb=2`)},
		{Name: "the last line has no end, and is there", From: "ansible lineinfile", Before: f(`a\nb`), YAML: line("text: b"), After: is(`a\nb`)},
		{Name: "the last line has no end, and one comes after it", From: "ansible lineinfile insertafter", Before: f(`a\nb`), YAML: line("text: c, insert_after: b"), Diff: "create content", After: is(`a\nb\nc\n`)},
		{Name: "only a line without end", From: "puppet file_line", Before: f(`a`), YAML: line("text: b"), Diff: "create content", After: is(`a\nb\n`)},
		{Name: "first line of an empty file", From: "ansible lineinfile insertbefore", Before: f(``), YAML: line("text: a, insert_before: ^"), Diff: "create content", After: is(`a\n`)},
		{Name: "an anchor in an empty file", From: "ansible lineinfile insertbefore", Before: f(``), YAML: line("text: a, insert_before: b"), Diff: "create content", After: is(`a\n`)},
		{Name: "before the only line", From: "ansible lineinfile insertbefore", Before: f(`b\n`), YAML: line("text: a, insert_before: b"), Diff: "create content", After: is(`a\nb\n`)},
		{Name: "after the last of several", From: "ansible lineinfile, puppet file_line after", Before: f(`a\nb\na\nc\n`), YAML: line("text: x, insert_after: a"), Diff: "create content", After: is(`a\nb\na\nx\nc\n`),
			Differs: "Puppet refuses several anchors unless told; it, Salt and pyinfra may add a line after each"},
		{Name: "before the first of several", From: "ansible lineinfile firstmatch", Before: f(`b\na\nc\na\n`), YAML: line("text: x, insert_before: a"), Diff: "create content", After: is(`b\nx\na\nc\na\n`),
			Differs: "Ansible takes the last one unless firstmatch is set"},
		{Name: "no anchor is there", From: "ansible lineinfile, puppet file_line after", Before: f(`a\n`), YAML: line("text: x, insert_after: b"), Diff: "create content", After: is(`a\nx\n`)},
		{Name: "in another place already", From: "ansible lineinfile", Before: f(`x\na\n`), YAML: line("text: x, insert_after: a"), After: is(`x\na\n`)},
		{Name: "replaced where it is, not at the anchor", From: "puppet file_line match and after", Before: f(`x=1\na\n`), YAML: line("match: ^x=, text: x=2, insert_after: a"), Diff: "update content", After: is(`x=2\na\n`)},
		{Name: "the expression does not find the new line", From: "puppet file_line match", Before: f(`old\n`), YAML: line("match: ^old$, text: new"), Diff: "update content", After: is(`new\n`),
			Differs: "Puppet refuses an expression that does not match the line, since it would add it in each run; here the line itself is looked for, too"},
		{Name: "right, and another that should be it too", From: "puppet file_line multiple", Before: f(`x=2\nx=1\n`), YAML: line("match: ^x=, text: x=2"), Error: "match finds 2 lines (1, 2)", After: is(`x=2\nx=1\n`),
			Differs: "Ansible changes the last one silently, and leaves the line twice"},
		{Name: "several become one", From: "puppet file_line multiple", Before: f(`x=1\na\nx=2\nx=3\n`), YAML: line("match: ^x=, text: x=4, all: true"), Diff: "update content", After: is(`x=4\na\n`),
			Differs: "Puppet makes each of them the line, so that it is there several times"},
		{Name: "twice already", From: "ansible lineinfile", Before: f(`x\nx\n`), YAML: line("text: x"), After: is(`x\nx\n`)},
		{Name: "all that the expression finds go", From: "ansible lineinfile absent", Before: f(`a1\nb\na2\n`), YAML: line("match: ^a, state: absent"), Diff: "delete content", After: is(`b\n`),
			Differs: "Puppet refuses to remove several unless told"},
		{Name: "each of it goes", From: "puppet file_line absent", Before: f(`x\na\nx\n`), YAML: line("text: x, state: absent"), Diff: "delete content", After: is(`a\n`)},
		{Name: "the last line goes", From: "puppet file_line absent", Before: f(`a\nx`), YAML: line("text: x, state: absent"), Diff: "delete content", After: is(`a\n`)},
		{Name: "the only line goes", From: "ansible lineinfile absent", Before: f(`x\n`), YAML: line("text: x, state: absent"), Diff: "delete content", After: "test -f f; test ! -s f"},
		{Name: "absent in a file that is not there", From: "ansible lineinfile absent", YAML: line("text: x, state: absent, create: true"), After: "test ! -e f"},
		{Name: "absent by a part of the line", From: "ansible lineinfile absent", Before: f(`abc\n`), YAML: line("text: b, state: absent"), After: is(`abc\n`)},
		{Name: "no file", From: "ansible lineinfile, puppet file_line", YAML: line("text: x"), Error: "create: true makes it"},
		{Name: "no folder", From: "ansible lineinfile create", YAML: "line: {path: /srv/c/no/f, text: x, create: true}", Error: "there is no folder /srv/c/no",
			Differs: "Ansible makes the folders; here they are resources of their own, with owner and mode"},
		{Name: "bytes that are no letters", From: "own", Before: f(`caf\351\n\377\376\n`), YAML: line("text: x"), Diff: "create content", After: is(`caf\351\n\377\376\nx\n`)},
		{Name: "line breaks that only Unicode knows", From: "own", Before: f(`a\302\205b\342\200\250c\fd\ve\n`), YAML: line("match: ^a, text: x"), Diff: "update content", After: is(`x\n`)},
		{Name: "a carriage return alone ends no line", From: "own", Before: f(`a\rb\n`), YAML: line("text: b"), Diff: "create content", After: is(`a\rb\nb\n`)},
		{Name: "a line of a MiB", From: "own", Before: "head -c 1048576 /dev/zero | tr '\\0' a > f", YAML: line("text: x"), Diff: "create content", After: "test $(wc -l < f) = 2; test $(tail -1 f) = x"},
		{Name: "owner and rights stay", From: "ansible lineinfile (acl)", Before: f(`a\n`) + "; chown 1:2 f; chmod 4640 f", YAML: line("text: x"), Diff: "create content", After: "test \"$(stat -c '%u:%g %a' f)\" = '1:2 4640'"},
		{Name: "a file behind a link", From: "ansible lineinfile", Before: "touch g; ln -s g f", YAML: line("text: x"), Error: "f is a symlink, and lines are changed in files only", After: "test -L f; test ! -s g",
			Differs: "others follow the link or put a file in its place; here the file has to be named"},
		{Name: "a folder instead of the file", From: "own", Before: "mkdir f", YAML: line("text: x"), Error: "f is a directory, and lines are changed in files only"},
		{Name: "what the judge refuses is not written", From: "ansible lineinfile validate", Before: f(`a\n`), YAML: line("text: x, validate: 'false %s'"), Error: "false: ended with code 1", After: is(`a\n`) + "; test $(ls -A | wc -l) = 1"},
		{Name: "no text", From: "ansible lineinfile", YAML: line("text: '', create: true"), Error: "text: is missing"},
		{Name: "an expression that is none", From: "ansible lineinfile, puppet file_line", YAML: line("text: x, match: '[a'"), Error: "match: \"[a\" is no regular expression"},
	}
}

func blockCases() []infratest.Case {
	block := func(more string) string { return "block: {path: /srv/c/f, name: b, " + more + "}" }
	const b, e = `# BEGIN steer b\n`, `# END steer b\n`
	return []infratest.Case{
		{Name: "a file without an end", From: "ansible blockinfile", Before: f(`a`), YAML: block(`content: "x"`), Diff: "create content", After: is(`a\n` + b + `x\n` + e)},
		{Name: "a block with its end is one without", From: "ansible blockinfile", Before: f(b + `x\n` + e), YAML: block(`content: "x\n"`)},
		{Name: "an empty file", From: "ansible blockinfile", Before: f(``), YAML: block(`content: x`), Diff: "create content", After: is(b + `x\n` + e)},
		{Name: "the block of another tool", From: "ansible blockinfile marker", Before: f(`# BEGIN ANSIBLE MANAGED BLOCK\nx\n# END ANSIBLE MANAGED BLOCK\n`), YAML: block(`content: x`), Diff: "create content",
			After: is(`# BEGIN ANSIBLE MANAGED BLOCK\nx\n# END ANSIBLE MANAGED BLOCK\n` + b + `x\n` + e)},
		{Name: "a block whose name begins like another", From: "ansible blockinfile marker", Before: f(`# BEGIN steer bb\ny\n# END steer bb\n`), YAML: block(`content: x`), Diff: "create content", After: is(`# BEGIN steer bb\ny\n# END steer bb\n` + b + `x\n` + e)},
		{Name: "empty lines and blanks in it", From: "ansible blockinfile append_newline", YAML: block(`content: "\n  x\n\n", create: true`), Diff: "create content", After: is(b + `\n  x\n\n` + e)},
		{Name: "somebody wrote into it", From: "ansible blockinfile", Before: f(`a\n` + b + `x\nmine\n` + e + `c\n`), YAML: block(`content: x`), Diff: "update content", After: is(`a\n` + b + `x\n` + e + `c\n`)},
		{Name: "somebody moved it", From: "ansible blockinfile", Before: f(b + `x\n` + e + `a\n`), YAML: block(`content: x, insert_after: a`), After: is(b + `x\n` + e + `a\n`)},
		{Name: "somebody indented its marks", From: "ansible blockinfile", Before: f(`  ` + b + `x\n\t# END steer b\n`), YAML: block(`content: x`), Diff: "update content", After: is(b + `x\n` + e)},
		{Name: "ends of Windows in a file without", From: "ansible blockinfile (dos)", Before: f(`a\n`), YAML: block(`content: "x\r\ny\r\n"`), Diff: "create content", After: is(`a\n` + b + `x\ny\n` + e)},
		{Name: "a file of Windows", From: "ansible blockinfile (dos)", Before: f(`a\r\n# BEGIN steer b\r\nold\r\n# END steer b\r\n`), YAML: block(`content: x`), Diff: "update content", After: is(`a\r\n# BEGIN steer b\r\nx\r\n# END steer b\r\n`)},
		{Name: "it goes and leaves an empty file", From: "ansible blockinfile absent", Before: f(b + `x\n` + e), YAML: block(`state: absent`), Diff: "delete content", After: "test -f f; test ! -s f"},
		{Name: "it goes with the end of the file", From: "ansible blockinfile absent", Before: f(`a\n` + b + `x\n# END steer b`), YAML: block(`state: absent`), Diff: "delete content", After: is(`a\n`)},
		{Name: "a block at the anchor's last line", From: "pyinfra files.block", Before: f(`a\nb`), YAML: block(`content: x, insert_after: ^b`), Diff: "create content", After: is(`a\nb\n` + b + `x\n` + e)},
		{Name: "a content with what a shell would expand", From: "pyinfra files.block", Before: f(``), YAML: block(`content: '$(id) "$x" EOF'`), Diff: "create content", After: `grep -qxF '$(id) "$x" EOF' f`},
		{Name: "a block without a name", From: "ansible blockinfile", Before: f(``), YAML: "block: {path: /srv/c/f, content: x}", Diff: "create content", After: is(`# BEGIN steer block\nx\n# END steer block\n`)},
		{Name: "a file that the judge refuses", From: "ansible blockinfile validate", Before: f(`a\n`), YAML: block(`content: x, validate: 'false %s'`), Error: "ended with code 1", After: is(`a\n`)},
	}
}

func fetchedCases() []infratest.Case {
	const origin = "git init -q -b main o; cd o; git config user.name n; git config user.email e@example.com; echo 1 > f; git add f; git commit -qm 1; git tag v1; git tag -a -m t annotated; git checkout -qb feature/x; echo 2 > f; git commit -qam 2; git checkout -q main; cd ..; "
	const clone = origin + "git clone -q o d; git -C d checkout -q --detach; "
	git := func(more string) string { return "git: {dest: /srv/c/d, repository: /srv/c/o" + more + "}" }
	return []infratest.Case{
		{Name: "a branch with a slash", From: "ansible git", Before: origin, YAML: git(", ref: feature/x"), Diff: "create repository, commit", After: "test $(cat d/f) = 2"},
		{Name: "a tag that says something is a commit", From: "ansible git", Before: clone, YAML: git(", ref: annotated"), After: "test $(cat d/f) = 1"},
		{Name: "from a branch to a tag", From: "ansible git", Before: origin + "git clone -q -b feature/x o d", YAML: git(", ref: v1"), Error: "was checked out by somebody else and is not in what comes", After: "test $(cat d/f) = 2",
			Differs: "Ansible leaves behind what somebody else checked out as long as no file was changed; here a commit that the declared one does not hold needs force"},
		{Name: "a tag that moved", From: "ansible git (force-moved tag)", Before: clone + "git -C o tag -f v1 feature/x >/dev/null", YAML: git(", ref: v1"), Diff: "update commit", After: "test $(cat d/f) = 2"},
		{Name: "a branch that was written anew", From: "ansible git (forcefully fetch)", Before: clone + "cd o; echo 3 > f; git commit -q --amend -am 3", YAML: git(", ref: main, force: true"), Diff: "update commit", After: "test $(cat d/f) = 3"},
		{Name: "the same from another place", From: "ansible git (change of URL)", Before: clone + "cp -a o p", YAML: "git: {dest: /srv/c/d, repository: /srv/c/p, ref: main}", Diff: "update repository", After: "test $(git -C d config remote.origin.url) = /srv/c/p"},
		{Name: "a file that nobody knows stays", From: "ansible git (untracked)", Before: clone + "touch d/mine", YAML: git(", ref: main"), After: "test -f d/mine"},
		{Name: "a folder with something else", From: "ansible git", Before: origin + "mkdir d; touch d/f", YAML: git(", ref: main"), Error: "/srv/c/d", After: "test ! -s d/f; test ! -e d/.git"},
		{Name: "an empty folder", From: "ansible git", Before: origin + "mkdir d", YAML: git(", ref: main"), Diff: "create repository, commit", After: "test $(cat d/f) = 1"},
		{Name: "no such branch", From: "ansible git", Before: origin, YAML: git(", ref: none"), Error: "has no branch or tag none", After: "test ! -e d"},
		{Name: "a short history", From: "ansible git depth", Before: origin + "cd o; echo 9 > f; git commit -qam 9", YAML: "git: {dest: /srv/c/d, repository: 'file:///srv/c/o', depth: 1}", Diff: "create repository, commit", After: "test $(git -C d rev-list --count HEAD) = 1; test $(cat d/f) = 9"},

		{Name: "a folder by a link of root", From: "ansible unarchive (dest is a link)", Before: "mkdir real in; echo x > in/f; tar -C in -cf a.tar f; ln -s real l", YAML: "archive: {dest: /srv/c/l/d, source: /srv/c/a.tar}", Diff: "create archive", After: "test $(cat real/d/f) = x"},
		{Name: "names that begin with a dot and a slash", From: "ansible unarchive", Before: "mkdir -p in/e; echo x > in/e/f; tar -C in -cf a.tar .", YAML: "archive: {dest: /srv/c/d, source: /srv/c/a.tar}", Diff: "create archive", After: "test $(cat d/e/f) = x"},
		{Name: "a link in it was turned", From: "ansible unarchive (symlink differs)", Before: "mkdir in; ln -s f in/l; echo x > in/f; tar -C in -cf a.tar f l; mkdir d; ln -s other d/l", YAML: "archive: {dest: /srv/c/d, source: /srv/c/a.tar}", Diff: "create archive", After: "test $(readlink d/l) = f"},
		{Name: "creates is there", From: "ansible unarchive creates", Before: "mkdir d; touch d/f", YAML: "archive: {dest: /srv/c/d, source: /srv/c/none.tar, creates: /srv/c/d/f}", After: "test ! -s d/f"},
		{Name: "names with blanks and not in English", From: "own", Before: "mkdir in; echo x > 'in/a ü'; tar -C in -cf a.tar .", YAML: "archive: {dest: '/srv/c/d e', source: /srv/c/a.tar}", Diff: "create archive", After: "test \"$(cat 'd e/a ü')\" = x"},
		{Name: "no archive", From: "ansible unarchive", YAML: "archive: {dest: /srv/c/d, source: /srv/c/none.tar}", Error: "/srv/c/none.tar", After: "test ! -e d/f"},
	}
}
