package catalog

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Package says what becomes of an artifact as a package of a host's system. It is for
// the kinds deb, rpm and packages.
type Package struct {
	Name         string              `yaml:"name" json:"name,omitempty" doc:"Name of the package; default: the service."`
	Version      string              `yaml:"version" json:"version,omitempty" doc:"What comes before the number of the build: with 1.4, b12 becomes 1.4.12." default:"0"`
	Architecture string              `yaml:"architecture" json:"architecture,omitempty" doc:"all, or that of the programs in it in Debian's words: amd64, arm64, …; default: that of the machine that builds."`
	Maintainer   string              `yaml:"maintainer" json:"maintainer,omitempty" doc:"NAME <ADDRESS>; default: the team."`
	Homepage     string              `yaml:"homepage" json:"homepage,omitempty" doc:"URL."`
	Depends      map[string][]string `yaml:"depends" json:"depends,omitempty" doc:"What it needs, for deb, rpm or all: {deb: [libssl3], rpm: [openssl-libs], all: [\"curl (>= 7)\"]}."`
	Prefix       string              `yaml:"prefix" json:"prefix,omitempty" doc:"Folder of hosts that the paths of the artifact go to; default: /opt/NAME."`
	Install      map[string]string   `yaml:"install" json:"install,omitempty" doc:"Files or folders of the checkout, and where each is on hosts: {out/shop: /usr/bin/shop}. With it, nothing goes to the prefix."`
	Unit         string              `yaml:"unit" json:"unit,omitempty" doc:"A unit of systemd in the checkout: it is installed, enabled and started, and restarted by upgrades."`
	Scripts      PackageScripts      `yaml:"scripts" json:"scripts" doc:"Scripts of the checkout that hosts run, for sh."`
}

// PackageScripts are files of the checkout. Their first argument is what dpkg or rpm
// gives them.
type PackageScripts struct {
	BeforeInstall string `yaml:"before_install" json:"before_install,omitempty" doc:"Before the files are there."`
	AfterInstall  string `yaml:"after_install" json:"after_install,omitempty" doc:"When they are."`
	BeforeRemove  string `yaml:"before_remove" json:"before_remove,omitempty" doc:"Before they go, for an upgrade too."`
	AfterRemove   string `yaml:"after_remove" json:"after_remove,omitempty" doc:"When they are gone."`
}

// Kinds of artifacts.
const (
	KindArchive  = "archive"
	KindDeb      = "deb"
	KindRPM      = "rpm"
	KindPackages = "packages"
)

// Packages are the kinds of packages that are made: deb, rpm, both or none.
func (a Artifact) Packages() []string {
	switch a.Kind {
	case KindDeb, KindRPM:
		return []string{a.Kind}
	case KindPackages:
		return []string{KindDeb, KindRPM}
	}
	return nil
}

// Finished tells whether the build itself makes the packages: all paths are such files.
func (a Artifact) Finished() bool {
	return len(a.Paths) > 0 && !slices.ContainsFunc(a.Paths, func(p string) bool { return !slices.Contains(a.Packages(), strings.TrimPrefix(path.Ext(p), ".")) })
}

var (
	packageName         = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]{1,127}$`)
	packageVersion      = regexp.MustCompile(`^[0-9]+(\.[0-9]+){0,5}$`)
	packageArchitecture = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	packageNeed         = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]*( *\( *(<<|<=|=|>=|>>) *[A-Za-z0-9.+:~-]+ *\))?$`)
)

// Check says what is wrong with the package.
func (p Package) Check() error {
	var all []error
	match := func(key, value string, re *regexp.Regexp, want string) {
		if value != "" && !re.MatchString(value) {
			all = append(all, wrong("%s: %q is none (%s)", key, value, want))
		}
	}
	match("name", p.Name, packageName, "small letters, digits, +, - and .")
	match("version", p.Version, packageVersion, "numbers with dots, like 1.4")
	match("architecture", p.Architecture, packageArchitecture, "all, amd64, arm64, …")
	for key, text := range map[string]string{"maintainer": p.Maintainer, "homepage": p.Homepage} {
		if strings.ContainsAny(text, "\r\n\x00") {
			all = append(all, wrong("%s: it has more than one line", key))
		}
	}
	for _, kind := range sorted(p.Depends) {
		all = append(all, oneOf("depends", kind, "deb", "rpm", "all"))
		for i, d := range p.Depends[kind] {
			if !packageNeed.MatchString(d) {
				all = append(all, wrong("%s: %q is no name, and no name with a version like \"curl (>= 7)\"", at("depends."+kind, i), d))
			}
		}
	}
	host := func(key, name string) {
		if name != "" && (!path.IsAbs(name) || name == "/" || path.Clean(name) != name || strings.ContainsAny(name, "\r\n\x00")) {
			all = append(all, wrong("%s: %q is no path on a host (begin it with /, without .. and / at its end)", key, name))
		}
	}
	host("prefix", p.Prefix)
	for _, from := range sorted(p.Install) {
		checkoutPath(&all, "install", from)
		host("install", cmp.Or(p.Install[from], "nowhere"))
	}
	checkoutPath(&all, "unit", p.Unit)
	if p.Unit != "" && !strings.HasSuffix(p.Unit, ".service") {
		all = append(all, wrong("unit: %q does not end in .service", p.Unit))
	}
	checkoutPath(&all, "scripts.before_install", p.Scripts.BeforeInstall)
	checkoutPath(&all, "scripts.after_install", p.Scripts.AfterInstall)
	checkoutPath(&all, "scripts.before_remove", p.Scripts.BeforeRemove)
	checkoutPath(&all, "scripts.after_remove", p.Scripts.AfterRemove)
	return errors.Join(all...)
}

// checkoutPath adds what is wrong with a path of the checkout; "" is none.
func checkoutPath(all *[]error, key, p string) {
	if p != "" && (!fs.ValidPath(path.Clean(p)) || strings.Contains(p, "\\")) {
		*all = append(*all, wrong("%s: %q is no path inside of the checkout (write it relative, with /, without ..)", key, p))
	}
}
