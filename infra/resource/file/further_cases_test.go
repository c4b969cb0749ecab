package file_test

import (
	"strings"

	"steer/infra/infratest"
)

// furtherCases are of files, folders and what is in them: what Salt's tests look at, and what
// hosts have in store besides.
func furtherCases() []infratest.Case {
	file := func(more string) string { return "file: {path: /srv/c/f, " + more + "}" }
	line := func(more string) string { return "line: {path: /srv/c/f, " + more + "}" }
	block := func(more string) string { return "block: {path: /srv/c/f, name: b, " + more + "}" }
	const b, e = `# BEGIN steer b\n`, `# END steer b\n`
	const old = "touch -d 2001-02-03 f; stat -c '%i %Y' f > /tmp/before"
	const untouched = "test \"$(stat -c '%i %Y' f)\" = \"$(cat /tmp/before)\""
	return []infratest.Case{
		{Name: "a content without an end of line", From: "salt file.managed contents_newline", YAML: file("content: 'a\n\n  b'"), Diff: "create content", After: is(`a\nb`),
			Differs: "Salt adds the end of the line unless told"},
		{Name: "a content that ends with empty lines", From: "salt file.managed contents_newline", YAML: file(`content: "a\n\n"`), Diff: "create content", After: is(`a\n\n`)},
		{Name: "a content that lost its end of line", From: "ansible copy", Before: f(`a`), YAML: file(`content: "a\n"`), Diff: "update content", After: is(`a\n`)},
		{Name: "a content with ends of Windows", From: "ansible template newline_sequence", Before: f(`a\nb\n`), YAML: file(`content: "a\r\nb\r\n"`), Diff: "update content", After: is(`a\r\nb\r\n`)},
		{Name: "a content that begins with a byte order mark", From: "own", YAML: file(`content: "\uFEFFa\n"`), Diff: "create content", After: is(`\357\273\277a\n`)},
		{Name: "a content that is a number", From: "salt file.managed contents", YAML: file("content: 340282366920938463463374607431768211456"), Diff: "create content", After: is(`340282366920938463463374607431768211456`)},
		{Name: "a content that is true", From: "salt file.managed contents", YAML: file("content: yes"), Diff: "create content", After: is(`yes`),
			Differs: "Salt writes True"},
		{Name: "a content that is a list", From: "salt file.managed contents", YAML: file("content: [1, 2]"), Error: "content"},
		{Name: "a content that is no text", From: "salt file.managed (binary)", Before: f(`GIF89a\001\000`), YAML: file("content: R0lGODlhAQAB/w==, encoding: base64"), Diff: "update content", After: is(`GIF89a\001\000\001\377`)},
		{Name: "content with what templates are made of", From: "own", YAML: file(`content: '{{ .x }} ${y} %s \n'`), Diff: "create content", After: `test "$(cat f)" = '{{ .x }} ${y} %s \n'`},
		{Name: "a large file of another content", From: "own", Before: "head -c 9000000 /dev/zero > f", YAML: file("content: small"), Diff: "update content", After: is(`small`)},
		{Name: "a file of the same length", From: "own", Before: f(`abd`), YAML: file("content: abc"), Diff: "update content", After: is(`abc`)},
		{Name: "a name with all signs", From: "salt file.managed (escaped path)", YAML: `file: {path: "/srv/c/?f!le? n@=3&-blah-.#%s\\'", content: x, validate: "grep -q x %s"}`, Diff: "create content", After: "test $(ls -A | wc -l) = 1; test $(cat ./*) = x"},
		{Name: "a name with a line break", From: "ansible file", YAML: `file: {path: "/srv/c/a\nb", content: x}`, Error: "has a character that paths can't have here"},
		{Name: "a file that is mounted", From: "own", Before: "echo a > f; echo b > g; mount --bind g f", YAML: file("content: x"), Error: "something is mounted there", After: "umount f; test $(cat f)$(cat g) = ab; test $(ls -A | wc -l) = 2"},
		{Name: "the mode of a file that is mounted", From: "own", Before: "touch f g; mount --bind g f", YAML: file("mode: '0600'"), Diff: "update mode", After: "umount f; test $(stat -c %a g) = 600"},
		{Name: "a file that is read-only by a mount", From: "own", Before: "mkdir d; touch d/f; mount --bind d d; mount -o remount,bind,ro d", YAML: "file: {path: /srv/c/d/f, mode: '0600'}", Error: "mounted read-only", After: "umount d"},
		{Name: "no room for the new content", From: "own", Before: "mkdir m; mount -t tmpfs -o size=8k tmpfs m; printf old > m/f; head -c 4096 /dev/zero > m/full", YAML: "file: {path: /srv/c/m/f, content: " + long(9000) + "}", Error: "what was there before is untouched", After: "test $(cat m/f) = old; test $(ls -A m | wc -l) = 2; umount m"},
		{Name: "a folder above that nobody may enter", From: "own", Before: "mkdir d; chmod 0 d", YAML: "file: {path: /srv/c/d/f, content: x}", Diff: "create content", After: "test $(stat -c %a d) = 0; test $(cat d/f) = x"},
		{Name: "a file is above", From: "ansible file", Before: "touch d", YAML: "file: {path: /srv/c/d/f, content: x}", Error: "/srv/c/d is no folder", After: "test -f d"},
		{Name: "a link of somebody on the way", From: "own", Before: "mkdir real; chmod 1777 .; ln -s real d; chown -h 1 d", YAML: "file: {path: /srv/c/d/f, content: x}", Error: "only links of root are followed", After: "test ! -e real/f"},
		{Name: "a link to itself on the way", From: "own", Before: "ln -s d d", YAML: "file: {path: /srv/c/d/f, content: x}", Error: "too many levels of symbolic links"},
		{Name: "a link to itself makes way", From: "ansible file", Before: "ln -s f f", YAML: file("content: x"), Diff: "replace type, content", After: "test ! -L f; test $(cat f) = x"},
		{Name: "a link to itself, owners only", From: "own", Before: "ln -s f f", YAML: file("mode: '0600'"), Error: "f is a symlink"},
		{Name: "a link that would lead to itself", From: "ansible file link", YAML: "symlink: {path: /srv/c/l, target: ./l}", Error: "the link leads to itself"},
		{Name: "a link in place of itself by another way", From: "own", YAML: "symlink: {path: /srv/c/l, target: ../c/l}", Error: "the link leads to itself"},
		{Name: "a link with a slash at the end", From: "own", Before: "mkdir a; ln -s a l", YAML: "symlink: {path: /srv/c/l, target: a/}", Diff: "update target", After: "test $(readlink l) = a/"},
		{Name: "an empty folder where a file shall be", From: "ansible copy, chef file", Before: "mkdir f", YAML: file("content: x"), Error: "f is a directory, not a file", After: "test -d f"},
		{Name: "an empty folder makes way when forced", From: "chef file (force_unlink)", Before: "mkdir f", YAML: file("content: x, force: true"), Diff: "replace type, content", After: "test -f f"},
		{Name: "a folder makes no way when something is in it", From: "own", Before: "mkdir f; touch f/.x", YAML: file("content: x, force: true"), Error: "with something in it", After: "test -f f/.x"},
		{Name: "a file makes way for a folder when forced", From: "ansible file directory", Before: "touch d", YAML: "directory: {path: /srv/c/d, force: true}", Diff: "replace type", After: "test -d d"},
		{Name: "three digits of a mode", From: "salt file.managed mode", Before: "touch f; chmod 644 f", YAML: file("mode: 640"), Diff: "update mode", After: "test $(stat -c %a f) = 640"},
		{Name: "a mode as YAML writes octals", From: "ansible file", YAML: file("mode: 0o640"), Diff: "create mode", After: "test $(stat -c %a f) = 640"},
		{Name: "digits that are not octal", From: "puppet file (numeric mode)", YAML: file("mode: '0689'"), Error: "write four octal digits"},
		{Name: "a set-user-ID bit stays when the owner changes", From: "own", Before: "cp /bin/true f; chmod 4755 f", YAML: file("owner: daemon, mode: '4755'"), Diff: "update owner", After: "test \"$(stat -c '%U %a' f)\" = 'daemon 4755'"},
		{Name: "a set-user-ID bit goes with the owner when no mode is declared", From: "own", Before: "cp /bin/true f; chmod 4755 f", YAML: file("owner: daemon"), Diff: "update owner", After: "test \"$(stat -c '%U %a' f)\" = 'daemon 755'"},
		{Name: "a number that is too large for an owner", From: "own", Before: "touch f", YAML: file("owner: 4294967295"), Error: "there is no user 4294967295"},
		{Name: "a group that is not there", From: "ansible file", Before: "touch f", YAML: file("group: no-such-group"), Error: "there is no group no-such-group", After: "test $(stat -c %G f) = root"},

		{Name: "everything below and not the folder itself", From: "salt file.directory children_only", Before: "mkdir -p d/e; touch d/f; chmod 700 d d/e; chmod 700 d/f", YAML: "directory: {path: /srv/c/d, file_mode: '0644', recurse: true}", Diff: "update recurse mode", After: "test \"$(stat -c %a d d/e d/f | xargs)\" = '700 700 644'",
			Differs: "Salt can leave out the folder itself; here it and what is in it have one owner"},
		{Name: "a folder with a broken link in it", From: "salt file.directory", Before: "mkdir d; ln -s /no/such d/l; touch d/f; chmod 600 d/f", YAML: "directory: {path: /srv/c/d, file_mode: '0644', recurse: true}", Diff: "update recurse mode", After: "test -L d/l"},

		{Name: "a commented line is what shall be", From: "salt file.replace", Before: f(`# en_US.UTF-8`), YAML: line("match: '^# en_US.UTF-8$', text: en_US.UTF-8"), Diff: "update content", After: is(`en_US.UTF-8`)},
		{Name: "the right line among comments like it", From: "salt file.replace", Before: f(`#foo = bar\n#foo=bar\n#some=thing`), YAML: line("match: '^#foo=bar$', text: foo=salt"), Diff: "update content", After: is(`#foo = bar\nfoo=salt\n#some=thing`)},
		{Name: "nothing to do leaves file and backup", From: "salt file.replace", Before: f(`a\ngoodbye\nb`) + "; " + old, YAML: line("match: ^hello$, text: goodbye, backup: true"), After: untouched + "; test ! -e f.bak"},
		{Name: "a line after another", From: "salt file.line insert", Before: f(`test1\ntest2\ntest3\n`), YAML: line("text: test4, insert_after: test2"), Diff: "create content", After: is(`test1\ntest2\ntest4\ntest3\n`)},
		{Name: "a line that is a part of another", From: "salt file.append", Before: f(`PATH=/bin:/sbin\n`), YAML: line("text: PATH=/bin"), Diff: "create content", After: is(`PATH=/bin:/sbin\nPATH=/bin\n`)},
		{Name: "both ends of lines in one file", From: "own", Before: f(`a\nb\r\nc\n`), YAML: line("match: ^b, text: B"), Diff: "update content", After: is(`a\nB\r\nc\n`)},
		{Name: "absent in a file of Windows", From: "own", Before: f(`a\r\nx\r\nb\r\n`), YAML: line("text: x, state: absent"), Diff: "delete content", After: is(`a\r\nb\r\n`)},
		{Name: "a file with zeros in it", From: "own", Before: f(`a\000b\nc\n`), YAML: line("match: ^c, text: d"), Diff: "update content", After: is(`a\000b\nd\n`)},
		{Name: "a file that is too large to edit", From: "own", Before: "truncate -s 9M f", YAML: line("text: x"), Error: "it has more than"},
		{Name: "the expression finds an empty line", From: "own", Before: f(`a\n\nb\n`), YAML: line("match: '^$', text: x"), Diff: "update content", After: is(`a\nx\nb\n`)},
		{Name: "a file that is mounted cannot be rewritten", From: "own", Before: f(`a\n`) + "; touch g; mount --bind f f", YAML: line("text: x"), Error: "something is mounted there", After: is(`a\n`) + "; umount f"},

		{Name: "before all, with an end", From: "salt file.blockreplace prepend", Before: f(`a\n\nb\n`), YAML: block(`content: "x\n", insert_before: ^`), Diff: "create content", After: is(b + `x\n` + e + `a\n\nb\n`)},
		{Name: "before all, without an end", From: "salt file.blockreplace prepend", Before: f(`a\n\nb\n`), YAML: block(`content: "x", insert_before: ^`), Diff: "create content", After: is(b + `x\n` + e + `a\n\nb\n`)},
		{Name: "before all of a file of Windows", From: "salt file.blockreplace", Before: f(`a\r\n\r\n`), YAML: block(`content: "x\n", insert_before: ^`), Diff: "create content", After: is(`# BEGIN steer b\r\nx\r\n# END steer b\r\na\r\n\r\n`)},
		{Name: "an empty line too many before the end of it", From: "salt file.blockreplace", Before: f(b + `x\n\n` + e), YAML: block(`content: "x\n"`), Diff: "update content", After: is(b + `x\n` + e)},
		{Name: "its end is not on a line of its own", From: "salt file.blockreplace", Before: f(b + `x` + e + `a\n`), YAML: block(`content: x`), Error: "there is not one BEGIN and after it one END", After: is(b + `x` + e + `a\n`),
			Differs: "Salt takes a mark anywhere in a line; here what is in doubt is left to people"},
		{Name: "only its end is there", From: "salt file.blockreplace", Before: f(`a\n` + e), YAML: block(`content: x`), Error: "there is not one BEGIN and after it one END", After: is(`a\n` + e)},
		{Name: "it is there twice", From: "ansible blockinfile", Before: f(b + e + b + e), YAML: block(`content: x`), Error: "there is not one BEGIN and after it one END", After: is(b + e + b + e),
			Differs: "Ansible changes the last one"},
		{Name: "marks with another sign for comments", From: "ansible blockinfile marker", Before: f(`<a>\n</a>\n`), YAML: block(`content: <b/>, comment: <!--, comment_end: "-->", insert_before: </a>`), Diff: "create content", After: is(`<a>\n<!-- BEGIN steer b -->\n<b/>\n<!-- END steer b -->\n</a>\n`)},
		{Name: "an empty block", From: "salt file.blockreplace", Before: f(b + `x\n` + e), YAML: block(`content: ''`), Diff: "update content", After: is(b + e)},
		{Name: "a mark in the content", From: "own", YAML: block(`content: "# END steer b\n"`), Error: "has a line that marks a block"},
	}
}

// packedCases are archives that are odd, or changed.
func packedCases() []infratest.Case {
	archive := func(more string) string { return "archive: {dest: /srv/c/d, source: /srv/c/a.tar" + more + "}" }
	return []infratest.Case{
		{Name: "a folder above all is left out", From: "ansible unarchive (strip)", Before: "mkdir -p in/app-1/bin; touch in/app-1/bin/x; tar -C in -cf a.tar app-1", YAML: archive(", strip: 1"), Diff: "create archive", After: "test -f d/bin/x; test ! -e d/app-1"},
		{Name: "names from the root", From: "own", Before: "touch /tmp/abs; tar -P -cf a.tar /tmp/abs; rm /tmp/abs", YAML: archive(""), Error: "/tmp/abs", After: "test ! -e /tmp/abs; test ! -e d/tmp"},
		{Name: "names above the folder", From: "own", Before: "mkdir in; touch out; tar -C in -P -cf a.tar ../out; rm out", YAML: archive(""), Error: "../out", After: "test ! -e out"},
		{Name: "a link out of the folder", From: "own", Before: "mkdir in; ln -s /etc in/l; tar -C in -cf a.tar l", YAML: archive(""), Error: "/etc", After: "test ! -L d/l"},
		{Name: "a device in it", From: "own", Before: "mkdir in; mknod in/n c 1 3; tar -C in -cf a.tar n", YAML: archive(""), Error: "unpack /srv/c/a.tar", After: "test ! -e d/n"},
		{Name: "a set-user-ID program in it", From: "own", Before: "mkdir in; cp /bin/true in/x; chmod 4755 in/x; tar -C in -cf a.tar x", YAML: archive(""), Diff: "create archive", After: "test $(stat -c %a d/x) = 755",
			Differs: "tar run by root keeps the bit"},
		{Name: "a file of it has another size", From: "ansible unarchive (size differs)", Before: "mkdir in d; echo 1 > in/f; tar -C in -cf a.tar f; echo mine > d/f", YAML: archive(""), Diff: "create archive", After: "test $(cat d/f) = 1"},
		{Name: "a folder of it is a file", From: "own", Before: "mkdir -p in/e d; touch in/e/f d/e; tar -C in -cf a.tar e", YAML: archive(""), Error: "e is in the way", After: "test -f d/e"},
		{Name: "an owner for all of it", From: "ansible unarchive (owner)", Before: "mkdir -p in/e; touch in/e/f; tar -C in -cf a.tar e", YAML: archive(", owner: daemon, group: daemon"), Diff: "create archive, owner, group", After: "test \"$(stat -c %U:%G d/e d/e/f | uniq)\" = daemon:daemon"},
		{Name: "another checksum", From: "salt archive.extracted (source_hash)", Before: "touch f; tar -cf a.tar f", YAML: archive(", sha256: " + strings.Repeat("0", 64)), Error: "its SHA-256 is", After: "test ! -e d/f"},
		{Name: "an archive that is cut off", From: "own", Before: "head -c 100000 /dev/urandom > f; tar -czf b f; head -c 50000 b > a.tar", YAML: archive(""), Error: "unexpected EOF", After: "test ! -e d/f"},

		{Name: "local changes are left, where no update comes", From: "ansible git localmods", Before: checkedOut + "echo mine > d/f", YAML: "git: {dest: /srv/c/d, repository: /srv/c/o, ref: main}", After: "test $(cat d/f) = mine"},
		{Name: "local changes are in the way of an update", From: "ansible git localmods", Before: checkedOut + "echo mine > d/f; cd o; echo 2 > f; git commit -qam 2", YAML: "git: {dest: /srv/c/d, repository: /srv/c/o, ref: main}", Error: "there are local changes", After: "test $(cat d/f) = mine"},
		{Name: "local changes are thrown away when forced", From: "ansible git localmods", Before: checkedOut + "echo mine > d/f", YAML: "git: {dest: /srv/c/d, repository: /srv/c/o, ref: main, force: true}", Diff: "update changes", After: "test $(cat d/f) = 1"},
		{Name: "a branch moved on", From: "pyinfra git.repo", Before: checkedOut + "cd o; echo 2 > f; git commit -qam 2", YAML: "git: {dest: /srv/c/d, repository: /srv/c/o, ref: main}", Diff: "update commit", After: "test $(cat d/f) = 2; ! git -C d symbolic-ref -q HEAD"},
		{Name: "a file is gone that a commit has", From: "own", Before: checkedOut + "rm d/f", YAML: "git: {dest: /srv/c/d, repository: /srv/c/o, ref: main, force: true}", Diff: "update changes", After: "test $(cat d/f) = 1"},
		{Name: "a checkout that others began", From: "own", Before: checkedOut + "rm d/.git/refs/heads/* d/.git/HEAD; echo ref: refs/heads/none > d/.git/HEAD", YAML: "git: {dest: /srv/c/d, repository: /srv/c/o, ref: main, force: true}", Diff: "update commit, changes", After: "test $(cat d/f) = 1"},
		{Name: "a commit of a history that is short", From: "ansible git depth", Before: checkedOut + "cd o; echo 2 > f; git commit -qam 2; cd ..; rm -r d; git clone -q --depth 1 file:///srv/c/o d; git -C d checkout -q --detach", YAML: "git: {dest: /srv/c/d, repository: 'file:///srv/c/o', ref: v1, depth: 1, force: true}", Diff: "update commit", After: "test $(cat d/f) = 1"},
		{Name: "a tag and a branch of one name", From: "ansible git (ambiguous ref)", Before: checkedOut + "cd o; git tag both; git checkout -q -b both; echo 2 > f; git commit -qam 2", YAML: "git: {dest: /srv/c/d, repository: /srv/c/o, ref: both}", Diff: "update commit", After: "test $(cat d/f) = 2"},
		{Name: "that tag by its whole name", From: "ansible git (ambiguous ref)", Before: checkedOut + "cd o; git tag both; git checkout -q -b both; echo 2 > f; git commit -qam 2", YAML: "git: {dest: /srv/c/d, repository: /srv/c/o, ref: refs/tags/both}", After: "test $(cat d/f) = 1"},
	}
}

const checkedOut = "git init -q -b main o; cd o; git config user.name n; git config user.email e@example.com; echo 1 > f; git add f; git commit -qm 1; git tag v1; cd ..; git clone -q o d; git -C d checkout -q --detach; "

// purgeCases are folders in which is what nobody declares. In roles Steer fills declared in.
func purgeCases() []infratest.Case {
	purge := func(more string) string { return "directory: {path: /srv/c/d, purge: true" + more + "}" }
	return []infratest.Case{
		{Name: "strangers, also in a folder", From: "salt file.directory clean", Before: "mkdir -p d/e; touch d/f d/e/f", YAML: purge(""), Diff: "update purge, purge", After: "test -z \"$(ls -A d)\""},
		{Name: "nothing is in it", From: "salt file.directory clean", Before: "mkdir d", YAML: purge("")},
		{Name: "a stranger beside what is declared", From: "salt file.directory clean, require", Before: "mkdir d; touch d/good d/wrong", YAML: purge(", declared: [/srv/c/d/good]"), Diff: "update purge", After: "test $(ls -A d) = good"},
		{Name: "what is declared deep in it", From: "salt file.directory clean, require", Before: "mkdir -p d/a/b; touch d/a/b/f d/a/g", YAML: purge(", declared: [/srv/c/d/a/b/f]"), Diff: "update purge", After: "test -f d/a/b/f; test ! -e d/a/g"},
		{Name: "a folder that is declared, with all in it", From: "puppet file purge", Before: "mkdir -p d/a; touch d/a/f", YAML: purge(", declared: [/srv/c/d/a]"), After: "test -f d/a/f",
			Differs: "Puppet's recurse goes on into it; here it has purge of its own"},
		{Name: "names to keep", From: "salt file.directory exclude_pat, puppet tidy", Before: "mkdir -p d/e; touch d/a.local d/e/b.local d/e/c d/.local", YAML: purge(", keep: ['*.local']"), Diff: "update purge", After: "test \"$(find d -type f | sort | xargs)\" = 'd/.local d/a.local d/e/b.local'"},
		{Name: "one path to keep", From: "salt file.directory exclude_pat", Before: "mkdir -p d/e; touch d/keep d/e/keep d/e/x", YAML: purge(", keep: [e/keep]"), Diff: "update purge, purge", After: "test \"$(find d -type f)\" = d/e/keep"},
		{Name: "a link goes, where it leads stays", From: "puppet tidy (recurse symlinks)", Before: "mkdir d out; touch out/f; ln -s ../out d/l; ln -s /no/such d/n", YAML: purge(""), Diff: "update purge, purge", After: "test -f out/f; test -z \"$(ls -A d)\""},
		{Name: "what is declared behind a link out of it", From: "own", Before: "mkdir d out; ln -s ../out d/l; touch out/f d/x", YAML: purge(", declared: [/srv/c/d/l/f]"), Diff: "update purge", After: "test -L d/l; test -f out/f"},
		{Name: "what is declared by another name of the folder", From: "own", Before: "mkdir d; ln -s d other; touch d/f d/x", YAML: purge(", declared: [/srv/c/other/f]"), Diff: "update purge", After: "test $(ls -A d) = f"},
		{Name: "a folder that is itself a link", From: "own", Before: "mkdir real; touch real/f; ln -s real d", YAML: purge(""), Error: "d is a symlink, not a directory", After: "test -f real/f"},
		{Name: "a file in its place is no reason to remove more", From: "own", Before: "touch d", YAML: purge(""), Error: "d is a file, not a directory", After: "test -f d"},
		{Name: "what nobody may write", From: "own", Before: "mkdir -p d/e; touch d/e/f; chmod 0 d/e/f d/e", YAML: purge(""), Diff: "update purge", After: "test -z \"$(ls -A d)\""},
		{Name: "rights and strangers at once", From: "own", Before: "mkdir d; touch d/f; chmod 700 d", YAML: purge(", mode: '0755'"), Diff: "update mode, purge", After: "test $(stat -c %a d) = 755; test -z \"$(ls -A d)\""},
	}
}

// immutableCases are of files and folders with attributes of chattr(1).
func immutableCases() []infratest.Case {
	const why, free = "it may be immutable: look with lsattr, clear with chattr -i", "chattr -R -ia .; test $(cat f) = a; test $(ls -A | wc -l) = 1"
	fixed := f("a") + "; chattr +i f"
	return []infratest.Case{
		{Name: "as it should be", From: "ansible file attributes", Before: fixed, YAML: "file: {path: /srv/c/f, content: a, mode: '0644'}", After: free},
		{Name: "another content", From: "ansible file attributes", Before: fixed, YAML: "file: {path: /srv/c/f, content: b}", Error: why, After: free},
		{Name: "another mode", From: "own", Before: fixed, YAML: "file: {path: /srv/c/f, mode: '0600'}", Error: why, After: free},
		{Name: "another owner", From: "own", Before: fixed, YAML: "file: {path: /srv/c/f, owner: daemon}", Error: why, After: free},
		{Name: "not there", From: "own", Before: fixed, YAML: "file: {path: /srv/c/f, state: absent}", Error: why, After: free},
		{Name: "a line more in a file that only grows", From: "own", Before: f("a") + "; chattr +a f", YAML: "line: {path: /srv/c/f, text: b}", Error: why, After: free},
		{Name: "a new file in a folder that stays", From: "own", Before: "mkdir d; chattr +i d", YAML: "file: {path: /srv/c/d/f, content: a}", Error: why, After: "chattr -i d; test -z \"$(ls -A d)\""},
		{Name: "a link in its place", From: "own", Before: fixed, YAML: "symlink: {path: /srv/c/f, target: x, force: true}", Error: why, After: free},
		{Name: "a stranger in a folder that is purged", From: "own", Before: "mkdir d; touch d/f; chattr +i d/f", YAML: "directory: {path: /srv/c/d, purge: true}", Error: why, After: "chattr -i d/f"},
	}
}
