package file_test

import (
	"testing"

	"steer/infra/infratest"
	"steer/infra/resource/file"
)

// TestCases: situations that the tests of other tools look at, and some of our own.
func TestCases(t *testing.T) {
	infratest.Inside(t, func() {
		infratest.Cases(t, file.Kinds(), fileCases())
		infratest.Cases(t, file.Kinds(), treeCases())
		infratest.Cases(t, file.Kinds(), lineCases())
		infratest.Cases(t, file.Kinds(), blockCases())
		infratest.Cases(t, file.Kinds(), fetchedCases())
		infratest.Cases(t, file.Kinds(), furtherCases())
		infratest.Cases(t, file.Kinds(), packedCases())
		infratest.Cases(t, file.Kinds(), purgeCases())
	})
}

// TestImmutable: what root may not change either says so.
func TestImmutable(t *testing.T) {
	infratest.Inside(t, func() { infratest.Cases(t, file.Kinds(), immutableCases()) }, "--cap-add=LINUX_IMMUTABLE")
}

func fileCases() []infratest.Case {
	const keepInode = "stat -c '%i %Y %Z' f > /tmp/before"
	const sameInode = "test \"$(stat -c '%i %Y %Z' f)\" = \"$(cat /tmp/before)\""
	return []infratest.Case{
		{Name: "nothing to do touches nothing", From: "ansible copy", Before: "printf x > f; chmod 640 f; touch -d 2001-02-03 f; " + keepInode,
			YAML: "file: {path: /srv/c/f, content: x, mode: '0640'}", After: sameInode},
		{Name: "a change of mode keeps the file", From: "ansible copy", Before: "printf x > f; stat -c %i f > /tmp/i",
			YAML: "file: {path: /srv/c/f, content: x, mode: '0600'}", Diff: "update mode", After: `test "$(stat -c '%i %a' f)" = "$(cat /tmp/i) 600"`},
		{Name: "another name of the file keeps the old content", From: "ansible copy, template", Before: "printf old > f; ln f g",
			YAML: "file: {path: /srv/c/f, content: new}", Diff: "update content", After: "test $(cat f) = new; test $(cat g) = old",
			Differs: "Ansible's template may write into the file, so that both names change; here a file is always replaced in one step"},
		{Name: "another name of the file shares its mode", From: "ansible file", Before: "printf x > f; ln f g", YAML: "file: {path: /srv/c/f, mode: '0600'}", Diff: "update mode", After: "test $(stat -c %a g) = 600"},
		{Name: "odd rights stay when only the content is declared", From: "ansible copy", Before: "printf old > f; chmod 547 f; chown 1:1 f",
			YAML: "file: {path: /srv/c/f, content: new}", Diff: "update content", After: `test "$(stat -c '%a %u:%g' f)" = '547 1:1'`},
		{Name: "a file that nobody may write", From: "own", Before: "printf old > f; chmod 444 f", YAML: "file: {path: /srv/c/f, content: new}", Diff: "update content", After: "test $(stat -c %a f) = 444"},
		{Name: "no rights at all", From: "own", Before: "printf x > f", YAML: "file: {path: /srv/c/f, mode: '0000'}", Diff: "update mode", After: "test $(stat -c %a f) = 0"},
		{Name: "all special bits", From: "own", Before: "printf x > f", YAML: "file: {path: /srv/c/f, mode: '7777'}", Diff: "update mode", After: "test $(stat -c %a f) = 7777"},
		{Name: "special bits go with a mode without them", From: "ansible file", Before: "printf x > f; chmod 6755 f", YAML: "file: {path: /srv/c/f, mode: '0755'}", Diff: "update mode", After: "test $(stat -c %a f) = 755"},
		{Name: "a mode without quotes is taken by its digits", From: "ansible file", YAML: "file: {path: /srv/c/f, mode: 420}", Diff: "create mode", After: "test $(stat -c %a f) = 420",
			Differs: "Ansible takes a bare 420 as a decimal number, which is 0644"},
		{Name: "mode by letters", From: "puppet, ansible file", YAML: "file: {path: /srv/c/f, mode: 'u=rw,g=r'}", Error: "write four octal digits",
			Differs: "letters that add or take rights depend on what was there, so that two hosts may differ in spite of one declaration"},
		{Name: "owners that are only numbers", From: "ansible file", Before: "printf x > f", YAML: "file: {path: /srv/c/f, owner: 1234, group: '1235'}", Diff: "update owner, group", After: "test $(stat -c %u:%g f) = 1234:1235"},
		{Name: "an owner by number that has a name", From: "ansible file", Before: "printf x > f; chown daemon f", YAML: "file: {path: /srv/c/f, owner: 1}", After: "test $(stat -c %U f) = daemon"},
		{Name: "a user who is called like a number", From: "own", Before: "sed -i /^4321:/d /etc/passwd; echo '4321:x:77:77::/:/bin/sh' >> /etc/passwd; printf x > f",
			YAML: "file: {path: /srv/c/f, owner: '4321'}", Diff: "update owner", After: "test $(stat -c %u f) = 77; sed -i /^4321:/d /etc/passwd"},
		{Name: "a name with blanks and quotes", From: "pyinfra files.put", YAML: `file: {path: "/srv/c/a b'c\"d", content: x, mode: '0600'}`, Diff: "create content, mode", After: `test "$(cat "a b'c\"d")" = x`},
		{Name: "a name with what a shell would expand", From: "pyinfra files.file", Before: "printf y > a", YAML: `file: {path: '/srv/c/*$(id)', content: x}`, Diff: "create content", After: `test "$(ls | wc -l)" = 2; test $(cat a) = y`},
		{Name: "a name that begins with a dash", From: "own", YAML: "file: {path: /srv/c/-rf, content: x, validate: 'grep -q x %s'}", Diff: "create content", After: "test -f ./-rf"},
		{Name: "a name that is not in English", From: "ansible file (unicode)", YAML: "file: {path: /srv/c/これ/ü, content: ß}", Before: "mkdir これ", Diff: "create content", After: "test $(cat これ/ü) = ß"},
		{Name: "a name of the longest length", From: "own", YAML: "file: {path: /srv/c/" + long(255) + ", content: x}", Diff: "create content", After: "test $(ls | wc -c) = 256"},
		{Name: "a name that is too long", From: "own", YAML: "file: {path: /srv/c/" + long(256) + ", content: x}", Error: "file name too long", After: "test -z \"$(ls -A)\""},
		{Name: "blanks at the ends of lines stay", From: "ansible copy (content)", YAML: `file: {path: /srv/c/f, content: "a \n\t\n\n"}`, Diff: "create content", After: `test "$(od -An -c f | tr -d ' ')" = 'a\n\t\n\n' || test $(wc -c < f) = 6`},
		{Name: "a device", From: "chef file (unmanaged types)", Before: "mknod f c 1 3", YAML: "file: {path: /srv/c/f, content: x}", Error: "f is a device, not a file"},
		{Name: "a device makes way when forced", From: "chef file (force_unlink)", Before: "mknod f c 1 3", YAML: "file: {path: /srv/c/f, content: x, force: true}", Diff: "replace type, content", After: "test -f f"},
		{Name: "a pipe is not read", From: "puppet file (fifo)", Before: "mkfifo f", YAML: "file: {path: /srv/c/f, mode: '0600'}", Error: "f is a pipe, not a file"},
		{Name: "what a pipe is removed by", From: "own", Before: "mkfifo f", YAML: "file: {path: /srv/c/f, state: absent, force: true}", Diff: "delete state", After: "test ! -e f"},
		{Name: "a link that leads nowhere is removed", From: "ansible file absent", Before: "ln -s nowhere f", YAML: "file: {path: /srv/c/f, state: absent}", Diff: "delete state", After: "test ! -L f"},
		{Name: "a file that is gone in a folder that is gone", From: "own", YAML: "file: {path: /srv/c/no/such/f, state: absent}"},
		{Name: "a read-only file is removed", From: "own", Before: "touch f; chmod 400 f", YAML: "file: {path: /srv/c/f, state: absent}", Diff: "delete state", After: "test ! -e f"},
		{Name: "one backup", From: "ansible copy, chef file", Before: "printf old > f; printf older > f.bak", YAML: "file: {path: /srv/c/f, content: new, backup: true}", Diff: "update content", After: "test $(cat f.bak) = old; test $(ls | wc -l) = 2",
			Differs: "Ansible and Chef keep a backup for each change, named after the time; here there is one, so that nothing fills the disk"},
		{Name: "a file of somebody in a folder of all", From: "own", Before: "mkdir t; chmod 1777 t; printf old > t/f; chown 1:1 t/f", YAML: "file: {path: /srv/c/t/f, content: new}", Diff: "update content", After: "test $(stat -c %u t/f) = 1"},
		{Name: "a file system that is read-only", From: "own", Before: "mkdir m; mount -t tmpfs -o ro tmpfs m", YAML: "file: {path: /srv/c/m/f, content: x}", Error: "mounted read-only", After: "umount m"},
		{Name: "a file system without owners", From: "ansible copy (fat16)", Before: "mkdir m; mount -t tmpfs -o size=64k,noexec tmpfs m", YAML: "file: {path: /srv/c/m/f, content: x, mode: '0700'}", Diff: "create content, mode", After: "umount m"},
		{Name: "a template that makes nothing", From: "ansible template", YAML: "template: {path: /srv/c/f, content: ''}", Diff: "create", After: "test -f f; test ! -s f"},
		{Name: "a template for a link", From: "ansible template (follow)", Before: "printf old > g; ln -s g f", YAML: "template: {path: /srv/c/f, content: new}", Diff: "replace type, content", After: "test -f f; test ! -L f; test $(cat g) = old",
			Differs: "Ansible writes through the link where follow is set; here a link is never written through"},
	}
}

func treeCases() []infratest.Case {
	return []infratest.Case{
		{Name: "a folder without its set-group-ID bit", From: "ansible file (mode of folders)", Before: "mkdir d; chmod 2775 d", YAML: "directory: {path: /srv/c/d, mode: '0755'}", Diff: "update mode", After: "test $(stat -c %a d) = 755",
			Differs: "chmod(1), and what runs it, leaves the bit at folders; here a mode is what it says"},
		{Name: "a folder for everybody", From: "own", YAML: "directory: {path: /srv/c/d, mode: '1777'}", Diff: "create mode", After: "test $(stat -c %a d) = 1777"},
		{Name: "a new folder inherits the group", From: "own", Before: "chgrp 4 .; chmod 2755 .", YAML: "directory: {path: /srv/c/d}", Diff: "create", After: "test \"$(stat -c '%g %a' d)\" = '4 2755'"},
		{Name: "everything in a folder with links that lead nowhere and round", From: "ansible file recurse", Before: "mkdir -p d/e; ln -s nowhere d/n; ln -s ../.. d/e/up; ln -s self d/self; touch d/e/f",
			YAML: "directory: {path: /srv/c/d, owner: daemon, recurse: true}", Diff: "update owner, recurse owner", After: "test \"$(stat -c %U d/n d/e/up d/self d/e/f . | xargs)\" = 'daemon daemon daemon daemon root'"},
		{Name: "everything in a folder with a pipe", From: "puppet file recurse (fifo)", Before: "mkdir d; mkfifo d/p; chmod 600 d/p", YAML: "directory: {path: /srv/c/d, mode: '0700', file_mode: '0640', recurse: true}", Diff: "update mode", After: "test $(stat -c %a d/p) = 600"},
		{Name: "everything in a folder is right already", From: "ansible file recurse", Before: "mkdir -p d/e; touch d/e/f; chmod 700 d d/e; chmod 600 d/e/f", YAML: "directory: {path: /srv/c/d, mode: '0700', file_mode: '0600', recurse: true}"},
		{Name: "names with line breaks in it", From: "ansible file (diff of folders)", Before: "mkdir d; touch 'd/a\nb'", YAML: "directory: {path: /srv/c/d, file_mode: '0600', recurse: true}", Diff: "update recurse mode", After: "test $(find d -type f -perm 600 | wc -l) -ge 1"},
		{Name: "a folder by a link to it", From: "ansible file directory", Before: "mkdir real; ln -s real d", YAML: "directory: {path: /srv/c/d, mode: '0700'}", Error: "d is a symlink, not a directory",
			Differs: "Ansible, Puppet and Chef may follow the link; here the folder has to be named, since who owns the link could turn it"},
		{Name: "a link to a folder, away with all", From: "ansible file absent", Before: "mkdir real; touch real/f; ln -s real d", YAML: "directory: {path: /srv/c/d, state: absent, force: true}", Diff: "delete state", After: "test ! -L d; test -f real/f"},
		{Name: "a folder with something in it is not removed", From: "own", Before: "mkdir d; touch d/f", YAML: "directory: {path: /srv/c/d, state: absent}", Error: "something is in it", After: "test -f d/f"},
		{Name: "a folder that hides something", From: "own", Before: "mkdir d; touch d/.f", YAML: "directory: {path: /srv/c/d, state: absent}", Error: "something is in it"},
		{Name: "an empty folder without rights", From: "own", Before: "mkdir d; chmod 0 d", YAML: "directory: {path: /srv/c/d, state: absent}", Diff: "delete state", After: "test ! -e d"},
		{Name: "a folder with what nobody may write", From: "own", Before: "mkdir -p d/e; touch d/e/f; chmod 0 d/e/f d/e", YAML: "directory: {path: /srv/c/d, state: absent, force: true}", Diff: "delete state", After: "test ! -e d"},
		{Name: "a folder with something mounted in it, away with all", From: "own", Before: "mkdir -p d/m; mount -t tmpfs tmpfs d/m; touch d/m/f", YAML: "directory: {path: /srv/c/d, state: absent, force: true}", Error: "something is mounted there", After: "umount d/m"},

		{Name: "a link is turned, not made in the folder", From: "ansible file link, pyinfra files.link", Before: "mkdir a b; ln -s a l", YAML: "symlink: {path: /srv/c/l, target: b}", Diff: "update target", After: "test $(readlink l) = b; test -z \"$(ls a b | grep -v :)\""},
		{Name: "a relative link for an absolute one", From: "ansible file link", Before: "touch a; ln -s /srv/c/a l", YAML: "symlink: {path: /srv/c/l, target: a}", Diff: "update target", After: "test $(readlink l) = a"},
		{Name: "a link to what is not there", From: "ansible file link (force)", YAML: "symlink: {path: /srv/c/l, target: /no/such}", Diff: "create target", After: "test $(readlink l) = /no/such",
			Differs: "Ansible wants force for it; here the order of resources takes care of it, and what never comes is the role's affair"},
		{Name: "a link to a link", From: "ansible file link", Before: "ln -s x a", YAML: "symlink: {path: /srv/c/l, target: a}", Diff: "create target", After: "test $(readlink l) = a"},
		{Name: "a link over a folder with something in it", From: "ansible file link, chef link", Before: "mkdir l; touch l/f", YAML: "symlink: {path: /srv/c/l, target: a, force: true}", Error: "with something in it", After: "test -f l/f"},
		{Name: "a link with blanks", From: "pyinfra files.link", YAML: `symlink: {path: "/srv/c/a b", target: "c 'd"}`, Diff: "create target", After: `test "$(readlink 'a b')" = "c 'd"`},
		{Name: "a link of somebody", From: "own", Before: "ln -s a l; chown -h 1:1 l", YAML: "symlink: {path: /srv/c/l, target: a}"},
		{Name: "a link to a folder goes, its files stay", From: "chef link delete", Before: "mkdir a; touch a/f; ln -s a l", YAML: "symlink: {path: /srv/c/l, state: absent}", Diff: "delete state", After: "test -f a/f; test ! -L l"},
		{Name: "no link to remove, but a file", From: "chef link delete", Before: "touch l", YAML: "symlink: {path: /srv/c/l, state: absent}", Error: "l is a file, not a symlink", After: "test -f l"},
		{Name: "a link that leads round", From: "own", Before: "ln -s b a; ln -s a b", YAML: "symlink: {path: /srv/c/a, target: c}", Diff: "update target", After: "test $(readlink a) = c"},
	}
}
