package system

import (
	"errors"
	"os"
	"strings"
	"testing"

	"steer/infra"
	"steer/infra/infratest"
)

func TestRules(t *testing.T) {
	f := infratest.Decoded(t, &Firewall{}, `
allow:
  - {port: 22, from: "10.1.2.3/8, 2001:db8::/32,192.168.0.1"}
  - {port: "80, 443,8000-8010"}
  - {port: 53, protocol: udp, interface: eth1}
  - {from: 10.9.0.0/16}
deny: [{from: 192.0.2.1}]
`)
	_, got, _ := strings.Cut(f.rules(), "dport 546 accept\n")
	want := `		ip saddr 192.0.2.1 drop
		ip saddr { 10.0.0.0/8, 192.168.0.1 } tcp dport 22 accept
		ip6 saddr 2001:db8::/32 tcp dport 22 accept
		tcp dport { 80, 443, 8000-8010 } accept
		iifname "eth1" udp dport 53 accept
		ip saddr 10.9.0.0/16 accept
	}`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestFirewall(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		infratest.Shell(t, "printf '#!/usr/sbin/nft -f\\nflush ruleset\\n\\ntable ip other { chain c { counter; }; }' >/etc/nftables.conf; nft 'add table ip other; add chain ip other c; add rule ip other c counter'")
		other := infratest.Shell(t, "nft list table ip other")
		f := infratest.Decoded(t, &Firewall{}, "allow: [{port: 22, from: 10.0.0.0/8}, {port: '443,80', from: '2001:db8::/32'}]")
		infratest.Converge(t, h, f, infra.Create, "rules", firewallFile, "/etc/nftables.conf")
		if got := infratest.Shell(t, "nft list chain inet steer input"); !strings.Contains(got, "policy drop") || !strings.Contains(got, "tcp dport 22 accept") {
			t.Error(got)
		}
		for _, c := range [][2]string{
			{"nft add rule inet steer input tcp dport 2222 accept", "rules"},
			{"nft insert rule inet steer input accept", "rules"},
			{"nft flush chain inet steer input", "rules"},
			{"nft chain inet steer input '{ policy accept; }'", "rules"},
			{"nft add chain inet steer more", "rules"},
			{"nft delete table inet steer", "rules"},
			{"echo >>" + firewallFile, firewallFile},
			{"sed -i /include/d /etc/nftables.conf", "/etc/nftables.conf"},
		} {
			infratest.Shell(t, c[0])
			infratest.Converge(t, h, f, infra.Update, c[1])
		}
		if now := infratest.Shell(t, "nft list table ip other"); now != other {
			t.Errorf("the table of others became\n%s", now)
		}
		// A later nft may list the same in other words.
		infratest.Shell(t, "sed -i '1s/as .*/as 0./' "+firewallFile)
		infratest.Same(t, h, f)
		// As at a start.
		infratest.Shell(t, "nft flush ruleset; nft -f /etc/nftables.conf; nft list table ip other >/dev/null")
		infratest.Same(t, h, f)

		own := infratest.Decoded(t, &Firewall{}, "source: fw.nft")
		if err := own.Source(func(string) ([]byte, error) {
			return []byte("chain c { type filter hook input priority 5; tcp dport { 80, 22 } counter accept; }"), nil
		}, nil); err != nil {
			t.Fatal(err)
		}
		infratest.Converge(t, h, own, infra.Update, "rules", firewallFile)
		for content, want := range map[string]string{
			"chain c { nonsense }":                         "nft refuses the rules: ",
			"}\ntable ip other { chain evil { accept; }\n": "makes other tables",
			"}\ndelete table inet steer\ntable ip x {":     "makes other tables",
		} {
			infratest.Fails(t, h, &Firewall{State: present, Content: content}, want)
		}
		infratest.Same(t, h, own) // what is refused changes nothing
		infratest.Gone(t, h, f)
		if got := infratest.Shell(t, "nft list tables; ls "+firewallFolder+"; grep -c include /etc/nftables.conf || true"); got != "table ip other\n0" {
			t.Error(got)
		}
		infratest.Shell(t, "rm /etc/nftables.conf")
		infratest.Converge(t, h, f, infra.Create, "rules", firewallFile, "/etc/nftables.conf")
		infratest.Shell(t, "nft flush ruleset; /etc/nftables.conf")
		infratest.Same(t, h, f)
	})
}

func TestFirewallMissing(t *testing.T) {
	infratest.Inside(t, func() {
		os.Setenv("PATH", "/nowhere")
		h := infra.NewHost(t.Context())
		f := infratest.Decoded(t, &Firewall{}, "allow: [{port: 22}]")
		d, err := f.Diff(t.Context(), h)
		if err != nil || d.Action != infra.Create {
			t.Errorf("%+v %v", d, err)
		}
		infratest.Fails(t, h, f, "- package: nftables")
	})
}

func TestFirewallSource(t *testing.T) {
	f := infratest.Decoded(t, &Firewall{}, "source: fw.nft")
	gone := errors.New("fw.nft: the role has no such file")
	if err := f.Source(func(string) ([]byte, error) { return nil, gone }, nil); !errors.Is(err, gone) {
		t.Error(err)
	}
	f = infratest.Decoded(t, &Firewall{}, "source: fw.nft")
	if err := f.Source(func(string) ([]byte, error) { return []byte(" \n"), nil }, nil); err == nil || !strings.Contains(err.Error(), "fw.nft is empty") {
		t.Error(err)
	}
}

// The services of the system find what was written for them.
func TestAfterStart(t *testing.T) {
	infratest.InsideSystemd(t, func() {
		h := infra.NewHost(t.Context())
		f := infratest.Decoded(t, &Firewall{}, "allow: [{port: 22}]")
		infratest.Converge(t, h, f, infra.Create, "rules", firewallFile, "/etc/nftables.conf")
		infratest.Shell(t, "nft flush ruleset; systemctl restart nftables")
		infratest.Same(t, h, f)
		m := infratest.Decoded(t, &Mount{}, "{path: /srv/cache, source: cache, type: tmpfs, options: [nodev]}")
		infratest.Converge(t, h, m, infra.Create, "source", "type", "options", "dump", "pass", "mounted")
		infratest.Shell(t, "umount /srv/cache; systemctl start srv-cache.mount")
		infratest.Same(t, infra.NewHost(t.Context()), m)
		name := infratest.Decoded(t, &Hostname{}, "name: web1")
		infratest.Converge(t, h, name, infra.Update, "name", hostnameFile, hostsFile)
		if got := infratest.Shell(t, "hostname"); got != "web1" {
			t.Error(got)
		}
	})
}
