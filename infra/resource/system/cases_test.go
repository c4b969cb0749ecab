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
		{Name: "set, and written", Source: "ansible sysctl", Before: "sysctl -q -w net.ipv4.ip_forward=0", Declared: "[sysctl: {name: net.ipv4.ip_forward, value: 1}]", Want: "create file value", After: "[ $(sysctl -n net.ipv4.ip_forward) = 1 ]"},
		{Name: "runs so already, is not written", Source: "salt sysctl", Before: "sysctl -q -w net.ipv4.conf.lo.rp_filter=2", Declared: "[sysctl: {name: net.ipv4.conf.lo.rp_filter, value: 2}]", Want: "create file"},
		{Name: "written so already, runs otherwise", Source: "ansible sysctl", Before: "sysctl -q -w net.ipv4.conf.lo.rp_filter=1", Declared: "[sysctl: {name: net.ipv4.conf.lo.rp_filter, value: 2}]", Want: "update value"},
		{Name: "not written any more", Source: "ansible sysctl", Declared: "[sysctl: {name: net.ipv4.conf.lo.rp_filter, state: absent}]", Want: "delete", After: "[ $(sysctl -n net.ipv4.conf.lo.rp_filter) = 2 ]",
			Why: "the kernel has no default to go back to; a value in the declaration sets one"},
		{Name: "was not written", Source: "ansible sysctl", Declared: "[sysctl: {name: net.ipv4.conf.lo.rp_filter, state: absent}]", Want: "same"},
		{Name: "numbers with tabs between", Source: "salt sysctl", Before: "sysctl -q -w net.ipv4.tcp_wmem='4096 16384 4194304'", Declared: "[sysctl: {name: net.ipv4.tcp_wmem, value: \"4096\\t16384\\t4194304\"}]", Want: "create file"},
		{Name: "blanks around", Source: "pyinfra sysctl", Before: "sysctl -q -w net.ipv4.tcp_rmem='4096 131072 6291456'", Declared: "[sysctl: {name: net.ipv4.tcp_rmem, value: '  4096   131072 6291456 '}]", Want: "create file"},
		{Name: "a list with commas", Source: "salt sysctl", Declared: "[sysctl: {name: net.ipv4.ip_local_reserved_ports, value: '8080,9148'}]", Want: "create file value"},
		{Name: "a list that the kernel writes otherwise", Source: "salt sysctl", Declared: "[sysctl: {name: net.ipv4.ip_local_reserved_ports, value: '8080,8081'}]", Fails: `the kernel made "8080-8081" of it (write the value as the kernel shows it)`,
			Why: "others write it anew at each run without a word"},
		{Name: "a name with slashes", Source: "ansible sysctl", Declared: "[sysctl: {name: net/ipv4/conf/lo/accept_redirects, value: 0}]", Want: "create file value"},
		{Name: "a name that no kernel has", Source: "ansible sysctl", Declared: "[sysctl: {name: test.invalid, value: 1}]", Fails: "the kernel has no such setting", After: "! grep -r test.invalid /etc/sysctl.d; ! grep -r test/invalid /etc/sysctl.d"},
		{Name: "a value that the kernel refuses", Source: "ansible sysctl", Declared: "[sysctl: {name: net.ipv4.tcp_syncookies, value: 1024000000000}]", Fails: "the kernel refuses the value", After: "! grep -rl tcp_syncookies /etc/sysctl.d"},
		{Name: "no value", Source: "ansible sysctl", Declared: "[sysctl: {name: net.ipv4.tcp_syncookies}]", Fails: "value: is missing"},
		{Name: "cannot be changed", Source: "puppet sysctl", Declared: "[sysctl: {name: kernel.ostype, value: Steer}]", Fails: "set kernel.ostype to Steer"},
		{Name: "can only be written", Source: "puppet sysctl", Declared: "[sysctl: {name: net.ipv4.route.flush, value: 1}]", Fails: "cannot be read, so it cannot be kept (use a command)"},
	}
}

func mountCases() []infratest.Case {
	again := "umount /m 2>/dev/null || true; "
	return []infratest.Case{
		{Name: "in the table only, others as they are", Source: "puppet mount", Declared: "[mount: {path: /m1, source: /dev/none1, type: ext4, state: present, pass: 2}]", Want: "create source type options dump pass",
			After: "grep -qx '/dev/none1 /m1 ext4 defaults 0 2' /etc/fstab && grep -qx '/dev/x /x ext4 ro' /etc/fstab"},
		{Name: "last fields are missing in the table", Source: "ansible mount", Before: "echo '//nas/p /m2 cifs uid=a,_netdev' >>/etc/fstab", Declared: "[mount: {path: /m2, source: //nas/p, type: cifs, options: [uid=a, _netdev], state: present}]", Want: "same"},
		{Name: "table has tabs and blanks", Source: "puppet mount", Before: `printf '/dev/none3\t\t/m3   ext4\tdefaults 0\t0\n' >>/etc/fstab`, Declared: "[mount: {path: /m3, source: /dev/none3, type: ext4, state: present}]", Want: "same"},
		{Name: "options in another order", Source: "salt mount", Before: "echo '/dev/none4 /m4 ext4 noatime,nodev 0 0' >>/etc/fstab", Declared: "[mount: {path: /m4, source: /dev/none4, type: ext4, options: [nodev, noatime], state: present}]", Want: "update options",
			Why: "of options that rule each other out the last one counts, so their order means something"},
		{Name: "mounted by hand, not in the table", Source: "puppet mount", Before: "mkdir /m5; mount -t tmpfs -o nodev none /m5", Declared: "[mount: {path: /m5, source: none, type: tmpfs, options: [nodev]}]", Want: "update source type options dump pass", After: "[ $(grep -c ' /m5 ' /proc/mounts) = 1 ]"},
		{Name: "in the table, not mounted", Source: "puppet mount", Before: "echo 'none /m6 tmpfs nodev 0 0' >>/etc/fstab", Declared: "[mount: {path: /m6, source: none, type: tmpfs, options: [nodev]}]", Want: "update mounted"},
		{Name: "mounted, and the table is enough", Source: "salt mount", Before: "mkdir /m7; mount -t tmpfs none /m7; echo 'none /m7 tmpfs defaults 0 0' >>/etc/fstab", Declared: "[mount: {path: /m7, source: none, type: tmpfs, state: present}]", Want: "same", After: "grep -q ' /m7 ' /proc/mounts"},
		{Name: "another size", Source: "ansible mount", Before: "mkdir /m8; mount -t tmpfs -o size=1m none /m8; echo 'none /m8 tmpfs size=1m 0 0' >>/etc/fstab", Declared: "[mount: {path: /m8, source: none, type: tmpfs, options: [size=2m]}]", Want: "update options", After: "[ $(findmnt -no SIZE /m8) = 2M ]"},
		{Name: "an option less", Source: "ansible mount", Before: "mkdir /m9; echo 'none /m9 tmpfs nodev,noexec 0 0' >>/etc/fstab; mount /m9", Declared: "[mount: {path: /m9, source: none, type: tmpfs, options: [nodev]}]", Want: "update options", After: "grep ' /m9 ' /proc/mounts | grep nodev | grep -v noexec"},
		{Name: "folder, read-only", Source: "ansible mount", Before: "mkdir /from10; touch /from10/f", Declared: "[mount: {path: /m10, source: /from10, type: none, options: [bind, ro]}]", Want: "create source type options dump pass mounted", After: "[ -e /m10/f ] && ! touch /m10/g 2>/dev/null && touch /from10/g"},
		{Name: "folder, no longer read-only", Source: "ansible mount", Declared: "[mount: {path: /m10, source: /from10, type: none, options: [bind]}]", Want: "update options mounted options", After: "touch /m10/h"},
		{Name: "another folder is there", Source: "salt mount", Before: "mkdir /from11 /other11 /m11; touch /from11/f; mount --bind /other11 /m11; echo '/from11 /m11 none bind 0 0' >>/etc/fstab", Declared: "[mount: {path: /m11, source: /from11, type: none, options: [bind]}]", Want: "update mounted source", After: "[ -e /m11/f ] && [ $(grep -c ' /m11 ' /proc/mounts) = 1 ]"},
		{Name: "place is reached by a link", Source: "puppet mount", Before: "mkdir /real12; ln -s /real12 /m12", Declared: "[mount: {path: /m12, source: none, type: tmpfs}]", Want: "create source type options dump pass mounted", After: "[ $(grep -c ' /real12 ' /proc/mounts) = 1 ]"},
		{Name: "gone by a link", Source: "puppet mount", Declared: "[mount: {path: /m12, state: absent}]", Want: "delete", After: "! grep ' /real12 ' /proc/mounts; ! grep /m12 /etc/fstab"},
		{Name: "blanks in place and source", Source: "salt mount", Before: "mkdir '/from 13'", Declared: "[mount: {path: '/m 13/x y', source: '/from 13', type: none, options: [bind]}]", Want: "create source type options dump pass mounted", After: `grep -qF '/from\04013 /m\04013/x\040y none bind 0 0' /etc/fstab`},
		{Name: "gone, and was not there", Source: "ansible mount", Declared: "[mount: {path: /m14, state: absent}]", Want: "same"},
		{Name: "gone, mounted in two layers", Source: "ansible mount", Before: "mkdir /m15; mount -t tmpfs a /m15; mount -t tmpfs b /m15", Declared: "[mount: {path: /m15, state: absent}]", Want: "delete", After: "! grep ' /m15 ' /proc/mounts; [ -d /m15 ]",
			Why: "Ansible removes the folder, too: if it is not empty below, that loses what is in it"},
		{Name: "by UUID, which is not here", Source: "salt mount", Declared: "[mount: {path: /m16, source: UUID=0f0f0f0f-0000-4000-8000-000000000000, type: ext4}]", Fails: "nothing was written to /etc/fstab", After: "! grep 0f0f0f0f /etc/fstab"},
		{Name: "swap, which has no place", Source: "ansible mount", Declared: "[mount: {path: none, source: /swap, type: swap, state: present}]", Fails: `path: "none" is no absolute path`,
			Why: "what has no place is told from others by its source; swap is for a unit or a line of /etc/fstab"},
		{Name: "not at the start", Source: "ansible mount", Declared: "[mount: {path: /m18, source: none, type: tmpfs, options: [noauto, nofail, x-systemd.device-timeout=5]}]", Want: "create source type options dump pass mounted"},
		{Name: "end of the line of Windows", Source: "puppet mount", Before: again + `printf '/dev/none19 /m19 ext4 defaults 0 0\r\n' >>/etc/fstab`, Declared: "[mount: {path: /m19, source: /dev/none19, type: ext4, state: present}]", Want: "same"},
	}
}

func nameCases() []infratest.Case {
	const all = "update name /etc/hostname /etc/hosts"
	free := "umount /etc/hosts /etc/hostname 2>/dev/null || true; "
	return []infratest.Case{
		{Name: "many dots", Source: "ansible hostname", Before: free + "hostname first; echo first >/etc/hostname; echo 127.0.0.1 localhost >/etc/hosts", Declared: "[hostname: {name: crocodile.test.net.example.com}]", Want: all, After: "[ $(hostname) = crocodile.test.net.example.com ] && grep -q 'crocodile.test.net.example.com crocodile' /etc/hosts"},
		{Name: "has it", Source: "ansible hostname", Declared: "[hostname: {name: crocodile.test.net.example.com}]", Want: "same"},
		{Name: "capitals", Source: "salt network", Declared: "[hostname: {name: Web1}]", Want: all, After: "[ $(hostname) = Web1 ]"},
		{Name: "other capitals", Source: "salt network", Declared: "[hostname: {name: web1}]", Want: all, After: "! grep Web1 /etc/hosts"},
		{Name: "longest", Source: "pyinfra server.hostname", Declared: "[hostname: {name: a23456789012345678901234567890.a23456789012345678901234567890.c4}]", Want: all},
		{Name: "too long", Source: "pyinfra server.hostname", Declared: "[hostname: {name: a23456789012345678901234567890.a23456789012345678901234567890.c45}]", Fails: "is no host name (use up to 64"},
		{Name: "like an option", Source: "ansible hostname", Declared: "[hostname: {name: -flag}]", Fails: "is no host name"},
		{Name: "file has a comment", Source: "salt network", Before: "hostname web2; printf '# mine\\nweb2\\n' >/etc/hostname; echo 127.0.1.1 web2 >/etc/hosts", Declared: "[hostname: {name: web2}]", Want: "update /etc/hostname"},
		{Name: "file does not end", Source: "pyinfra server.hostname", Before: "printf web2 >/etc/hostname", Declared: "[hostname: {name: web2}]", Want: "update /etc/hostname"},
		{Name: "files are missing", Source: "salt network", Before: "rm /etc/hostname /etc/hosts", Declared: "[hostname: {name: web2}]", Want: "update /etc/hostname /etc/hosts"},
		{Name: "lines that are broken stay", Source: "puppet host", Before: "printf 'broken\\n127.0.0.1 localhost # x\\n\\n::1\\n' >/etc/hosts", Declared: "[hostname: {name: web2}]", Want: "update /etc/hosts", After: "grep -qx broken /etc/hosts && grep -qx ::1 /etc/hosts"},
		{Name: "is an alias of another line", Source: "puppet host", Before: "printf '127.0.0.1 localhost\\n10.0.0.9 db.example.com db web2\\n' >/etc/hosts", Declared: "[hostname: {name: web2}]", Want: "same"},
	}
}

func zoneCases() []infratest.Case {
	return []infratest.Case{
		{Name: "a link", Source: "ansible timezone", Before: "ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime; echo Etc/UTC >/etc/timezone", Declared: "[timezone: {name: Asia/Tokyo}]", Want: "update name /etc/timezone", After: "[ $(date +%Z) = JST ]"},
		{Name: "has it", Source: "ansible timezone", Declared: "[timezone: {name: Asia/Tokyo}]", Want: "same"},
		{Name: "a copy of the file", Source: "salt timezone", Before: "cp --remove-destination /usr/share/zoneinfo/Asia/Tokyo /etc/localtime", Declared: "[timezone: {name: Asia/Tokyo}]", Want: "update name", After: "[ -L /etc/localtime ]"},
		{Name: "none", Source: "salt timezone", Before: "rm -f /etc/localtime /etc/timezone", Declared: "[timezone: {name: UTC}]", Want: "update name", After: "[ ! -e /etc/timezone ]"},
		{Name: "leads nowhere", Source: "pyinfra server", Before: "ln -sfn /usr/share/zoneinfo/Gone/City /etc/localtime", Declared: "[timezone: {name: Europe/Vienna}]", Want: "update name"},
		{Name: "a relative link, and a file that does not end", Source: "puppet timezone", Before: "ln -sfn ../usr/share/zoneinfo/Europe/Vienna /etc/localtime; printf Europe/Vienna >/etc/timezone", Declared: "[timezone: {name: Europe/Vienna}]", Want: "same"},
		{Name: "another name of the same zone", Source: "salt timezone", Before: "ln -sfn /usr/share/zoneinfo/US/Eastern /etc/localtime; rm -f /etc/timezone", Declared: "[timezone: {name: America/New_York}]", Want: "update name",
			Why: "programs show the name"},
		{Name: "no such zone", Source: "ansible timezone", Declared: "[timezone: {name: Mars/Base}]", Fails: "there is no time zone Mars/Base on this host", After: "[ -e /etc/localtime ]"},
	}
}

func firewallCases() []infratest.Case {
	const all = "create rules /etc/nftables.d/steer.nft /etc/nftables.conf"
	const again = "update rules /etc/nftables.d/steer.nft"
	return []infratest.Case{
		{Name: "beside the tables of others", Source: "puppet firewall", Before: `nft 'table ip other { counter c { packets 7 bytes 9 }; chain f { type filter hook forward priority 0; policy drop; }; }'`,
			Declared: "[firewall: {allow: [{port: 22}]}]", Want: all, After: "nft list table ip other | grep -q 'packets 7' && nft list table ip other | grep -q 'policy drop'"},
		{Name: "loaded already", Source: "puppet firewall", Declared: "[firewall: {allow: [{port: 22}]}]", Want: "same"},
		{Name: "a port twice, ports side by side", Source: "puppet firewall", Declared: "[firewall: {allow: [{port: '80,81,80,8000-8010'}, {port: 80}]}]", Want: again},
		{Name: "networks within each other", Source: "puppet firewall", Declared: "[firewall: {allow: [{port: 22, from: '10.0.0.0/8,10.1.0.0/16,10.1.2.3'}]}]", Want: again},
		{Name: "network with bits of a host", Source: "ansible iptables", Declared: "[firewall: {allow: [{port: 22, from: 10.1.2.3/8}]}]", Want: again, After: "nft list table inet steer | grep -q 'saddr 10.0.0.0/8'"},
		{Name: "addresses of both kinds", Source: "puppet firewall", Declared: "[firewall: {allow: [{port: 22, from: '2001:DB8:0::1, 10.0.0.5/32, ::/0'}], policy: accept, deny: [{from: 192.0.2.0/24}]}]", Want: again},
		{Name: "a rule added by hand", Source: "puppet firewall", Before: "nft insert rule inet steer input tcp dport 9999 accept", Declared: "[firewall: {allow: [{port: 22, from: '2001:DB8:0::1, 10.0.0.5/32, ::/0'}], policy: accept, deny: [{from: 192.0.2.0/24}]}]", Want: "update rules", After: "! nft list table inet steer | grep 9999"},
		{Name: "counters that count are no difference", Source: "puppet firewall", Declared: "[firewall: {content: 'chain c { type filter hook output priority 5; counter accept; }'}, firewall: {content: 'chain c { type filter hook output priority 5; counter accept; }'}]", Want: again + "; same"},
		{Name: "counters stay when nothing changes", Source: "puppet firewall", Before: "ip link set lo up 2>/dev/null || true; (exec 3<>/dev/tcp/127.0.0.1/9) 2>/dev/null || true; nft list table inet steer >/tmp/counted", Declared: "[firewall: {content: 'chain c { type filter hook output priority 5; counter accept; }'}]", Want: "same", After: "nft list table inet steer | cmp - /tmp/counted"},
		{Name: "a set, its elements in any order", Source: "ansible nftables", Declared: "[firewall: {content: 'set s { type ipv4_addr; elements = { 10.0.0.3, 10.0.0.1, 10.0.0.2 }; }'}]", Want: again},
		{Name: "an element added by hand", Source: "ansible nftables", Before: "nft add element inet steer s '{ 10.9.9.9 }'", Declared: "[firewall: {content: 'set s { type ipv4_addr; elements = { 10.0.0.3, 10.0.0.1, 10.0.0.2 }; }'}]", Want: "update rules"},
		{Name: "a set that fills itself", Source: "ansible nftables", Declared: `[firewall: {content: "set seen { type ipv4_addr; flags dynamic,timeout; timeout 1h; }\nset timed { type ipv4_addr; flags timeout; }\nset s { type ipv4_addr; elements = { 10.0.0.1 }; }"}]`, Want: again},
		{Name: "and what is in it stays", Source: "ansible nftables", Before: "nft add element inet steer seen '{ 10.9.9.1, 10.9.9.2, 10.9.9.3, 10.9.9.4, 10.9.9.5 }'; nft add element inet steer timed '{ 10.9.9.9 timeout 1h }'", Declared: `[firewall: {content: "set seen { type ipv4_addr; flags dynamic,timeout; timeout 1h; }\nset timed { type ipv4_addr; flags timeout; }\nset s { type ipv4_addr; elements = { 10.0.0.1 }; }"}]`, Want: "same", After: "nft list set inet steer seen | grep -q 10.9.9.5"},
		{Name: "comments in the content", Source: "ansible iptables", Declared: `[firewall: {content: "# why\nchain c {\n  # more\n  tcp dport 22 accept comment \"ssh\"\n}"}]`, Want: again},
		{Name: "gone", Source: "puppet firewall", Declared: "[firewall: {policy: accept, state: absent}]", Want: "delete", After: "! nft list table inet steer 2>/dev/null && nft list table ip other | grep -q 'packets 7'"},
		{Name: "was not there", Source: "puppet firewall", Declared: "[firewall: {policy: accept, state: absent}]", Want: "same"},
	}
}

func certificateCases() []infratest.Case {
	const c = "certificate: {path: /etc/ssl/c.pem, key_path: /etc/ssl/c.key, self_signed: true, "
	return []infratest.Case{
		{Name: "made", Source: "ansible x509_certificate", Declared: "[" + c + "names: [b.example, a.example]}]", Want: "create certificate", After: "openssl x509 -in /etc/ssl/c.pem -noout -checkend 86400"},
		{Name: "names in another order, one twice", Source: "ansible x509_certificate", Declared: "[" + c + "common_name: b.example, names: [a.example, b.example, a.example]}]", Want: "same"},
		{Name: "names with other capitals", Source: "ansible x509_certificate", Declared: "[" + c + "common_name: b.example, names: [A.example, b.example]}]", Want: "same"},
		{Name: "a name more, with an asterisk", Source: "ansible x509_certificate", Declared: "[" + c + "common_name: b.example, names: [a.example, b.example, '*.c.example']}]", Want: "update names", After: "openssl x509 -in /etc/ssl/c.pem -noout -ext subjectAltName | grep -qF 'DNS:*.c.example'"},
		{Name: "address written otherwise", Source: "ansible x509_certificate", Declared: "[" + c + "common_name: b.example, names: ['2001:db8::1', '::ffff:10.0.0.1']}, " + c + "common_name: b.example, names: ['2001:0DB8:0::1', 10.0.0.1]}]", Want: "update names; same"},
		{Name: "broken", Source: "ansible x509_certificate", Before: "echo broken >/etc/ssl/c.pem", Declared: "[" + c + "names: [d.example]}]", Want: "update certificate"},
		{Name: "empty", Source: "ansible x509_certificate", Before: ": >/etc/ssl/c.pem", Declared: "[" + c + "names: [d.example]}]", Want: "create certificate"},
		{Name: "ended", Source: "ansible x509_certificate", Before: "cd /etc/ssl; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout c.key -out c.pem -days 1 -subj /CN=d.example -addext subjectAltName=DNS:d.example 2>/dev/null; chmod 600 c.key", Declared: "[" + c + "names: [d.example]}]", Want: "update days expires"},
		{Name: "of another key", Source: "ansible x509_certificate", Before: "openssl ecparam -genkey -name prime256v1 -noout -out /etc/ssl/c.key", Declared: "[" + c + "names: [d.example]}]", Want: "update key", After: "[ \"$(openssl pkey -in /etc/ssl/c.key -pubout)\" = \"$(openssl x509 -in /etc/ssl/c.pem -noout -pubkey)\" ]"},
		{Name: "key has a password", Source: "ansible x509_certificate", Before: "openssl ecparam -genkey -name prime256v1 | openssl ec -aes256 -passout pass:x -out /etc/ssl/c.key 2>/dev/null", Declared: "[" + c + "names: [d.example]}]", Want: "update key",
			Why: "a service could not start with it; Ansible takes the password as a parameter"},
		{Name: "an RSA key of before stays", Source: "ansible x509_certificate", Before: "openssl genrsa -out /etc/ssl/c.key 2048 2>/dev/null; cp /etc/ssl/c.key /tmp/c.key; rm /etc/ssl/c.pem", Declared: "[" + c + "names: [d.example]}]", Want: "create certificate", After: "cmp /tmp/c.key /etc/ssl/c.key"},
		{Name: "folder in its place", Source: "ansible x509_certificate", Before: "rm /etc/ssl/c.pem; mkdir /etc/ssl/c.pem", Declared: "[" + c + "names: [d.example]}]", Fails: "/etc/ssl/c.pem", After: "rmdir /etc/ssl/c.pem"},
		{Name: "removed", Source: "ansible x509_certificate", Declared: "[certificate: {path: /etc/ssl/c.pem, key_path: /etc/ssl/c.key, state: absent}]", Want: "delete", After: "[ ! -e /etc/ssl/c.key ]"},
		{Name: "removed already", Source: "ansible x509_certificate", Declared: "[certificate: {path: /etc/ssl/c.pem, key_path: /etc/ssl/c.key, state: absent}]", Want: "same"},
	}
}
