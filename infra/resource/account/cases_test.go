package account

import (
	"testing"

	"steer/infra/infratest"
)

// TestCases tries what the tests of other tools try, each in our own words.
func TestCases(t *testing.T) {
	infratest.Inside(t, func() {
		infratest.Cases(t, Kinds(), userCases())
		infratest.Cases(t, Kinds(), groupCases())
		infratest.Cases(t, Kinds(), keyCases())
	})
}

func userCases() []infratest.Case {
	return []infratest.Case{
		{Name: "already there in all respects", Source: "puppet user", Before: "useradd -m -u 2000 -s /bin/sh -c Here u1",
			Declared: "[user: {name: u1, uid: 2000, shell: /bin/sh, comment: Here, home: /home/u1}]", Want: "same"},
		{Name: "gone already", Source: "puppet user", Declared: "[user: {name: u2, state: absent, remove_home: true}]", Want: "same"},
		{Name: "only the name, whatever else it has", Source: "salt user", Before: "groupadd gu3; useradd -m -G gu3 -s /bin/false -c Old u3",
			Declared: "[user: {name: u3}]", Want: "same", After: "id -nG u3 | grep -qw gu3"},
		{Name: "home is missing", Source: "salt user", Before: "useradd u4",
			Declared: "[user: {name: u4}]", Want: "update create_home", After: "[ $(stat -c %U /home/u4) = u4 ]"},
		{Name: "home is not to be made", Source: "salt user", Declared: "[user: {name: u5, create_home: false}]", Want: "create", After: "[ ! -e /home/u5 ]"},
		{Name: "parent of the home is missing", Source: "ansible user", Declared: "[user: {name: u6, home: /srv/deep/er/u6}]", Want: "create home",
			After: "[ $(stat -c %U /srv/deep/er/u6) = u6 ] && [ $(stat -c %U /srv/deep) = root ]"},
		{Name: "home is a link to a folder", Source: "pyinfra user", Before: "mkdir /srv/real7; ln -s /srv/real7 /home/u7; useradd u7",
			Declared: "[user: {name: u7}]", Want: "same", After: "[ -L /home/u7 ]"},
		{Name: "home is a file", Source: "pyinfra user", Before: "echo mine >/home/u8; useradd u8",
			Declared: "[user: {name: u8}]", Fails: "/home/u8 is no folder", After: "grep -q mine /home/u8"},
		{Name: "home is a link that leads nowhere", Source: "pyinfra user", Before: "ln -s /srv/none /home/u9; useradd u9",
			Declared: "[user: {name: u9}]", Fails: "/home/u9 is no folder"},
		{Name: "home moves", Source: "ansible user", Before: "useradd -m u10; touch /home/u10/file",
			Declared: "[user: {name: u10, home: /srv/u10}]", Want: "update home create_home", After: "[ -e /home/u10/file ] && [ ! -e /srv/u10/file ] && [ -d /srv/u10 ]",
			Why: "files are moved by whoever knows what is in them: a home on another disk, in use, may not fit"},
		{Name: "primary group becomes another, and the old one stays", Source: "salt user", Before: "groupadd ga11; groupadd gb11; useradd -g ga11 -m u11",
			Declared: "[user: {name: u11, group: gb11, groups: [ga11]}]", Want: "update group groups", After: `[ "$(id -nG u11)" = "gb11 ga11" ]`},
		{Name: "primary group does not exist", Source: "ansible user", Declared: "[user: {name: u12, group: none12}]", Fails: "there is no group none12 (declare it", After: "! id u12 2>/dev/null"},
		{Name: "primary group by its number", Source: "salt user", Declared: "[user: {name: u13, group: '1500'}]", Fails: "group: \"1500\" cannot be a name",
			Why: "a number is that of another group on the next host; declare the group with its gid"},
		{Name: "primary group has no line any more", Source: "salt user", Before: "useradd -m u14; sed -i /^u14:/d /etc/group /etc/gshadow; groupadd -g 2114 gu14",
			Declared: "[user: {name: u14, group: gu14}]", Want: "update group"},
		{Name: "one group removed from the list stays", Source: "puppet user", Before: "groupadd ga15; groupadd gb15; useradd -m -G ga15,gb15 u15",
			Declared: "[user: {name: u15, groups: [ga15]}]", Want: "same", After: "id -nG u15 | grep -qw gb15"},
		{Name: "exactly the listed groups", Source: "salt user", Before: "groupadd ga16; groupadd gb16; useradd -m -G ga16,gb16 u16",
			Declared: "[user: {name: u16, groups: [ga16], exact: true}]", Want: "update groups", After: `[ "$(id -nG u16)" = "u16 ga16" ]`},
		{Name: "a group named twice", Source: "pyinfra user", Before: "groupadd ga17; useradd -m u17",
			Declared: "[user: {name: u17, groups: [ga17, ga17]}]", Want: "update groups"},
		{Name: "listed twice in the group's line", Source: "salt user", Before: "groupadd ga18; useradd -m u18; sed -i 's/^ga18:.*/&u18,u18/' /etc/group",
			Declared: "[user: {name: u18, groups: [ga18]}]", Want: "same"},
		{Name: "a name that is the start of another", Source: "ansible user", Before: "groupadd ga19; useradd -m -G ga19 u19x; useradd -m u19",
			Declared: "[user: {name: u19, groups: [ga19]}]", Want: "update groups", After: "id -nG u19 | grep -qw ga19"},
		{Name: "in the groups that other resources say", Source: "salt user",
			Declared: "[group: {name: u20, gid: 2620}, user: {name: u20, uid: 2020}, group: {name: ga20, members: [u20]}, group: {name: gb20, members: [u20]}, user: {name: u20}]",
			Want:     "create gid; create uid; create members; create members; same"},
		{Name: "comment of digits", Source: "salt user", Declared: "[user: {name: u21, comment: 12345}]", Want: "create comment"},
		{Name: "comment taken away", Source: "salt user", Before: "useradd -m -c Old u22", Declared: "[user: {name: u22, comment: ''}]", Want: "update comment",
			After: "getent passwd u22 | cut -d: -f5 | grep -qx ''"},
		{Name: "comment beyond ASCII", Source: "puppet user", Before: "useradd -m -c Old u23", Declared: "[user: {name: u23, comment: Žaneta Škoda ①}]", Want: "update comment"},
		{Name: "number changes while files are in the home", Source: "puppet user", Before: "useradd -m -u 2024 u24; touch /home/u24/f; chown u24 /home/u24/f; echo x >/srv/u24; chown u24 /srv/u24",
			Declared: "[user: {name: u24, uid: 2124}]", Want: "update uid", After: "[ $(stat -c %u /home/u24/f) = 2124 ] && [ $(stat -c %u /srv/u24) = 2024 ]"},
		{Name: "number of somebody else", Source: "pyinfra user", Before: "useradd -u 2025 owner25", Declared: "[user: {name: u25, uid: 2025}]", Fails: "uid 2025 of user u25 is that of user owner25 already",
			Why: "pyinfra and Ansible can share a number when asked to; two names of one user hide who did what"},
		{Name: "shares a number already", Source: "ansible user", Before: "useradd -u 2026 owner26; useradd -m -o -u 2026 u26", Declared: "[user: {name: u26, uid: 2026}]", Want: "same"},
		{Name: "name of digits", Source: "ansible user", Declared: "[user: {name: '2027'}]", Fails: "name: \"2027\" cannot be a name", Why: "chown and others take it for a number"},
		{Name: "longest name, with capitals and a dot", Source: "ansible user", Declared: "[user: {name: A.b3456789012345678901234567890x}]", Want: "create"},
		{Name: "system user", Source: "ansible user", Declared: "[user: {name: u29, system: true}]", Want: "create", After: "[ $(id -u u29) -lt 1000 ] && [ ! -e /home/u29 ]"},
		{Name: "became a system user in the role only", Source: "ansible user", Before: "useradd -m u30", Declared: "[user: {name: u30, system: true}]", Want: "same", After: "[ $(id -u u30) -ge 1000 ]"},
		{Name: "shell that does not exist", Source: "ansible user", Declared: "[user: {name: u31, shell: /usr/bin/nosuchshell}]", Want: "create shell",
			Why: "its package may come later; who has it as a shell can log in then"},
		{Name: "new user, locked", Source: "ansible user", Declared: "[user: {name: u32, locked: true, password: '" + hash + "'}]", Want: "create password locked", After: `getent shadow u32 | grep -q '^u32:!\$6'`},
		{Name: "new user, not locked, without a password", Source: "ansible user", Declared: "[user: {name: u33, locked: false}]", Want: "create", After: "getent shadow u33 | grep -q '^u33:!:'"},
		{Name: "password locked by hand", Source: "ansible user", Before: "useradd -m -p '" + hash + "' u34; usermod -L u34", Declared: "[user: {name: u34, locked: false}]", Want: "update locked"},
		{Name: "locked in the way of Red Hat", Source: "ansible user", Before: "useradd -m -p '!!' u35", Declared: "[user: {name: u35, locked: true}]", Want: "same"},
		{Name: "no password needed, and not locked", Source: "salt user", Before: "useradd -m u36; passwd -d u36", Declared: "[user: {name: u36, locked: false}]", Want: "same", After: "getent shadow u36 | grep -q '^u36::'"},
		{Name: "no password needed, to be locked", Source: "salt user", Before: "useradd -m u37; passwd -d u37", Declared: "[user: {name: u37, locked: true}]", Want: "update locked", After: "getent shadow u37 | grep -q '^u37:!:'"},
		{Name: "password although nothing is in shadow", Source: "ansible user", Before: "useradd -m u38; sed -i /^u38:/d /etc/shadow", Declared: "[user: {name: u38, password: '" + hash + "', expires: 2040-01-02}]", Want: "update password expires"},
		{Name: "account that never ends", Source: "puppet user", Before: "useradd -m -e 2030-01-01 u39", Declared: "[user: {name: u39, expires: never}]", Want: "update expires"},
		{Name: "ends never, new", Source: "puppet user", Declared: "[user: {name: u40, expires: never}]", Want: "create"},
		{Name: "ended on the first day there is", Source: "ansible user", Before: "useradd -m u41", Declared: "[user: {name: u41, expires: 1970-01-01}]", Want: "update expires"},
		{Name: "removed, and the group has others", Source: "ansible user", Before: "useradd -m u42; useradd -m -G u42 u42b", Declared: "[user: {name: u42, state: absent, remove_home: true}]", Want: "delete", After: "[ ! -e /home/u42 ] && getent group u42"},
		{Name: "removed, home is gone already", Source: "puppet user", Before: "useradd u43", Declared: "[user: {name: u43, state: absent, remove_home: true}]", Want: "delete"},
		{Name: "removed, home belongs to somebody else", Source: "ansible user", Before: "useradd u44; mkdir /home/u44; touch /home/u44/f", Declared: "[user: {name: u44, state: absent, remove_home: true}]", Want: "delete", After: "[ -e /home/u44/f ]",
			Why: "what is somebody else's is not removed with the user"},
		{Name: "removed, home stays", Source: "puppet user", Before: "useradd -m u45", Declared: "[user: {name: u45, state: absent}]", Want: "delete", After: "[ -d /home/u45 ]"},
	}
}

func groupCases() []infratest.Case {
	return []infratest.Case{
		{Name: "group is there", Source: "puppet group", Before: "groupadd -g 2201 g1", Declared: "[group: {name: g1, gid: 2201}]", Want: "same"},
		{Name: "group gone already", Source: "puppet group", Declared: "[group: {name: g2, state: absent}]", Want: "same"},
		{Name: "number changes", Source: "puppet group", Before: "groupadd -g 2203 g3; useradd -m -g g3 ug3", Declared: "[group: {name: g3, gid: 2213}]", Want: "update gid", After: "[ $(id -g ug3) = 2213 ]"},
		{Name: "number is taken", Source: "ansible group", Before: "groupadd -g 2204 owner4", Declared: "[group: {name: g4, gid: 2204}]", Fails: "gid 2204 of group g4 is that of group owner4 already", After: "! getent group g4",
			Why: "Ansible shares a number when asked to; files would show either name"},
		{Name: "members added", Source: "puppet group", Before: "groupadd g5; useradd m5a; useradd -G g5 m5b", Declared: "[group: {name: g5, members: [m5a]}]", Want: "update members", After: "getent group g5 | grep -q m5b"},
		{Name: "members exact", Source: "puppet group", Before: "groupadd g6; useradd m6a; useradd -G g6 m6b", Declared: "[group: {name: g6, members: [m6a], exact: true}]", Want: "update members", After: "! getent group g6 | grep -q m6b"},
		{Name: "no members, exact", Source: "salt group", Before: "groupadd g7; useradd -G g7 m7", Declared: "[group: {name: g7, members: [], exact: true}]", Want: "update members"},
		{Name: "members in another order", Source: "salt group", Before: "groupadd g8; useradd -G g8 m8b; useradd -G g8 m8a", Declared: "[group: {name: g8, members: [m8a, m8b], exact: true}]", Want: "same"},
		{Name: "member who does not exist", Source: "puppet group", Before: "groupadd g9", Declared: "[group: {name: g9, members: [none9]}]", Fails: "there is no user none9 (declare it"},
		{Name: "in group but not in gshadow", Source: "ansible group", Before: "groupadd g10; sed -i /^g10:/d /etc/gshadow; useradd m10", Declared: "[group: {name: g10, members: [m10]}]", Want: "update members"},
		{Name: "system group", Source: "ansible group", Declared: "[group: {name: g11, system: true}]", Want: "create", After: "[ $(getent group g11 | cut -d: -f3) -lt 1000 ]"},
		{Name: "removed while somebody's own", Source: "puppet group", Before: "useradd -m g12", Declared: "[group: {name: g12, state: absent}]", Fails: "is the primary group of a user", After: "getent group g12"},
		{Name: "lines of NIS", Source: "puppet group", Before: "cp /etc/group /tmp/group; echo '+:::' >>/etc/group; groupadd g13; useradd m13", Declared: "[group: {name: g13, members: [m13]}]", Want: "update members", After: "grep -q '^+:::' /etc/group; sed -i '/^+/d' /etc/group"},
	}
}

// k1 makes the folder and the file of a user.
func keysBefore(user, text string) string {
	return "useradd -m " + user + "; install -d -m 700 -o " + user + " -g " + user + " /home/" + user + "/.ssh; printf '" + text + "' >/home/" + user + "/.ssh/authorized_keys; chown " + user + ":" + user + " /home/" + user + "/.ssh/authorized_keys; chmod 600 /home/" + user + "/.ssh/authorized_keys"
}

func keyCases() []infratest.Case {
	is := func(user, text string) string {
		return "printf '" + text + "' | cmp - /home/" + user + "/.ssh/authorized_keys"
	}
	const blob = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBMPmn1vnHJwqV6rySVp0QGrSp1bNrRu8mgmgZoSzEEv"
	return []infratest.Case{
		{Name: "key is there", Source: "ansible authorized_key", Before: keysBefore("k1", anna+`\n`), Declared: "[authorized_key: {user: k1, key: " + anna + "}]", Want: "same"},
		{Name: "with another comment", Source: "ansible authorized_key", Before: keysBefore("k2", blob+` old name\n`), Declared: "[authorized_key: {user: k2, key: " + anna + "}]", Want: "update key", After: is("k2", anna+`\n`)},
		{Name: "without a comment", Source: "ansible authorized_key", Before: keysBefore("k3", anna+`\n`), Declared: "[authorized_key: {user: k3, key: " + blob + "}]", Want: "update key", After: is("k3", blob+`\n`),
			Why: "the line is as the role has it, so that the comment of a key that changed hands does not stay"},
		{Name: "with options", Source: "ansible authorized_key", Before: keysBefore("k4", anna+`\n`), Declared: `[authorized_key: {user: k4, key: ` + anna + `, options: ['environment="A=b c"', no-pty]}]`, Want: "update key", After: is("k4", `environment="A=b c",no-pty `+anna+`\n`)},
		{Name: "options in front of the key", Source: "salt ssh_auth", Before: keysBefore("k5", ``), Declared: `[authorized_key: {user: k5, key: 'command="/bin/true",no-pty ` + anna + `'}]`, Want: "create key", After: is("k5", `command="/bin/true",no-pty `+anna+`\n`)},
		{Name: "options taken away", Source: "ansible authorized_key", Before: keysBefore("k6", "no-pty "+anna+`\n`), Declared: "[authorized_key: {user: k6, key: " + anna + "}]", Want: "update key"},
		{Name: "once more further down", Source: "ansible authorized_key", Before: keysBefore("k7", anna+`\n`+ben+`\nno-pty `+anna+`\n`), Declared: "[authorized_key: {user: k7, key: " + anna + "}]", Want: "update key", After: is("k7", anna+`\n`+ben+`\n`)},
		{Name: "line ends of Windows", Source: "salt ssh_auth", Before: keysBefore("k8", ben+`\r\n`+anna+`\r\n`), Declared: "[authorized_key: {user: k8, key: " + anna + "}]", Want: "update key", After: is("k8", ben+`\r\n`+anna+`\n`)},
		{Name: "key declared with line ends of Windows", Source: "salt ssh_auth", Before: keysBefore("k9", anna+`\n`), Declared: `[authorized_key: {user: k9, key: "` + anna + `\r\n"}]`, Want: "same"},
		{Name: "commented out", Source: "ansible authorized_key", Before: keysBefore("k10", "# "+anna+`\n`), Declared: "[authorized_key: {user: k10, key: " + anna + "}]", Want: "create key", After: is("k10", "# "+anna+`\n`+anna+`\n`)},
		{Name: "last line does not end", Source: "ansible authorized_key", Before: keysBefore("k11", ben), Declared: "[authorized_key: {user: k11, key: " + anna + "}]", Want: "create key", After: is("k11", ben+`\n`+anna+`\n`)},
		{Name: "tabs between", Source: "puppet ssh_authorized_key", Before: keysBefore("k12", `ssh-ed25519\tAAAAC3NzaC1lZDI1NTE5AAAAIBMPmn1vnHJwqV6rySVp0QGrSp1bNrRu8mgmgZoSzEEv\tanna@laptop\n`), Declared: "[authorized_key: {user: k12, key: " + anna + "}]", Want: "update key"},
		{Name: "several at once", Source: "ansible authorized_key", Before: keysBefore("k13", ben+`\n`), Declared: `[authorized_key: {user: k13, key: "` + anna + `\n` + ben + `\n"}]`, Want: "update key", After: is("k13", ben+`\n`+anna+`\n`)},
		{Name: "only these", Source: "puppet user", Before: keysBefore("k14", `# note\n\n`+ben+`\nnonsense\n`), Declared: "[authorized_key: {user: k14, exact: true, key: " + anna + "}]", Want: "update key", After: is("k14", anna+`\n`)},
		{Name: "key taken away, whatever options and comment it has", Source: "puppet ssh_authorized_key", Before: keysBefore("k15", "no-pty "+blob+` other\n`+ben+`\n`), Declared: "[authorized_key: {user: k15, state: absent, key: " + anna + "}]", Want: "delete key", After: is("k15", ben+`\n`)},
		{Name: "taken away, was not there", Source: "puppet ssh_authorized_key", Before: keysBefore("k16", ben+`\n`), Declared: "[authorized_key: {user: k16, state: absent, key: " + anna + "}]", Want: "same"},
		{Name: "taken away from nobody", Source: "salt ssh_auth", Declared: "[authorized_key: {user: k17, state: absent, key: " + anna + "}]", Want: "same"},
		{Name: "user has no home", Source: "pyinfra user", Before: "useradd k18", Declared: "[authorized_key: {user: k18, key: " + anna + "}]", Fails: "the home folder /home/k18 of user k18 is missing"},
		{Name: "everybody may write", Source: "ansible authorized_key", Before: keysBefore("k19", anna+`\n`) + "; chmod 777 /home/k19/.ssh; chmod 666 /home/k19/.ssh/authorized_keys", Declared: "[authorized_key: {user: k19, key: " + anna + "}]", Want: "update folder mode file mode"},
		{Name: "file is a link", Source: "ansible authorized_key", Before: keysBefore("k20", anna+`\n`) + "; cd /home/k20/.ssh; mv authorized_keys real; ln -s real authorized_keys", Declared: "[authorized_key: {user: k20, key: " + anna + "}]", Fails: "could make root write elsewhere",
			Why: "Ansible follows it when asked to; a link that the user may set lets root write where the user says"},
		{Name: "user and key of one role", Source: "puppet user", Declared: "[user: {name: k21}, authorized_key: {user: k21, key: " + anna + "}]", Want: "create; create key"},
	}
}
