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
		sh(t, "rm -f /etc/apt/sources.list.d/*; cp -r testdata/signed testdata/expired /")
		infratest.Cases(t, Kinds(), repositoryCases(t))
	})
}

func packageCases() []infratest.Case {
	const none = "apt-get -q -y purge plain lone lib app extra c choice old new mta-a mta-b only-one dotted.name --allow-change-held-packages >/dev/null; "
	has := func(name, version string) string {
		return `[ "$(dpkg-query -W -f '${Status} ${Version}' ` + name + `)" = "install ok installed ` + version + `" ]`
	}
	return []infratest.Case{
		{Name: "new", From: "salt pkg", YAML: "package: {name: plain}", Diff: "create state", After: has("plain", "2")},
		{Name: "there", From: "own", YAML: "package: {name: plain}"},
		{Name: "older version", From: "ansible apt", YAML: "package: {name: plain, version: '1'}", Diff: "update version", After: has("plain", "1"),
			Differs: "an exact version says where to go; Ansible refuses without a flag"},
		{Name: "newer one is there, any will do", From: "own", YAML: "package: {name: plain}", After: has("plain", "1")},
		{Name: "newest", From: "salt pkg", YAML: "package: {name: plain, version: latest}", Diff: "update version", After: has("plain", "2")},
		{Name: "newest, there", From: "salt pkg", YAML: "package: {name: plain, version: latest}"},
		{Name: "newest, not there", From: "salt pkg", Before: none, YAML: "package: {name: plain, version: latest}", Diff: "create state", After: has("plain", "2")},
		{Name: "newer than any repository has", From: "own", Before: "sed -i '/^Package: plain$/,/^$/s/^Version: .*/Version: 3/' /var/lib/dpkg/status", YAML: "package: {name: plain, version: latest}"},
		{Name: "version with an epoch, name with a dot", From: "salt pkg", Before: none, YAML: "package: {name: dotted.name, version: '1:2.0-1'}", Diff: "create state, version", After: has("dotted.name", "1:2.0-1")},
		{Name: "version of a pattern", From: "salt pkg", YAML: "package: {name: plain, version: '1.*'}", Error: "is no version (write it whole",
			Differs: "what a pattern means changes with the index: two hosts of one role would differ"},
		{Name: "version in the name", From: "own", YAML: "package: {name: plain=1}", Error: "a version goes into version"},
		{Name: "no such version", From: "salt pkg", YAML: "package: {name: plain, version: '9'}", Error: "no repository of this host has it"},
		{Name: "no such package", From: "puppet package", YAML: "package: {name: nothing}", Error: "no repository of this host has it"},
		{Name: "removed", From: "salt pkg", Before: "apt-get -q -y install plain", YAML: "package: {name: plain, state: absent}", Diff: "delete state"},
		{Name: "removed already, and never known", From: "own", YAML: "package: {name: nothing, state: absent}"},
		{Name: "needed by another", From: "own", Before: "apt-get -q -y install app", YAML: "package: {name: lib, state: absent}", Error: "needed by app", After: has("lib", "1"),
			Differs: "Ansible and Puppet remove what needs it, too, unasked"},
		{Name: "without what it recommends", From: "pyinfra apt.packages", Before: none, YAML: "package: {name: app}", Diff: "create state", After: "! dpkg -s extra 2>/dev/null",
			Differs: "Ansible leaves it to apt's configuration, by which a host gets more than a role says"},
		{Name: "came for another, wanted now", From: "ansible apt", YAML: "package: {name: lib}", Diff: "update wanted", After: "apt-mark showmanual | grep -qx lib"},
		{Name: "another would go for it", From: "own", Before: "apt-get -q -y install old", YAML: "package: {name: new}", Error: "old would have to be removed for it", After: has("old", "1")},
		{Name: "another may go for it", From: "own", YAML: "package: {name: new, allow_removal: true}", Diff: "create state", After: has("new", "1")},
		{Name: "held, an older one is wanted", From: "own", Before: none + "apt-get -q -y install plain; apt-mark hold plain", YAML: "package: {name: plain, version: '1'}", Error: "plain is held on the host", After: has("plain", "2") + " || dpkg -s plain | grep -q 'hold ok'"},
		{Name: "held, and stays so at another version", From: "own", YAML: "package: {name: plain, version: '1', hold: true}", Diff: "update version", After: "apt-mark showhold | grep -qx plain"},
		{Name: "held, newest", From: "own", YAML: "package: {name: plain, version: latest}"},
		{Name: "held, let go and upgraded", From: "puppet package", YAML: "package: {name: plain, version: '2', hold: false}", Diff: "update version, hold", After: has("plain", "2")},
		{Name: "held, there already", Before: none + "apt-get -q -y install plain", From: "salt pkg", YAML: "package: {name: plain, hold: true}", Diff: "update hold", After: "apt-mark showhold | grep -qx plain; apt-mark unhold plain"},
		{Name: "not held, there already", From: "salt pkg", YAML: "package: {name: plain, hold: false}"},
		{Name: "held before it is there", From: "own", Before: none + "echo plain hold | dpkg --set-selections", YAML: "package: {name: plain, hold: true}", Diff: "create state, hold", After: "apt-mark showhold | grep -qx plain"},
		{Name: "held, removed", From: "own", YAML: "package: {name: plain, state: absent}", Error: "plain is held", After: "dpkg -s plain | grep -q 'hold ok installed'"},
		{Name: "marked for removal, still there", From: "own", Before: none + "apt-get -q -y install plain; echo plain deinstall | dpkg --set-selections", YAML: "package: {name: plain}"},
		{Name: "virtual, somebody stands for it", From: "own", Before: "apt-get -q -y install mta-a", YAML: "package: {name: mail-agent}"},
		{Name: "virtual, to be removed", From: "own", YAML: "package: {name: mail-agent, state: absent}", After: has("mta-a", "1")},
		{Name: "virtual, several could", From: "own", Before: none, YAML: "package: {name: mail-agent}", Error: "name one of those that stand for it"},
		{Name: "virtual, only one can", From: "salt pkg", YAML: "package: {name: single}", Diff: "create state", After: has("only-one", "1")},
		{Name: "virtual, to be held", From: "own", YAML: "package: {name: single, hold: true}", Error: "only-one stands for it"},
		{Name: "with the architecture of the host", From: "ansible apt", Before: none, YAML: "package: {name: 'plain:amd64', version: '1'}", Diff: "create state, version", After: has("plain", "1")},
		{Name: "with the architecture, newest", From: "own", YAML: "package: {name: 'plain:amd64', version: latest}", Diff: "update version", After: has("plain", "2")},
		{Name: "with an architecture that is not here", From: "own", YAML: "package: {name: 'plain:riscv64'}", Error: "install plain:riscv64"},
		{Name: "with the architecture, removed", From: "own", YAML: "package: {name: 'plain:amd64', state: absent}", Diff: "delete state", After: "! dpkg -s plain 2>/dev/null"},
		{Name: "configuration changed by hand, upgraded", From: "own", Before: "apt-get -q -y install c=1; echo mine >/etc/c.conf", YAML: "package: {name: c, version: '2'}", Diff: "update version", After: "grep -qx mine /etc/c.conf"},
		{Name: "configuration removed by hand, downgraded", From: "own", Before: "rm /etc/c.conf", YAML: "package: {name: c, version: '1'}", Diff: "update version", After: "[ ! -e /etc/c.conf ]"},
		{Name: "configuration left, wanted", From: "own", Before: "apt-get -q -y remove c", YAML: "package: {name: c}", Diff: "create state"},
		{Name: "configuration left, absent", From: "own", Before: "apt-get -q -y remove c", YAML: "package: {name: c, state: absent}"},
		{Name: "configuration left, purged", From: "pyinfra apt.packages", YAML: "package: {name: c, state: purged}", Diff: "delete state", After: "! dpkg -s c 2>/dev/null"},
		{Name: "purged already", From: "own", YAML: "package: {name: c, state: purged}"},
		{Name: "unpacked only", From: "own", Before: "dpkg --unpack /r/lone_1_all.deb", YAML: "package: {name: lone}", Diff: "update state", After: has("lone", "1")},
		{Name: "half of it there", From: "own", Before: `sed -i '/^Package: lone$/,/^$/s/^Status: .*/Status: install reinstreq half-installed/' /var/lib/dpkg/status`, YAML: "package: {name: lone}", Diff: "update state", After: has("lone", "1")},
		{Name: "another is half there", From: "own", Before: "dpkg --unpack /r/extra_1_all.deb", YAML: "package: {name: plain}", Diff: "create state", After: has("extra", "1")},
		{Name: "half there, to be removed", From: "own", Before: none + "dpkg --unpack /r/lone_1_all.deb", YAML: "package: {name: lone, state: absent}", Diff: "delete state"},
		{Name: "chosen alternative stays at an upgrade", From: "own", Before: "apt-get -q -y install choice=1; update-alternatives --set pick /usr/bin/pick-b", YAML: "package: {name: choice, version: latest}", Diff: "update version", After: "[ $(readlink /etc/alternatives/pick) = /usr/bin/pick-b ]"},
		{Name: "the host cannot do without", From: "own", YAML: "package: {name: base-files, state: absent}", Error: "remove base-files"},
		{Name: "the host cannot do without, by force", From: "own", Before: "apt-get -q -y install kernel", YAML: "package: {name: kernel, state: absent, allow_removal: true}", Error: "the host cannot do without it", After: has("kernel", "1")},
		{Name: "no index of packages", From: "own", Before: none + "rm -rf /var/lib/apt/lists", YAML: "package: {name: plain}", Diff: "create state"},
		{Name: "broken index of packages", From: "own", Before: none + "for f in /var/lib/apt/lists/*Packages; do printf 'Nonsense\\n\\nPackage\\n' >$f; done; rm -f /var/cache/apt/*.bin", YAML: "package: {name: plain}", Diff: "create state"},
		{Name: "the same repository twice", From: "own", Before: none + "cp /etc/apt/sources.list.d/a.list /etc/apt/sources.list.d/twice.list; rm -rf /var/lib/apt/lists/*", YAML: "package: {name: plain}", Diff: "create state", After: "rm /etc/apt/sources.list.d/twice.list"},
		{Name: "another repository does not answer", From: "own", Before: none + "echo 'deb [trusted=yes] copy:/nowhere ./' >/etc/apt/sources.list.d/gone.list", YAML: "package: {name: plain}", Diff: "create state", After: "rm /etc/apt/sources.list.d/gone.list"},
	}
}

func repositoryCases(t *testing.T) []infratest.Case {
	quoted := func(text string) string { b, _ := json.Marshal(text); return string(b) }
	good, other := quoted(fixture(t, "good.asc")), quoted(fixture(t, "other.asc"))
	windows := quoted(strings.ReplaceAll(fixture(t, "good.asc"), "\n", "\r\n"))
	signed := "repository: {name: signed, url: 'copy:/signed', suite: ./, key: " + good + "}"
	const file = "/etc/apt/sources.list.d/signed.sources"
	return []infratest.Case{
		{Name: "signed", From: "ansible deb822_repository", YAML: signed, Diff: "create source, key", After: "apt-get -q update -o APT::Update::Error-Mode=any"},
		{Name: "there, signed", From: "ansible deb822_repository", YAML: signed},
		{Name: "key with line ends of Windows", From: "own", YAML: "repository: {name: signed, url: 'copy:/signed', suite: ./, key: " + windows + "}"},
		{Name: "another key", From: "own", YAML: "repository: {name: signed, url: 'copy:/signed', suite: ./, key: " + other + "}", Error: "read its index", After: "apt-get -q update -o APT::Update::Error-Mode=any"},
		{Name: "key changed by hand", From: "own", Before: "echo broken >/etc/apt/keyrings/signed.asc", YAML: signed, Diff: "update key"},
		{Name: "key is missing", From: "own", Before: "rm /etc/apt/keyrings/signed.asc", YAML: signed, Diff: "update key"},
		{Name: "apt may not read the key", From: "own", Before: "chmod 600 /etc/apt/keyrings/signed.asc", YAML: signed, Diff: "update key mode", After: "[ $(stat -c %a /etc/apt/keyrings/signed.asc) = 644 ]"},
		{Name: "others may write the source", From: "ansible deb822_repository", Before: "chmod 666 " + file, YAML: signed, Diff: "update source mode", After: "[ $(stat -c %a " + file + ") = 644 ]"},
		{Name: "the source is a link", From: "own", Before: "mv " + file + " /target; ln -s /target " + file, YAML: signed, Diff: "update source mode", After: "[ ! -L " + file + " ] && [ -e /target ]"},
		{Name: "switched off by hand", From: "own", Before: "echo 'Enabled: no' >>" + file, YAML: signed, Diff: "update source"},
		{Name: "no longer signed", From: "own", YAML: "repository: {name: signed, url: 'copy:/r', suite: ./, trusted: true}", Diff: "update source, key", After: "[ ! -e /etc/apt/keyrings/signed.asc ]"},
		{Name: "in another file, with another key", From: "own", Before: "mkdir -p /etc/apt/keyrings; cp /signed/good.asc /etc/apt/keyrings/o.asc; rm -f " + file + "; echo 'deb [signed-by=/etc/apt/keyrings/o.asc] copy:/signed ./' >/etc/apt/sources.list.d/o.list", YAML: signed, Error: "declared twice", After: "[ ! -e " + file + " ] && rm /etc/apt/sources.list.d/o.list"},
		{Name: "in another file, in the same words", From: "own", Before: "echo 'deb [trusted=yes] copy:/r ./' >/etc/apt/sources.list.d/o.list", YAML: "repository: {name: mine, url: 'copy:/r', suite: ./, trusted: true}", Diff: "create source", After: "[ -e /etc/apt/sources.list.d/o.list ] && rm /etc/apt/sources.list.d/o.list"},
		{Name: "key has ended", From: "own", YAML: "repository: {name: ended, url: 'copy:/expired', suite: ./, key: " + quoted(fixture(t, "../expired/old.asc")) + "}", Error: "EXPKEYSIG", After: "[ ! -e /etc/apt/sources.list.d/ended.sources ]"},
		{Name: "key had ended, and goes on", From: "own", Before: "cp /expired/old.asc /etc/apt/keyrings/ended.asc", YAML: "repository: {name: ended, url: 'copy:/expired', suite: ./, key: " + quoted(fixture(t, "../expired/renewed.asc")) + "}", Diff: "create source, key", After: "rm /etc/apt/sources.list.d/ended.sources"},
		{Name: "does not answer", From: "own", YAML: "repository: {name: none, url: 'copy:/none', suite: ./, trusted: true}", Error: "read its index", After: "[ ! -e /etc/apt/sources.list.d/none.sources ]"},
		{Name: "no key, and nobody vouches", From: "own", YAML: "repository: {name: bare, url: 'copy:/signed', suite: ./}", Error: "read its index", After: "[ ! -e /etc/apt/sources.list.d/bare.sources ]"},
		{Name: "key by its number on a server", From: "ansible deb822_repository", YAML: "repository: {name: k, url: 'copy:/signed', suite: ./, key: 6F6B15509CF8E59E6E469F327F438280EF8D349F}", Error: "this is no public key as text",
			Differs: "a number points to a key that came to the host by other ways; here the key itself stands in the role"},
		{Name: "gone", From: "ansible deb822_repository", Before: "apt-get -q update || true", YAML: "repository: {name: mine, state: absent}", Diff: "delete source"},
		{Name: "only the key is left", From: "own", Before: "cp /signed/good.asc /etc/apt/keyrings/left.asc", YAML: "repository: {name: left, state: absent}", Diff: "delete key", After: "[ ! -e /etc/apt/keyrings/left.asc ]"},
		{Name: "repository gone already", From: "own", YAML: "repository: {name: mine, state: absent}"},
	}
}
