package verify

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"steer/infra"
)

var packageKind = Kind{
	Name: "package",
	Doc: `A package of the system: as dpkg (/var/lib/dpkg/status), rpm or apk
(/lib/apk/db/installed) know it. One whose files are gone and whose configuration is left is not
installed.`,
	Key:     "name",
	Example: "package: {name: openssh-server, version: \"/^1:9/\"}",
	Stable:  []string{"installed"},
	New:     func() Subject { return &pkg{} },
}

type pkg struct {
	Name      string `yaml:"name" doc:"Name, as the package manager says it; with dpkg also NAME:ARCHITECTURE."`
	Installed *bool  `yaml:"installed" doc:"Whether it is installed." default:"true"`
	Version   Text   `yaml:"version" doc:"Installed version, or versions."`
}

func (p *pkg) ID() string { return p.Name }

func (p *pkg) Check() error { return plainName("name", p.Name) }

// plainName refuses names that programs would take for options, or that are paths.
func plainName(key, name string) error {
	if name == "" || len(name) > 255 || strings.HasPrefix(name, "-") || strings.ContainsAny(name, "/*?[]\\ \t\r\n\x00") {
		return fmt.Errorf("%s: %q is no name", key, name)
	}
	return nil
}

func (p *pkg) Look(ctx context.Context, h *infra.Host) (Found, error) {
	versions, err := p.versions(ctx, h)
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return Found{"installed": false}, nil
	}
	return Found{"installed": true, "version": versions}, nil
}

func (p *pkg) versions(ctx context.Context, h *infra.Host) ([]string, error) {
	var file string
	var parse func([]byte) map[string][]string
	switch h.Facts.Packages {
	case "apt":
		file, parse = "/var/lib/dpkg/status", readDpkg
	case "apk":
		file, parse = "/lib/apk/db/installed", readApk
	case "dnf":
		return p.rpm(ctx, h)
	default:
		return nil, errors.New("look at packages: there is none of apt, dnf and apk on this host")
	}
	all, err := infra.Memo(h, file, func() (map[string][]string, error) {
		b, err := os.ReadFile(file)
		return parse(b), err
	})
	return all[p.Name], err
}

func (p *pkg) rpm(ctx context.Context, h *infra.Host) ([]string, error) {
	out, err := h.Exec(ctx, infra.Command{Args: []string{"rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}\\n", "--", p.Name}})
	switch {
	case err != nil:
		return nil, err
	case out.Code == 0:
		return strings.Fields(string(out.Stdout)), nil
	case bytes.Contains(out.Stdout, []byte("is not installed")):
		return nil, nil
	}
	return nil, fmt.Errorf("rpm -q ended with code %d: %s", out.Code, cutText(string(out.Stderr)))
}

// readDpkg reads the state of dpkg: paragraphs of "Key: value".
func readDpkg(b []byte) map[string][]string {
	all := map[string][]string{}
	paragraphs(b, ": ", func(p map[string]string) {
		if words := strings.Fields(p["Status"]); len(words) == 3 && words[2] == "installed" {
			all[p["Package"]] = append(all[p["Package"]], p["Version"])
			name := p["Package"] + ":" + p["Architecture"]
			all[name] = append(all[name], p["Version"])
		}
	})
	return all
}

// readApk reads what apk has installed: paragraphs of "K:value".
func readApk(b []byte) map[string][]string {
	all := map[string][]string{}
	paragraphs(b, ":", func(p map[string]string) { all[p["P"]] = append(all[p["P"]], p["V"]) })
	return all
}

// paragraphs calls f with the keys of each; lines that start with a space go on with
// the value before, and are left out.
func paragraphs(b []byte, by string, f func(map[string]string)) {
	p := map[string]string{}
	flush := func() {
		if len(p) > 0 {
			f(p)
		}
		p = map[string]string{}
	}
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, 4<<20)
	for s.Scan() {
		line := s.Text()
		if line == "" {
			flush()
		} else if key, value, ok := strings.Cut(line, by); ok && line[0] != ' ' {
			p[key] = value
		}
	}
	flush()
}
