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
		{Name: "already there in all respects", From: "puppet user", Before: "useradd -m -u 2000 -s /bin/sh -c Here u1",
			YAML: "user: {name: u1, uid: 2000, shell: /bin/sh, comment: Here, home: /home/u1}"},
		{Name: "gone already", From: "puppet user", YAML: "user: {name: u2, state: absent, remove_home: true}"},
		{Name: "only the name, whatever else it has", From: "salt user", Before: "groupadd gu3; useradd -m -G gu3 -s /bin/false -c Old u3",
			YAML: "user: {name: u3}", After: "id -nG u3 | grep -qw gu3"},
		{Name: "home is missing", From: "salt user", Before: "useradd u4",
			YAML: "user: {name: u4}", Diff: "update create_home", After: "[ $(stat -c %U /home/u4) = u4 ]"},
		{Name: "home is not to be made", From: "salt user", YAML: "user: {name: u5, create_home: false}", Diff: "create", After: "[ ! -e /home/u5 ]"},
		{Name: "parent of the home is missing", From: "ansible user", YAML: "user: {name: u6, home: /srv/deep/er/u6}", Diff: "create home",
			After: "[ $(stat -c %U /srv/deep/er/u6) = u6 ] && [ $(stat -c %U /srv/deep) = root ]"},
		{Name: "home is a link to a folder", From: "pyinfra server.user", Before: "mkdir /srv/real7; ln -s /srv/real7 /home/u7; useradd u7",
			YAML: "user: {name: u7}", After: "[ -L /home/u7 ]"},
		{Name: "home is a file", From: "pyinfra server.user", Before: "echo mine >/home/u8; useradd u8",
			YAML: "user: {name: u8}", Error: "/home/u8 is no folder", After: "grep -q mine /home/u8"},
		{Name: "home is a link that leads nowhere", From: "own", Before: "ln -s /srv/none /home/u9; useradd u9",
			YAML: "user: {name: u9}", Error: "/home/u9 is no folder"},
		{Name: "home moves", From: "salt user", Before: "useradd -m u10; touch /home/u10/file",
			YAML: "user: {name: u10, home: /srv/u10}", Diff: "update home, create_home", After: "[ -e /home/u10/file ] && [ ! -e /srv/u10/file ] && [ -d /srv/u10 ]",
			Differs: "files are moved by whoever knows what is in them: a home on another disk, in use, may not fit"},
		{Name: "primary group becomes another, and the old one stays", From: "salt user", Before: "groupadd ga11; groupadd gb11; useradd -g ga11 -m u11",
			YAML: "user: {name: u11, group: gb11, groups: [ga11]}", Diff: "update group, groups", After: `[ "$(id -nG u11)" = "gb11 ga11" ]`},
		{Name: "primary group does not exist", From: "own", YAML: "user: {name: u12, group: none12}", Error: "there is no group none12 (declare it", After: "! id u12 2>/dev/null"},
		{Name: "primary group by its number", From: "salt user", YAML: "user: {name: u13, group: '1500'}", Error: "group: \"1500\" cannot be a name",
			Differs: "a number is that of another group on the next host; declare the group with its gid"},
		{Name: "primary group has no line any more", From: "own", Before: "useradd -m u14; sed -i /^u14:/d /etc/group /etc/gshadow; groupadd -g 2114 gu14",
			YAML: "user: {name: u14, group: gu14}", Diff: "update group"},
		{Name: "one group removed from the list stays", From: "pyinfra server.user", Before: "groupadd ga15; groupadd gb15; useradd -m -G ga15,gb15 u15",
			YAML: "user: {name: u15, groups: [ga15]}", After: "id -nG u15 | grep -qw gb15"},
		{Name: "exactly the listed groups", From: "salt user", Before: "groupadd ga16; groupadd gb16; useradd -m -G ga16,gb16 u16",
			YAML: "user: {name: u16, groups: [ga16], exact: true}", Diff: "update groups", After: `[ "$(id -nG u16)" = "u16 ga16" ]`},
		{Name: "a group named twice", From: "own", Before: "groupadd ga17; useradd -m u17",
			YAML: "user: {name: u17, groups: [ga17, ga17]}", Diff: "update groups"},
		{Name: "listed twice in the group's line", From: "own", Before: "groupadd ga18; useradd -m u18; sed -i 's/^ga18:.*/&u18,u18/' /etc/group",
			YAML: "user: {name: u18, groups: [ga18]}"},
		{Name: "a name that is the start of another", From: "own", Before: "groupadd ga19; useradd -m -G ga19 u19x; useradd -m u19",
			YAML: "user: {name: u19, groups: [ga19]}", Diff: "update groups", After: "id -nG u19 | grep -qw ga19"},
		{Name: "in the groups that other resources say", From: "salt user", Before: "groupadd ga20; groupadd gb20; useradd -m u20; gpasswd -M u20 ga20; gpasswd -M u20 gb20",
			YAML: "user: {name: u20, uid: 2620}", Diff: "update uid", After: "id -nG u20 | grep -q 'ga20 gb20'"},
		{Name: "comment of digits", From: "salt user", YAML: "user: {name: u21, comment: 12345}", Diff: "create comment"},
		{Name: "comment taken away", From: "salt user", Before: "useradd -m -c Old u22", YAML: "user: {name: u22, comment: ''}", Diff: "update comment",
			After: "getent passwd u22 | cut -d: -f5 | grep -qx ''"},
		{Name: "comment beyond ASCII", From: "puppet user", Before: "useradd -m -c Old u23", YAML: "user: {name: u23, comment: Žaneta Škoda ①}", Diff: "update comment"},
		{Name: "number changes while files are in the home", From: "puppet user", Before: "useradd -m -u 2024 u24; touch /home/u24/f; chown u24 /home/u24/f; echo x >/srv/u24; chown u24 /srv/u24",
			YAML: "user: {name: u24, uid: 2124}", Diff: "update uid", After: "[ $(stat -c %u /home/u24/f) = 2124 ] && [ $(stat -c %u /srv/u24) = 2024 ]"},
		{Name: "number of somebody else", From: "pyinfra server.user", Before: "useradd -u 2025 owner25", YAML: "user: {name: u25, uid: 2025}", Error: "uid 2025 of user u25 is that of user owner25 already",
			Differs: "pyinfra and Ansible can share a number when asked to; two names of one user hide who did what"},
		{Name: "shares a number already", From: "pyinfra server.user", Before: "useradd -u 2026 owner26; useradd -m -o -u 2026 u26", YAML: "user: {name: u26, uid: 2026}"},
		{Name: "name of digits", From: "own", YAML: "user: {name: '2027'}", Error: "name: \"2027\" cannot be a name"},
		{Name: "longest name, with capitals and a dot", From: "own", YAML: "user: {name: A.b3456789012345678901234567890x}", Diff: "create"},
		{Name: "system user", From: "ansible user", YAML: "user: {name: u29, system: true}", Diff: "create", After: "[ $(id -u u29) -lt 1000 ] && [ ! -e /home/u29 ]"},
		{Name: "became a system user in the role only", From: "own", Before: "useradd -m u30", YAML: "user: {name: u30, system: true}", After: "[ $(id -u u30) -ge 1000 ]"},
		{Name: "shell that does not exist", From: "ansible user", YAML: "user: {name: u31, shell: /usr/bin/nosuchshell}", Diff: "create shell"},
		{Name: "new user, locked", From: "ansible user", YAML: "user: {name: u32, locked: true, password: '" + hash + "'}", Diff: "create password, locked", After: `getent shadow u32 | grep -q '^u32:!\$6'`},
		{Name: "new user, not locked, without a password", From: "ansible user", YAML: "user: {name: u33, locked: false}", Diff: "create", After: "getent shadow u33 | grep -q '^u33:!:'"},
		{Name: "password locked by hand", From: "ansible user", Before: "useradd -m -p '" + hash + "' u34; usermod -L u34", YAML: "user: {name: u34, locked: false}", Diff: "update locked"},
		{Name: "locked in the way of Red Hat", From: "own", Before: "useradd -m -p '!!' u35", YAML: "user: {name: u35, locked: true}"},
		{Name: "no password needed, and not locked", From: "own", Before: "useradd -m u36; passwd -d u36", YAML: "user: {name: u36, locked: false}", After: "getent shadow u36 | grep -q '^u36::'"},
		{Name: "no password needed, to be locked", From: "own", Before: "useradd -m u37; passwd -d u37", YAML: "user: {name: u37, locked: true}", Diff: "update locked", After: "getent shadow u37 | grep -q '^u37:!:'"},
		{Name: "password although nothing is in shadow", From: "ansible user", Before: "useradd -m u38; sed -i /^u38:/d /etc/shadow", YAML: "user: {name: u38, password: '" + hash + "', expires: 2040-01-02}", Diff: "update password, expires"},
		{Name: "account that never ends", From: "ansible user", Before: "useradd -m -e 2030-01-01 u39", YAML: "user: {name: u39, expires: never}", Diff: "update expires"},
		{Name: "ends never, new", From: "puppet user", YAML: "user: {name: u40, expires: never}", Diff: "create"},
		{Name: "ended on the first day there is", From: "own", Before: "useradd -m u41", YAML: "user: {name: u41, expires: 1970-01-01}", Diff: "update expires"},
		{Name: "removed, and the group has others", From: "own", Before: "useradd -m u42; useradd -m -G u42 u42b", YAML: "user: {name: u42, state: absent, remove_home: true}", Diff: "delete", After: "[ ! -e /home/u42 ] && getent group u42"},
		{Name: "removed, home is gone already", From: "own", Before: "useradd u43", YAML: "user: {name: u43, state: absent, remove_home: true}", Diff: "delete"},
		{Name: "removed, home belongs to somebody else", From: "own", Before: "useradd u44; mkdir /home/u44; touch /home/u44/f", YAML: "user: {name: u44, state: absent, remove_home: true}", Diff: "delete", After: "[ -e /home/u44/f ]"},
		{Name: "removed, home stays", From: "puppet user", Before: "useradd -m u45", YAML: "user: {name: u45, state: absent}", Diff: "delete", After: "[ -d /home/u45 ]"},
	}
}

func groupCases() []infratest.Case {
	return []infratest.Case{
		{Name: "group is there", From: "ansible group", Before: "groupadd -g 2201 g1", YAML: "group: {name: g1, gid: 2201}"},
		{Name: "group gone already", From: "ansible group", YAML: "group: {name: g2, state: absent}"},
		{Name: "number changes", From: "puppet group", Before: "groupadd -g 2203 g3; useradd -m -g g3 ug3", YAML: "group: {name: g3, gid: 2213}", Diff: "update gid", After: "[ $(id -g ug3) = 2213 ]"},
		{Name: "number is taken", From: "ansible group", Before: "groupadd -g 2204 owner4", YAML: "group: {name: g4, gid: 2204}", Error: "gid 2204 of group g4 is that of group owner4 already", After: "! getent group g4",
			Differs: "Ansible shares a number when asked to; files would show either name"},
		{Name: "members added", From: "puppet group", Before: "groupadd g5; useradd m5a; useradd -G g5 m5b", YAML: "group: {name: g5, members: [m5a]}", Diff: "update members", After: "getent group g5 | grep -q m5b"},
		{Name: "members exact", From: "puppet group", Before: "groupadd g6; useradd m6a; useradd -G g6 m6b", YAML: "group: {name: g6, members: [m6a], exact: true}", Diff: "update members", After: "! getent group g6 | grep -q m6b"},
		{Name: "no members, exact", From: "own", Before: "groupadd g7; useradd -G g7 m7", YAML: "group: {name: g7, members: [], exact: true}", Diff: "update members"},
		{Name: "members in another order", From: "own", Before: "groupadd g8; useradd -G g8 m8b; useradd -G g8 m8a", YAML: "group: {name: g8, members: [m8a, m8b], exact: true}"},
		{Name: "member who does not exist", From: "own", Before: "groupadd g9", YAML: "group: {name: g9, members: [none9]}", Error: "there is no user none9 (declare it"},
		{Name: "in group but not in gshadow", From: "own", Before: "groupadd g10; sed -i /^g10:/d /etc/gshadow; useradd m10", YAML: "group: {name: g10, members: [m10]}", Diff: "update members"},
		{Name: "system group", From: "own", YAML: "group: {name: g11, system: true}", Diff: "create", After: "[ $(getent group g11 | cut -d: -f3) -lt 1000 ]"},
		{Name: "removed while somebody's own", From: "own", Before: "useradd -m g12", YAML: "group: {name: g12, state: absent}", Error: "is the primary group of a user", After: "getent group g12"},
		{Name: "lines of NIS", From: "own", Before: "cp /etc/group /tmp/group; echo '+:::' >>/etc/group; groupadd g13; useradd m13", YAML: "group: {name: g13, members: [m13]}", Diff: "update members", After: "grep -q '^+:::' /etc/group; sed -i '/^+/d' /etc/group"},
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
		{Name: "key is there", From: "ansible authorized_key", Before: keysBefore("k1", anna+`\n`), YAML: "authorized_key: {user: k1, key: " + anna + "}"},
		{Name: "with another comment", From: "ansible authorized_key", Before: keysBefore("k2", blob+` old name\n`), YAML: "authorized_key: {user: k2, key: " + anna + "}", Diff: "update key", After: is("k2", anna+`\n`)},
		{Name: "without a comment", From: "own", Before: keysBefore("k3", anna+`\n`), YAML: "authorized_key: {user: k3, key: " + blob + "}", Diff: "update key", After: is("k3", blob+`\n`)},
		{Name: "another key has no comment", From: "ansible authorized_key", Before: keysBefore("k25", ben+`\n`), YAML: "authorized_key: {user: k25, key: " + anna + "}", Diff: "create key", After: is("k25", ben+`\n`+anna+`\n`)},
		{Name: "with options", From: "own", Before: keysBefore("k4", anna+`\n`), YAML: `authorized_key: {user: k4, key: ` + anna + `, options: ['environment="A=b c"', no-pty]}`, Diff: "update key", After: is("k4", `environment="A=b c",no-pty `+anna+`\n`)},
		{Name: "options in front of the key", From: "ansible authorized_key", Before: keysBefore("k5", ``), YAML: `authorized_key: {user: k5, key: 'command="/bin/true",no-pty ` + anna + `'}`, Diff: "create key", After: is("k5", `command="/bin/true",no-pty `+anna+`\n`)},
		{Name: "options taken away", From: "own", Before: keysBefore("k6", "no-pty "+anna+`\n`), YAML: "authorized_key: {user: k6, key: " + anna + "}", Diff: "update key"},
		{Name: "once more further down", From: "own", Before: keysBefore("k7", anna+`\n`+ben+`\nno-pty `+anna+`\n`), YAML: "authorized_key: {user: k7, key: " + anna + "}", Diff: "update key", After: is("k7", anna+`\n`+ben+`\n`)},
		{Name: "line ends of Windows", From: "own", Before: keysBefore("k8", ben+`\r\n`+anna+`\r\n`), YAML: "authorized_key: {user: k8, key: " + anna + "}", Diff: "update key", After: is("k8", ben+`\r\n`+anna+`\n`)},
		{Name: "key declared with line ends of Windows", From: "own", Before: keysBefore("k9", anna+`\n`), YAML: `authorized_key: {user: k9, key: "` + anna + `\r\n"}`},
		{Name: "commented out", From: "own", Before: keysBefore("k10", "# "+anna+`\n`), YAML: "authorized_key: {user: k10, key: " + anna + "}", Diff: "create key", After: is("k10", "# "+anna+`\n`+anna+`\n`)},
		{Name: "last line does not end", From: "own", Before: keysBefore("k11", ben), YAML: "authorized_key: {user: k11, key: " + anna + "}", Diff: "create key", After: is("k11", ben+`\n`+anna+`\n`)},
		{Name: "tabs between", From: "own", Before: keysBefore("k12", `ssh-ed25519\tAAAAC3NzaC1lZDI1NTE5AAAAIBMPmn1vnHJwqV6rySVp0QGrSp1bNrRu8mgmgZoSzEEv\tanna@laptop\n`), YAML: "authorized_key: {user: k12, key: " + anna + "}", Diff: "update key"},
		{Name: "several at once", From: "ansible authorized_key", Before: keysBefore("k13", ben+`\n`), YAML: `authorized_key: {user: k13, key: "` + anna + `\n` + ben + `\n"}`, Diff: "update key", After: is("k13", ben+`\n`+anna+`\n`)},
		{Name: "several, in another order", From: "own", Before: keysBefore("k22", ben+`\n`+anna+`\n`), YAML: `authorized_key: {user: k22, key: "` + anna + `\n` + ben + `\n"}`},
		{Name: "comments among the keys", From: "ansible authorized_key", Before: keysBefore("k23", anna+`\n`), YAML: `authorized_key: {user: k23, key: "` + anna + `\n# no key of SSH\n\n` + ben + `\n"}`, Diff: "update key", After: is("k23", anna+`\n`+ben+`\n`)},
		{Name: "comment of several words", From: "ansible authorized_key", Before: keysBefore("k24", ben+` anna at the laptop\n`), YAML: "authorized_key: {user: k24, key: " + ben + " anna at the laptop}"},
		{Name: "only these", From: "puppet user", Before: keysBefore("k14", `# note\n\n`+ben+`\nnonsense\n`), YAML: "authorized_key: {user: k14, exact: true, key: " + anna + "}", Diff: "update key", After: is("k14", anna+`\n`)},
		{Name: "key taken away, whatever options and comment it has", From: "puppet ssh_authorized_key", Before: keysBefore("k15", "no-pty "+blob+` other\n`+ben+`\n`), YAML: "authorized_key: {user: k15, state: absent, key: " + anna + "}", Diff: "delete key", After: is("k15", ben+`\n`)},
		{Name: "taken away, was not there", From: "own", Before: keysBefore("k16", ben+`\n`), YAML: "authorized_key: {user: k16, state: absent, key: " + anna + "}"},
		{Name: "taken away from nobody", From: "own", YAML: "authorized_key: {user: k17, state: absent, key: " + anna + "}"},
		{Name: "user has no home", From: "pyinfra server.user", Before: "useradd k18", YAML: "authorized_key: {user: k18, key: " + anna + "}", Error: "the home folder /home/k18 of user k18 is missing"},
		{Name: "everybody may write", From: "own", Before: keysBefore("k19", anna+`\n`) + "; chmod 777 /home/k19/.ssh; chmod 666 /home/k19/.ssh/authorized_keys", YAML: "authorized_key: {user: k19, key: " + anna + "}", Diff: "update folder mode, file mode"},
		{Name: "file is a link", From: "ansible authorized_key", Before: keysBefore("k20", anna+`\n`) + "; cd /home/k20/.ssh; mv authorized_keys real; ln -s real authorized_keys", YAML: "authorized_key: {user: k20, key: " + anna + "}", Error: "could make root write elsewhere",
			Differs: "Ansible follows it when asked to; a link that the user may set lets root write where the user says"},
	}
}
