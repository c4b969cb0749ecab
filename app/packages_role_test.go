package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"steer/base/config"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/infratest"
	"steer/infra/resource/packages"
)

// converged brings resources, each "KIND YAML", to this host, and says what each came to.
func converged(t *testing.T, manager string, resources ...string) string {
	t.Helper()
	kinds := infra.Kinds(packages.Kinds())
	var m infra.Manifest
	for _, text := range resources {
		kind, body, _ := strings.Cut(text, " ")
		k, ok := kinds.Find(kind)
		if !ok {
			t.Fatalf("no kind %s", kind)
		}
		one := k.New()
		if err := config.Decode("test.yaml", []byte(body), one); err != nil {
			t.Fatal(err)
		}
		m.Resources = append(m.Resources, infra.Declared{Kind: kind, ID: one.ID(), Resource: one, Class: k.Class})
	}
	h := infra.NewHost(t.Context())
	h.Facts.Packages = manager
	var got []string
	if _, err := converge.Run(t.Context(), m, converge.Options{Host: h, Kinds: kinds, Dir: "/var/lib/steer-test", Event: func(e converge.Event) {
		if e.Status != converge.OK {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Ref, e.Status, e.Why)))
		}
	}}); err != nil {
		t.Errorf("%q: %v", resources, err)
	}
	slices.Sort(got)
	return strings.Join(got, ", ")
}

// fromSteer is a host that installs packages of a server which runs on it.
func fromSteer(t *testing.T, manager, path, version string, world func() string) {
	s := start(t, t.TempDir())
	s.define(map[string]string{"environments.yaml": places["environments.yaml"], "services.yaml": "tool: {}\nshop: {}\n", "teams.yaml": "web: {}\n"})
	c := newTool(s)
	c.next()
	key := s.as("").do("GET", path+"/steer.asc", nil)
	suite := "/all"
	if manager == "apt" {
		suite = ", suite: all"
	}
	source := fmt.Sprintf("repository {name: steer, url: %s%s%s, key: %q}", s.url, path, suite, key.body)
	is := func(want, package_, installed string) {
		t.Helper()
		if got := converged(t, manager, source, package_); got != want {
			t.Errorf("%s: %s, want %s", package_, got, want)
		}
		if got := converged(t, manager, source, package_); got != "" {
			t.Errorf("%s, a second time: %s", package_, got)
		}
		if got := world(); got != installed {
			t.Errorf("%s: the host has %q, want %q", package_, got, installed)
		}
	}
	at := func(n int) string { return fmt.Sprintf(version, n) }
	is("package:tool changed, repository:steer changed", "package {name: tool}", at(1))
	c.next()
	is("", "package {name: tool}", at(1))
	is("package:tool changed", fmt.Sprintf("package {name: tool, version: %q}", at(2)), at(2))
	is("package:tool changed", fmt.Sprintf("package {name: tool, version: %q}", at(1)), at(1))
	is("package:tool changed", "package {name: tool, version: latest}", at(2))
	is("package:tool changed", "package {name: tool, state: absent}", "")
	if got := converged(t, manager, source, fmt.Sprintf("package {name: tool, version: %q}", at(7))); !strings.Contains(got, "no repository of this host has it") {
		t.Errorf("a version that is not there: %s", got)
	}
	if got := converged(t, manager, source, "package {name: nothing-like-it}"); !strings.Contains(got, "no repository of this host has it") {
		t.Errorf("a package that is not there: %s", got)
	}
	is("package:tool changed", "package {name: tool}", at(2))
}

// installed is the output of a command, or "" when it fails.
func installed(name string, args ...string) func() string {
	return func() string {
		out, err := run(name, args...)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(out)
	}
}

func TestRoleInstallsFromSteerByApt(t *testing.T) {
	t.Parallel()
	infratest.Inside(t, func() {
		infratest.Shell(t, "rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*")
		fromSteer(t, "apt", "/debian", "0.%d", installed("sh", "-c", "dpkg-query -W -f '${db:Status-Abbrev} ${Version}' tool | sed -n 's/^ii *//p'"))
	})
}

// The host gets the programs of this machine, dnf among them, which no small Debian has.
func TestRoleInstallsFromSteerByDnf(t *testing.T) {
	t.Parallel()
	needs(t, "dnf", "rpm")
	infratest.Inside(t, func() {
		// Debian's rpm has its database in a home folder; Red Hat's has it here.
		infratest.Shell(t, "mkdir -p /etc/rpm && echo '%_dbpath /var/lib/rpm' > /etc/rpm/macros")
		infratest.Shell(t, "mount -t tmpfs none /mnt && mkdir /mnt/up /mnt/work && mount -t overlay none -o lowerdir=/usr,upperdir=/mnt/up,workdir=/mnt/work /usr")
		fromSteer(t, "dnf", "/rpm", "0.%d-1", installed("rpm", "-q", "--queryformat", "%{VERSION}-%{RELEASE}", "tool"))
	}, "-v", "/usr:/usr:ro", "-v", "/etc/alternatives:/etc/alternatives:ro")
}
