package packages

import (
	"encoding/json"
	"strings"
	"testing"

	"steer/infra/infratest"
)

// TestCases tries what the tests of other tools try, each in our own words. All
// packages are in one repository on the host.
func TestCases(t *testing.T) {
	infratest.Inside(t, func() {
		conf := func(text string) map[string]string {
			return map[string]string{"etc/c.conf": text, "DEBIAN/conffiles": "/etc/c.conf\n"}
		}
		choice := map[string]string{"usr/bin/pick-a": "a", "usr/bin/pick-b": "b",
			"DEBIAN/postinst": "#!/bin/sh\nset -e\nupdate-alternatives --install /usr/bin/pick pick /usr/bin/pick-a 20\nupdate-alternatives --install /usr/bin/pick pick /usr/bin/pick-b 10\n"}
		for _, p := range []struct {
			name, version, fields string
			extra                 map[string]string
		}{
			{"plain", "1", "", nil}, {"plain", "2", "", nil}, {"lone", "1", "", nil}, {"lib", "1", "", nil}, {"extra", "1", "", nil},
			{"app", "1", "Depends: lib\nRecommends: extra", nil}, {"dotted.name", "1:2.0-1", "", nil}, {"dotted.name", "1:2.0-2", "", nil},
			{"mta-a", "1", "Provides: mail-agent", nil}, {"mta-b", "1", "Provides: mail-agent", nil}, {"only-one", "1", "Provides: single", nil},
			{"c", "1", "", conf("one\n")}, {"c", "2", "", conf("two\n")}, {"choice", "1", "", choice}, {"choice", "2", "", choice},
			{"old", "1", "", nil}, {"new", "1", "Conflicts: old\nReplaces: old", nil}, {"kernel", "1", "Essential: yes", nil},
		} {
			deb(t, "/r", p.name, p.version, p.fields, p.extra)
		}
		index(t, "/r", "Debian", "stable")
		only(t, "/r")
		infratest.Cases(t, Kinds(), packageCases())
		sh(t, "rm -f /etc/apt/sources.list.d/*; cp -r testdata/signed /signed")
		infratest.Cases(t, Kinds(), repositoryCases(t))
	})
}

func packageCases() []infratest.Case {
	const none = "apt-get -q -y purge plain lone lib app extra c choice old new mta-a mta-b only-one dotted.name --allow-change-held-packages >/dev/null; "
	has := func(name, version string) string {
		return `[ "$(dpkg-query -W -f '${Status} ${Version}' ` + name + `)" = "install ok installed ` + version + `" ]`
	}
	return []infratest.Case{
		{Name: "new", Source: "ansible apt", Declared: "[package: {name: plain}]", Want: "create state", After: has("plain", "2")},
		{Name: "there", Source: "puppet package", Declared: "[package: {name: plain}]", Want: "same"},
		{Name: "older version", Source: "ansible apt", Declared: "[package: {name: plain, version: '1'}]", Want: "update version", After: has("plain", "1")},
		{Name: "newer one is there, any will do", Source: "salt pkg", Declared: "[package: {name: plain}]", Want: "same", After: has("plain", "1")},
		{Name: "newest", Source: "salt pkg", Declared: "[package: {name: plain, version: latest}]", Want: "update version", After: has("plain", "2")},
		{Name: "newest, there", Source: "salt pkg", Declared: "[package: {name: plain, version: latest}]", Want: "same"},
		{Name: "newest, not there", Source: "salt pkg", Before: none, Declared: "[package: {name: plain, version: latest}]", Want: "create state", After: has("plain", "2")},
		{Name: "newer than any repository has", Source: "ansible apt", Before: "sed -i '/^Package: plain$/,/^$/s/^Version: .*/Version: 3/' /var/lib/dpkg/status", Declared: "[package: {name: plain, version: latest}]", Want: "same"},
		{Name: "version with an epoch, name with a dot", Source: "salt pkg", Before: none, Declared: "[package: {name: dotted.name, version: '1:2.0-1'}]", Want: "create state version", After: has("dotted.name", "1:2.0-1")},
		{Name: "version of a pattern", Source: "ansible apt", Declared: "[package: {name: plain, version: '1.*'}]", Fails: "is no version (write it whole",
			Why: "what a pattern means changes with the index: two hosts of one role would differ"},
		{Name: "version in the name", Source: "ansible apt", Declared: "[package: {name: plain=1}]", Fails: "a version goes into version"},
		{Name: "no such version", Source: "puppet package", Declared: "[package: {name: plain, version: '9'}]", Fails: "no repository of this host has it"},
		{Name: "no such package", Source: "puppet package", Declared: "[package: {name: nothing}]", Fails: "no repository of this host has it"},
		{Name: "removed", Source: "puppet package", Before: "apt-get -q -y install plain", Declared: "[package: {name: plain, state: absent}]", Want: "delete state"},
		{Name: "removed already, and never known", Source: "ansible apt", Declared: "[package: {name: plain, state: absent}, package: {name: nothing, state: absent}]", Want: "same; same"},
		{Name: "needed by another", Source: "ansible apt", Before: "apt-get -q -y install app", Declared: "[package: {name: lib, state: absent}]", Fails: "needed by app", After: has("lib", "1"),
			Why: "Ansible and Puppet remove what needs it, too, unasked"},
		{Name: "without what it recommends", Source: "pyinfra apt.packages", Before: none, Declared: "[package: {name: app}]", Want: "create state", After: "! dpkg -s extra 2>/dev/null",
			Why: "Ansible leaves it to apt's configuration, by which a host gets more than a role says"},
		{Name: "came for another, wanted now", Source: "ansible apt", Declared: "[package: {name: lib}]", Want: "update wanted", After: "apt-mark showmanual | grep -qx lib"},
		{Name: "another would go for it", Source: "ansible apt", Before: "apt-get -q -y install old", Declared: "[package: {name: new}]", Fails: "old would have to be removed for it", After: has("old", "1")},
		{Name: "another may go for it", Source: "ansible apt", Declared: "[package: {name: new, allow_removal: true}]", Want: "create state", After: has("new", "1")},
		{Name: "held, an older one is wanted", Source: "ansible apt", Before: none + "apt-get -q -y install plain; apt-mark hold plain", Declared: "[package: {name: plain, version: '1'}]", Fails: "plain is held on the host", After: has("plain", "2") + " || dpkg -s plain | grep -q 'hold ok'"},
		{Name: "held, and stays so at another version", Source: "salt pkg", Declared: "[package: {name: plain, version: '1', hold: true}]", Want: "update version", After: "apt-mark showhold | grep -qx plain"},
		{Name: "held, newest", Source: "salt pkg", Declared: "[package: {name: plain, version: latest}]", Want: "same"},
		{Name: "held, let go and upgraded", Source: "salt pkg", Declared: "[package: {name: plain, version: '2', hold: false}]", Want: "update version hold", After: has("plain", "2")},
		{Name: "held before it is there", Source: "puppet package", Before: none + "echo plain hold | dpkg --set-selections", Declared: "[package: {name: plain, hold: true}]", Want: "create state hold", After: "apt-mark showhold | grep -qx plain"},
		{Name: "held, removed", Source: "salt pkg", Declared: "[package: {name: plain, state: absent}]", Fails: "plain is held", After: "dpkg -s plain | grep -q 'hold ok installed'"},
		{Name: "marked for removal, still there", Source: "puppet package", Before: none + "apt-get -q -y install plain; echo plain deinstall | dpkg --set-selections", Declared: "[package: {name: plain}]", Want: "same"},
		{Name: "virtual, somebody stands for it", Source: "ansible apt", Before: "apt-get -q -y install mta-a", Declared: "[package: {name: mail-agent}]", Want: "same"},
		{Name: "virtual, to be removed", Source: "ansible apt", Declared: "[package: {name: mail-agent, state: absent}]", Want: "same", After: has("mta-a", "1")},
		{Name: "virtual, several could", Source: "ansible apt", Before: none, Declared: "[package: {name: mail-agent}]", Fails: "name one of those that stand for it"},
		{Name: "virtual, only one can", Source: "salt pkg", Declared: "[package: {name: single}]", Want: "create state", After: has("only-one", "1")},
		{Name: "virtual, to be held", Source: "salt pkg", Declared: "[package: {name: single, hold: true}]", Fails: "only-one stands for it"},
		{Name: "with the architecture of the host", Source: "ansible apt", Before: none, Declared: "[package: {name: 'plain:amd64', version: '1'}]", Want: "create state version", After: has("plain", "1")},
		{Name: "with the architecture, newest", Source: "ansible apt", Declared: "[package: {name: 'plain:amd64', version: latest}]", Want: "update version", After: has("plain", "2")},
		{Name: "with an architecture that is not here", Source: "ansible apt", Declared: "[package: {name: 'plain:riscv64'}]", Fails: "install plain:riscv64"},
		{Name: "with the architecture, removed", Source: "ansible apt", Declared: "[package: {name: 'plain:amd64', state: absent}]", Want: "delete state", After: "! dpkg -s plain 2>/dev/null"},
		{Name: "configuration changed by hand, upgraded", Source: "ansible apt", Before: "apt-get -q -y install c=1; echo mine >/etc/c.conf", Declared: "[package: {name: c, version: '2'}]", Want: "update version", After: "grep -qx mine /etc/c.conf"},
		{Name: "configuration removed by hand, downgraded", Source: "ansible apt", Before: "rm /etc/c.conf", Declared: "[package: {name: c, version: '1'}]", Want: "update version", After: "[ ! -e /etc/c.conf ]",
			Why: "a file that somebody took away stays away, as dpkg has it"},
		{Name: "configuration left, wanted", Source: "puppet package", Before: "apt-get -q -y remove c", Declared: "[package: {name: c}]", Want: "create state"},
		{Name: "configuration left, absent", Source: "puppet package", Before: "apt-get -q -y remove c", Declared: "[package: {name: c, state: absent}]", Want: "same"},
		{Name: "configuration left, purged", Source: "puppet package", Declared: "[package: {name: c, state: purged}]", Want: "delete state", After: "! dpkg -s c 2>/dev/null"},
		{Name: "purged already", Source: "pyinfra apt.packages", Declared: "[package: {name: c, state: purged}]", Want: "same"},
		{Name: "unpacked only", Source: "salt pkg", Before: "dpkg --unpack /r/lone_1_all.deb", Declared: "[package: {name: lone}]", Want: "update state", After: has("lone", "1")},
		{Name: "half of it there", Source: "salt pkg", Before: `sed -i '/^Package: lone$/,/^$/s/^Status: .*/Status: install reinstreq half-installed/' /var/lib/dpkg/status`, Declared: "[package: {name: lone}]", Want: "update state", After: has("lone", "1")},
		{Name: "another is half there", Source: "salt pkg", Before: "dpkg --unpack /r/extra_1_all.deb", Declared: "[package: {name: plain}]", Want: "create state", After: has("extra", "1")},
		{Name: "half there, to be removed", Source: "salt pkg", Before: none + "dpkg --unpack /r/lone_1_all.deb", Declared: "[package: {name: lone, state: absent}]", Want: "delete state"},
		{Name: "chosen alternative stays at an upgrade", Source: "ansible alternatives", Before: "apt-get -q -y install choice=1; update-alternatives --set pick /usr/bin/pick-b", Declared: "[package: {name: choice, version: latest}]", Want: "update version", After: "[ $(readlink /etc/alternatives/pick) = /usr/bin/pick-b ]"},
		{Name: "the host cannot do without", Source: "ansible apt", Declared: "[package: {name: base-files, state: absent}]", Fails: "remove base-files"},
		{Name: "the host cannot do without, by force", Source: "ansible apt", Before: "apt-get -q -y install kernel", Declared: "[package: {name: kernel, state: absent, allow_removal: true}]", Fails: "the host cannot do without it", After: has("kernel", "1")},
		{Name: "no index of packages", Source: "ansible apt", Before: none + "rm -rf /var/lib/apt/lists", Declared: "[package: {name: plain}]", Want: "create state"},
		{Name: "broken index of packages", Source: "ansible apt", Before: none + "for f in /var/lib/apt/lists/*Packages; do printf 'Nonsense\\n\\nPackage\\n' >$f; done; rm -f /var/cache/apt/*.bin", Declared: "[package: {name: plain}]", Want: "create state"},
		{Name: "the same repository twice", Source: "puppet apt", Before: none + "cp /etc/apt/sources.list.d/a.list /etc/apt/sources.list.d/twice.list; rm -rf /var/lib/apt/lists/*", Declared: "[package: {name: plain}]", Want: "create state", After: "rm /etc/apt/sources.list.d/twice.list"},
		{Name: "another repository does not answer", Source: "ansible apt", Before: none + "echo 'deb [trusted=yes] copy:/nowhere ./' >/etc/apt/sources.list.d/gone.list", Declared: "[package: {name: plain}]", Want: "create state", After: "rm /etc/apt/sources.list.d/gone.list"},
	}
}

func repositoryCases(t *testing.T) []infratest.Case {
	quoted := func(text string) string { b, _ := json.Marshal(text); return string(b) }
	good, other := quoted(fixture(t, "good.asc")), quoted(fixture(t, "other.asc"))
	windows := quoted(strings.ReplaceAll(fixture(t, "good.asc"), "\n", "\r\n"))
	signed := "[repository: {name: signed, url: 'copy:/signed', suite: ./, key: " + good + "}]"
	const file = "/etc/apt/sources.list.d/signed.sources"
	return []infratest.Case{
		{Name: "signed", Source: "ansible deb822_repository", Declared: signed, Want: "create source key", After: "apt-get -q update -o APT::Update::Error-Mode=any"},
		{Name: "there", Source: "salt pkgrepo", Declared: signed, Want: "same"},
		{Name: "key with line ends of Windows", Source: "puppet apt", Declared: "[repository: {name: signed, url: 'copy:/signed', suite: ./, key: " + windows + "}]", Want: "same"},
		{Name: "another key", Source: "ansible apt_key", Declared: "[repository: {name: signed, url: 'copy:/signed', suite: ./, key: " + other + "}]", Fails: "read its index", After: "apt-get -q update -o APT::Update::Error-Mode=any"},
		{Name: "key changed by hand", Source: "puppet apt", Before: "echo broken >/etc/apt/keyrings/signed.asc", Declared: signed, Want: "update key"},
		{Name: "key is missing", Source: "salt pkgrepo", Before: "rm /etc/apt/keyrings/signed.asc", Declared: signed, Want: "update key"},
		{Name: "apt may not read the key", Source: "puppet apt", Before: "chmod 600 /etc/apt/keyrings/signed.asc", Declared: signed, Want: "update key mode", After: "[ $(stat -c %a /etc/apt/keyrings/signed.asc) = 644 ]"},
		{Name: "others may write the source", Source: "ansible apt_repository", Before: "chmod 666 " + file, Declared: signed, Want: "update source mode", After: "[ $(stat -c %a " + file + ") = 644 ]"},
		{Name: "the source is a link", Source: "ansible apt_repository", Before: "mv " + file + " /target; ln -s /target " + file, Declared: signed, Want: "update source mode", After: "[ ! -L " + file + " ] && [ -e /target ]"},
		{Name: "switched off by hand", Source: "salt pkgrepo", Before: "echo 'Enabled: no' >>" + file, Declared: signed, Want: "update source"},
		{Name: "no longer signed", Source: "salt pkgrepo", Declared: "[repository: {name: signed, url: 'copy:/r', suite: ./, trusted: true}]", Want: "update source key", After: "[ ! -e /etc/apt/keyrings/signed.asc ]"},
		{Name: "in another file, with another key", Source: "ansible deb822_repository", Before: "mkdir -p /etc/apt/keyrings; cp /signed/good.asc /etc/apt/keyrings/o.asc; rm -f " + file + "; echo 'deb [signed-by=/etc/apt/keyrings/o.asc] copy:/signed ./' >/etc/apt/sources.list.d/o.list", Declared: signed, Fails: "declared twice", After: "[ ! -e " + file + " ] && rm /etc/apt/sources.list.d/o.list"},
		{Name: "in another file, in the same words", Source: "salt pkgrepo", Before: "echo 'deb [trusted=yes] copy:/r ./' >/etc/apt/sources.list.d/o.list", Declared: "[repository: {name: mine, url: 'copy:/r', suite: ./, trusted: true}]", Want: "create source", After: "[ -e /etc/apt/sources.list.d/o.list ] && rm /etc/apt/sources.list.d/o.list",
			Why: "the file is of somebody else; apt only warns"},
		{Name: "does not answer", Source: "ansible apt_repository", Declared: "[repository: {name: none, url: 'copy:/none', suite: ./, trusted: true}]", Fails: "read its index", After: "[ ! -e /etc/apt/sources.list.d/none.sources ]"},
		{Name: "no key, and nobody vouches", Source: "puppet apt", Declared: "[repository: {name: bare, url: 'copy:/signed', suite: ./}]", Fails: "read its index", After: "[ ! -e /etc/apt/sources.list.d/bare.sources ]"},
		{Name: "key by its number on a server", Source: "puppet apt", Declared: "[repository: {name: k, url: 'copy:/signed', suite: ./, key: 6F6B15509CF8E59E6E469F327F438280EF8D349F}]", Fails: "this is no public key as text",
			Why: "servers of keys give anything to anybody; the key itself stands in the role"},
		{Name: "gone", Source: "ansible apt_repository", Before: "apt-get -q update || true", Declared: "[repository: {name: mine, state: absent}]", Want: "delete source"},
		{Name: "only the key is left", Source: "puppet apt", Before: "cp /signed/good.asc /etc/apt/keyrings/left.asc", Declared: "[repository: {name: left, state: absent}]", Want: "delete key", After: "[ ! -e /etc/apt/keyrings/left.asc ]"},
		{Name: "gone already", Source: "salt pkgrepo", Declared: "[repository: {name: mine, state: absent}]", Want: "same"},
	}
}
