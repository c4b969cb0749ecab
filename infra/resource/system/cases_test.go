package system

import (
	"testing"

	"steer/infra/infratest"
)

// TestCases tries what the tests of other tools try, each in our own words.
func TestCases(t *testing.T) {
	infratest.Inside(t, func() {
		infratest.Shell(t, "mount -o remount,rw /proc/sys; printf '# static\\n/dev/x /x ext4 ro' >/etc/fstab")
		infratest.Cases(t, Kinds(), sysctlCases())
		infratest.Cases(t, Kinds(), mountCases())
		infratest.Cases(t, Kinds(), nameCases())
		infratest.Cases(t, Kinds(), zoneCases())
		infratest.Cases(t, Kinds(), firewallCases())
		infratest.Cases(t, Kinds(), certificateCases())
	})
}

func sysctlCases() []infratest.Case {
	return []infratest.Case{
		{Name: "set, and written", From: "ansible sysctl", Before: "sysctl -q -w net.ipv4.ip_forward=0", YAML: "sysctl: {name: net.ipv4.ip_forward, value: 1}", Diff: "create file, value", After: "[ $(sysctl -n net.ipv4.ip_forward) = 1 ]"},
		{Name: "runs so already, is not written", From: "pyinfra server.sysctl", Before: "sysctl -q -w net.ipv4.conf.lo.rp_filter=2", YAML: "sysctl: {name: net.ipv4.conf.lo.rp_filter, value: 2}", Diff: "create file"},
		{Name: "written so already, runs otherwise", From: "ansible sysctl", Before: "sysctl -q -w net.ipv4.conf.lo.rp_filter=1", YAML: "sysctl: {name: net.ipv4.conf.lo.rp_filter, value: 2}", Diff: "update value"},
		{Name: "not written any more", From: "ansible sysctl", YAML: "sysctl: {name: net.ipv4.conf.lo.rp_filter, state: absent}", Diff: "delete", After: "[ $(sysctl -n net.ipv4.conf.lo.rp_filter) = 2 ]"},
		{Name: "was not written", From: "ansible sysctl", YAML: "sysctl: {name: net.ipv4.conf.lo.rp_filter, state: absent}"},
		{Name: "zero, and runs so", From: "pyinfra server.sysctl", Before: "sysctl -q -w net.ipv4.conf.lo.log_martians=0", YAML: "sysctl: {name: net.ipv4.conf.lo.log_martians, value: 0}", Diff: "create file"},
		{Name: "numbers with tabs between", From: "own", Before: "sysctl -q -w net.ipv4.tcp_wmem='4096 16384 4194304'", YAML: "sysctl: {name: net.ipv4.tcp_wmem, value: \"4096\\t16384\\t4194304\"}", Diff: "create file"},
		{Name: "blanks around", From: "pyinfra server.sysctl", Before: "sysctl -q -w net.ipv4.tcp_rmem='4096 131072 6291456'", YAML: "sysctl: {name: net.ipv4.tcp_rmem, value: '  4096   131072 6291456 '}", Diff: "create file"},
		{Name: "a list with commas", From: "own", YAML: "sysctl: {name: net.ipv4.ip_local_reserved_ports, value: '8080,9148'}", Diff: "create file, value"},
		{Name: "a list that the kernel writes otherwise", From: "own", YAML: "sysctl: {name: net.ipv4.ip_local_reserved_ports, value: '8080,8081'}", Error: `the kernel made "8080-8081" of it (write the value as the kernel shows it)`},
		{Name: "a name with slashes", From: "own", YAML: "sysctl: {name: net/ipv4/conf/lo/accept_redirects, value: 0}", Diff: "create file, value"},
		{Name: "a name that no kernel has", From: "ansible sysctl", YAML: "sysctl: {name: test.invalid, value: 1}", Error: "the kernel has no such setting", After: "! grep -r test.invalid /etc/sysctl.d && ! grep -r test/invalid /etc/sysctl.d"},
		{Name: "a value that the kernel refuses", From: "ansible sysctl", YAML: "sysctl: {name: net.ipv4.tcp_syncookies, value: 1024000000000}", Error: "the kernel refuses the value", After: "! grep -rl tcp_syncookies /etc/sysctl.d"},
		{Name: "no value", From: "ansible sysctl", YAML: "sysctl: {name: net.ipv4.tcp_syncookies}", Error: "value: is missing"},
		{Name: "cannot be changed", From: "own", YAML: "sysctl: {name: kernel.ostype, value: Steer}", Error: "set kernel.ostype to Steer"},
		{Name: "can only be written", From: "own", YAML: "sysctl: {name: net.ipv4.route.flush, value: 1}", Error: "cannot be read, so it cannot be kept (use a command)"},
	}
}

func mountCases() []infratest.Case {
	again := "umount /m 2>/dev/null || true; "
	return []infratest.Case{
		{Name: "in the table only, others as they are", From: "puppet mount", YAML: "mount: {path: /m1, source: /dev/none1, type: ext4, state: present, pass: 2}", Diff: "create source, type, options, dump, pass",
			After: "grep -qx '/dev/none1 /m1 ext4 defaults 0 2' /etc/fstab && grep -qx '/dev/x /x ext4 ro' /etc/fstab"},
		{Name: "last fields are missing in the table", From: "ansible mount", Before: "echo '//nas/p /m2 cifs uid=a,_netdev' >>/etc/fstab", YAML: "mount: {path: /m2, source: //nas/p, type: cifs, options: [uid=a, _netdev], state: present}"},
		{Name: "table has tabs and blanks", From: "own", Before: `printf '/dev/none3\t\t/m3   ext4\tdefaults 0\t0\n' >>/etc/fstab`, YAML: "mount: {path: /m3, source: /dev/none3, type: ext4, state: present}"},
		{Name: "options in another order", From: "salt mount", Before: "echo '/dev/none4 /m4 ext4 noatime,nodev 0 0' >>/etc/fstab", YAML: "mount: {path: /m4, source: /dev/none4, type: ext4, options: [nodev, noatime], state: present}", Diff: "update options"},
		{Name: "mounted by hand, not in the table", From: "own", Before: "mkdir /m5; mount -t tmpfs -o nodev none /m5", YAML: "mount: {path: /m5, source: none, type: tmpfs, options: [nodev]}", Diff: "update source, type, options, dump, pass", After: "[ $(grep -c ' /m5 ' /proc/mounts) = 1 ]"},
		{Name: "in the table, not mounted", From: "puppet mount", Before: "echo 'none /m6 tmpfs nodev 0 0' >>/etc/fstab", YAML: "mount: {path: /m6, source: none, type: tmpfs, options: [nodev]}", Diff: "update mounted"},
		{Name: "mounted, and the table is enough", From: "salt mount", Before: "mkdir /m7; mount -t tmpfs none /m7; echo 'none /m7 tmpfs defaults 0 0' >>/etc/fstab", YAML: "mount: {path: /m7, source: none, type: tmpfs, state: present}", After: "grep -q ' /m7 ' /proc/mounts"},
		{Name: "another size", From: "ansible mount", Before: "mkdir /m8; mount -t tmpfs -o size=1m none /m8; echo 'none /m8 tmpfs size=1m 0 0' >>/etc/fstab", YAML: "mount: {path: /m8, source: none, type: tmpfs, options: [size=2m]}", Diff: "update options", After: "[ $(findmnt -no SIZE /m8) = 2M ]"},
		{Name: "an option less", From: "ansible mount", Before: "mkdir /m9; echo 'none /m9 tmpfs nodev,noexec 0 0' >>/etc/fstab; mount /m9", YAML: "mount: {path: /m9, source: none, type: tmpfs, options: [nodev]}", Diff: "update options", After: "grep ' /m9 ' /proc/mounts | grep nodev | grep -v noexec"},
		{Name: "folder, read-only", From: "ansible mount", Before: "mkdir /from10; touch /from10/f", YAML: "mount: {path: /m10, source: /from10, type: none, options: [bind, ro]}", Diff: "create source, type, options, dump, pass, mounted", After: "[ -e /m10/f ] && ! touch /m10/g 2>/dev/null && touch /from10/g"},
		{Name: "folder, no longer read-only", From: "own", YAML: "mount: {path: /m10, source: /from10, type: none, options: [bind]}", Diff: "update options, mounted options", After: "touch /m10/h"},
		{Name: "another folder is there", From: "own", Before: "mkdir /from11 /other11 /m11; touch /from11/f; mount --bind /other11 /m11; echo '/from11 /m11 none bind 0 0' >>/etc/fstab", YAML: "mount: {path: /m11, source: /from11, type: none, options: [bind]}", Diff: "update mounted source", After: "[ -e /m11/f ] && [ $(grep -c ' /m11 ' /proc/mounts) = 1 ]"},
		{Name: "place is reached by a link", From: "own", Before: "mkdir /real12; ln -s /real12 /m12", YAML: "mount: {path: /m12, source: none, type: tmpfs}", Diff: "create source, type, options, dump, pass, mounted", After: "[ $(grep -c ' /real12 ' /proc/mounts) = 1 ]"},
		{Name: "gone by a link", From: "own", YAML: "mount: {path: /m12, state: absent}", Diff: "delete", After: "! grep ' /real12 ' /proc/mounts && ! grep /m12 /etc/fstab"},
		{Name: "blanks in place and source", From: "own", Before: "mkdir '/from 13'", YAML: "mount: {path: '/m 13/x y', source: '/from 13', type: none, options: [bind]}", Diff: "create source, type, options, dump, pass, mounted", After: `grep -qF '/from\04013 /m\04013/x\040y none bind 0 0' /etc/fstab`},
		{Name: "gone, and was not there", From: "ansible mount", YAML: "mount: {path: /m14, state: absent}"},
		{Name: "gone, mounted in two layers", From: "own", Before: "mkdir /m15; mount -t tmpfs a /m15; mount -t tmpfs b /m15", YAML: "mount: {path: /m15, state: absent}", Diff: "delete", After: "! grep ' /m15 ' /proc/mounts && [ -d /m15 ]",
			Differs: "Ansible removes the folder, too: if it is not empty below, that loses what is in it"},
		{Name: "by UUID, which is not here", From: "salt mount", YAML: "mount: {path: /m16, source: UUID=0f0f0f0f-0000-4000-8000-000000000000, type: ext4}", Error: "nothing was written to /etc/fstab", After: "! grep 0f0f0f0f /etc/fstab"},
		{Name: "swap, which has no place", From: "ansible mount", YAML: "mount: {path: none, source: /swap, type: swap, state: present}", Error: `path: "none" is no absolute path`,
			Differs: "what has no place is told from others by its source; swap is for a unit or a line of /etc/fstab"},
		{Name: "not at the start", From: "ansible mount", YAML: "mount: {path: /m18, source: none, type: tmpfs, options: [noauto, nofail, x-systemd.device-timeout=5]}", Diff: "create source, type, options, dump, pass, mounted"},
		{Name: "end of the line of Windows", From: "own", Before: again + `printf '/dev/none19 /m19 ext4 defaults 0 0\r\n' >>/etc/fstab`, YAML: "mount: {path: /m19, source: /dev/none19, type: ext4, state: present}"},
	}
}

func nameCases() []infratest.Case {
	const all = "update name, /etc/hostname, /etc/hosts"
	free := "umount /etc/hosts /etc/hostname 2>/dev/null || true; "
	return []infratest.Case{
		{Name: "many dots", From: "ansible hostname", Before: free + "hostname first; echo first >/etc/hostname; echo 127.0.0.1 localhost >/etc/hosts", YAML: "hostname: {name: crocodile.test.net.example.com}", Diff: all, After: "[ $(hostname) = crocodile.test.net.example.com ] && grep -q 'crocodile.test.net.example.com crocodile' /etc/hosts"},
		{Name: "has it", From: "ansible hostname", YAML: "hostname: {name: crocodile.test.net.example.com}"},
		{Name: "capitals", From: "own", YAML: "hostname: {name: Web1}", Diff: all, After: "[ $(hostname) = Web1 ]"},
		{Name: "other capitals", From: "own", YAML: "hostname: {name: web1}", Diff: all, After: "! grep Web1 /etc/hosts"},
		{Name: "longest", From: "own", YAML: "hostname: {name: a23456789012345678901234567890.a23456789012345678901234567890.c4}", Diff: all},
		{Name: "too long", From: "own", YAML: "hostname: {name: a23456789012345678901234567890.a23456789012345678901234567890.c45}", Error: "is no host name (use up to 64"},
		{Name: "like an option", From: "ansible hostname", YAML: "hostname: {name: -flag}", Error: "is no host name"},
		{Name: "file has a comment", From: "own", Before: "hostname web2; printf '# mine\\nweb2\\n' >/etc/hostname; echo 127.0.1.1 web2 >/etc/hosts", YAML: "hostname: {name: web2}", Diff: "update /etc/hostname"},
		{Name: "file does not end", From: "own", Before: "printf web2 >/etc/hostname", YAML: "hostname: {name: web2}", Diff: "update /etc/hostname"},
		{Name: "files are missing", From: "own", Before: "rm /etc/hostname /etc/hosts", YAML: "hostname: {name: web2}", Diff: "update /etc/hostname, /etc/hosts"},
		{Name: "lines that are broken stay", From: "puppet host", Before: "printf 'broken\\n127.0.0.1 localhost # x\\n\\n::1\\n' >/etc/hosts", YAML: "hostname: {name: web2}", Diff: "update /etc/hosts", After: "grep -qx broken /etc/hosts && grep -qx ::1 /etc/hosts"},
		{Name: "is an alias of another line", From: "own", Before: "printf '127.0.0.1 localhost\\n10.0.0.9 db.example.com db web2\\n' >/etc/hosts", YAML: "hostname: {name: web2}"},
	}
}

func zoneCases() []infratest.Case {
	return []infratest.Case{
		{Name: "a link", From: "ansible timezone", Before: "ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime; echo Etc/UTC >/etc/timezone", YAML: "timezone: {name: Asia/Tokyo}", Diff: "update name, /etc/timezone", After: "[ $(date +%Z) = JST ]"},
		{Name: "has the zone", From: "ansible timezone", YAML: "timezone: {name: Asia/Tokyo}"},
		{Name: "a copy of the file", From: "ansible timezone", Before: "cp --remove-destination /usr/share/zoneinfo/Asia/Tokyo /etc/localtime", YAML: "timezone: {name: Asia/Tokyo}", Diff: "update name", After: "[ -L /etc/localtime ]"},
		{Name: "none", From: "own", Before: "rm -f /etc/localtime /etc/timezone", YAML: "timezone: {name: UTC}", Diff: "update name", After: "[ ! -e /etc/timezone ]"},
		{Name: "leads nowhere", From: "ansible timezone", Before: "ln -sfn /usr/share/zoneinfo/Gone/City /etc/localtime", YAML: "timezone: {name: Europe/Vienna}", Diff: "update name"},
		{Name: "a relative link, and a file that does not end", From: "own", Before: "ln -sfn ../usr/share/zoneinfo/Europe/Vienna /etc/localtime; printf Europe/Vienna >/etc/timezone", YAML: "timezone: {name: Europe/Vienna}"},
		{Name: "another name of the same zone", From: "ansible timezone", Before: "ln -sfn /usr/share/zoneinfo/US/Eastern /etc/localtime; rm -f /etc/timezone", YAML: "timezone: {name: America/New_York}", Diff: "update name"},
		{Name: "Debian's file is empty", From: "ansible timezone", Before: ": >/etc/timezone", YAML: "timezone: {name: America/New_York}", Diff: "update /etc/timezone", After: "grep -qx America/New_York /etc/timezone"},
		{Name: "no such zone", From: "own", YAML: "timezone: {name: Mars/Base}", Error: "there is no time zone Mars/Base on this host", After: "[ -e /etc/localtime ]"},
	}
}

func firewallCases() []infratest.Case {
	const all = "create rules, /etc/nftables.d/steer.nft, /etc/nftables.conf"
	const again = "update rules, /etc/nftables.d/steer.nft"
	return []infratest.Case{
		{Name: "beside the tables of others", From: "puppet firewall", Before: `nft 'table ip other { counter c { packets 7 bytes 9 }; chain f { type filter hook forward priority 0; policy drop; }; }'`,
			YAML: "firewall: {allow: [{port: 22}]}", Diff: all, After: "nft list table ip other | grep -q 'packets 7' && nft list table ip other | grep -q 'policy drop'"},
		{Name: "loaded already", From: "own", YAML: "firewall: {allow: [{port: 22}]}"},
		{Name: "a port twice, ports side by side", From: "own", YAML: "firewall: {allow: [{port: '80,81,80,8000-8010'}, {port: 80}]}", Diff: again},
		{Name: "networks within each other", From: "own", YAML: "firewall: {allow: [{port: 22, from: '10.0.0.0/8,10.1.0.0/16,10.1.2.3'}]}", Diff: again},
		{Name: "network with bits of a host", From: "own", YAML: "firewall: {allow: [{port: 22, from: 10.1.2.3/8}]}", Diff: again, After: "nft list table inet steer | grep -q 'saddr 10.0.0.0/8'"},
		{Name: "addresses of both kinds", From: "own", YAML: "firewall: {allow: [{port: 22, from: '2001:DB8:0::1, 10.0.0.5/32, ::/0'}], policy: accept, deny: [{from: 192.0.2.0/24}]}", Diff: again},
		{Name: "a rule added by hand", From: "puppet firewall", Before: "nft insert rule inet steer input tcp dport 9999 accept", YAML: "firewall: {allow: [{port: 22, from: '2001:DB8:0::1, 10.0.0.5/32, ::/0'}], policy: accept, deny: [{from: 192.0.2.0/24}]}", Diff: "update rules", After: "! nft list table inet steer | grep 9999"},
		{Name: "counters that count are no difference", From: "own", YAML: "firewall: {content: 'chain c { type filter hook output priority 5; counter accept; }'}", Diff: again},
		{Name: "counters stay when nothing changes", From: "own", Before: "ip link set lo up 2>/dev/null || true; (exec 3<>/dev/tcp/127.0.0.1/9) 2>/dev/null || true; nft list table inet steer >/tmp/counted", YAML: "firewall: {content: 'chain c { type filter hook output priority 5; counter accept; }'}", After: "nft list table inet steer | cmp - /tmp/counted"},
		{Name: "a set, its elements in any order", From: "own", YAML: "firewall: {content: 'set s { type ipv4_addr; elements = { 10.0.0.3, 10.0.0.1, 10.0.0.2 }; }'}", Diff: again},
		{Name: "an element added by hand", From: "own", Before: "nft add element inet steer s '{ 10.9.9.9 }'", YAML: "firewall: {content: 'set s { type ipv4_addr; elements = { 10.0.0.3, 10.0.0.1, 10.0.0.2 }; }'}", Diff: "update rules"},
		{Name: "a set that fills itself", From: "own", YAML: `firewall: {content: "set seen { type ipv4_addr; flags dynamic,timeout; timeout 1h; }\nset timed { type ipv4_addr; flags timeout; }\nset s { type ipv4_addr; elements = { 10.0.0.1 }; }"}`, Diff: again},
		{Name: "and what is in it stays", From: "own", Before: "nft add element inet steer seen '{ 10.9.9.1, 10.9.9.2, 10.9.9.3, 10.9.9.4, 10.9.9.5 }'; nft add element inet steer timed '{ 10.9.9.9 timeout 1h }'", YAML: `firewall: {content: "set seen { type ipv4_addr; flags dynamic,timeout; timeout 1h; }\nset timed { type ipv4_addr; flags timeout; }\nset s { type ipv4_addr; elements = { 10.0.0.1 }; }"}`, After: "nft list set inet steer seen | grep -q 10.9.9.5"},
		{Name: "comments in the content", From: "own", YAML: `firewall: {content: "# why\nchain c {\n  # more\n  tcp dport 22 accept comment \"ssh\"\n}"}`, Diff: again},
		{Name: "gone", From: "own", YAML: "firewall: {policy: accept, state: absent}", Diff: "delete", After: "! nft list table inet steer 2>/dev/null && nft list table ip other | grep -q 'packets 7'"},
		{Name: "was not there", From: "own", YAML: "firewall: {policy: accept, state: absent}"},
	}
}

func certificateCases() []infratest.Case {
	const c = "certificate: {path: /etc/ssl/c.pem, key_path: /etc/ssl/c.key, self_signed: true, "
	return []infratest.Case{
		{Name: "made", From: "ansible x509_certificate", YAML: c + "names: [b.example, a.example]}", Diff: "create certificate", After: "openssl x509 -in /etc/ssl/c.pem -noout -checkend 86400"},
		{Name: "names in another order, one twice", From: "own", YAML: c + "common_name: b.example, names: [a.example, b.example, a.example]}"},
		{Name: "names with other capitals", From: "own", YAML: c + "common_name: b.example, names: [A.example, b.example]}"},
		{Name: "a name more, with an asterisk", From: "ansible x509_certificate", YAML: c + "common_name: b.example, names: [a.example, b.example, '*.c.example']}", Diff: "update names", After: "openssl x509 -in /etc/ssl/c.pem -noout -ext subjectAltName | grep -qF 'DNS:*.c.example'"},
		{Name: "address written otherwise", From: "own", Before: "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /etc/ssl/c.key -out /etc/ssl/c.pem -days 365 -subj /CN=b.example -addext subjectAltName=IP:2001:db8::1,IP:10.0.0.1 2>/dev/null; chmod 600 /etc/ssl/c.key",
			YAML: c + "common_name: b.example, names: ['2001:0DB8:0::1', '::ffff:10.0.0.1']}"},
		{Name: "broken", From: "ansible x509_certificate", Before: "echo broken >/etc/ssl/c.pem", YAML: c + "names: [d.example]}", Diff: "update certificate"},
		{Name: "empty", From: "own", Before: ": >/etc/ssl/c.pem", YAML: c + "names: [d.example]}", Diff: "create certificate"},
		{Name: "ended", From: "ansible x509_certificate", Before: "cd /etc/ssl; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout c.key -out c.pem -days 1 -subj /CN=d.example -addext subjectAltName=DNS:d.example 2>/dev/null; chmod 600 c.key", YAML: c + "names: [d.example]}", Diff: "update days, expires"},
		{Name: "of another key", From: "own", Before: "openssl ecparam -genkey -name prime256v1 -noout -out /etc/ssl/c.key", YAML: c + "names: [d.example]}", Diff: "update key", After: "[ \"$(openssl pkey -in /etc/ssl/c.key -pubout)\" = \"$(openssl x509 -in /etc/ssl/c.pem -noout -pubkey)\" ]"},
		{Name: "key has a password", From: "ansible x509_certificate", Before: "openssl ecparam -genkey -name prime256v1 | openssl ec -aes256 -passout pass:x -out /etc/ssl/c.key 2>/dev/null", YAML: c + "names: [d.example]}", Diff: "update key",
			Differs: "a service could not start with it; Ansible takes the password as a parameter"},
		{Name: "an RSA key of before stays", From: "own", Before: "openssl genrsa -out /etc/ssl/c.key 2048 2>/dev/null; cp /etc/ssl/c.key /tmp/c.key; rm /etc/ssl/c.pem", YAML: c + "names: [d.example]}", Diff: "create certificate", After: "cmp /tmp/c.key /etc/ssl/c.key"},
		{Name: "folder in its place", From: "own", Before: "rm /etc/ssl/c.pem; mkdir /etc/ssl/c.pem", YAML: c + "names: [d.example]}", Error: "/etc/ssl/c.pem", After: "rmdir /etc/ssl/c.pem"},
		{Name: "removed", From: "ansible x509_certificate", YAML: "certificate: {path: /etc/ssl/c.pem, key_path: /etc/ssl/c.key, state: absent}", Diff: "delete", After: "[ ! -e /etc/ssl/c.key ]"},
		{Name: "removed already", From: "ansible x509_certificate", YAML: "certificate: {path: /etc/ssl/c.pem, key_path: /etc/ssl/c.key, state: absent}"},
	}
}
