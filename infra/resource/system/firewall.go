package system

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// Firewall is the host's own filter: the table "inet steer" of nftables.
type Firewall struct {
	Policy  string `yaml:"policy,omitempty" doc:"drop or accept what no rule is about." default:"drop"`
	Allow   []Rule `yaml:"allow,omitempty" doc:"What is let in."`
	Deny    []Rule `yaml:"deny,omitempty" doc:"What is not, although allow or the policy would let it in."`
	Content string `yaml:"content,omitempty" doc:"Instead of policy, allow and deny: what stands in the table, in the language of nft."`
	File    string `yaml:"source,omitempty" doc:"File of the role with the content."`
	State   string `yaml:"state,omitempty" doc:"present or absent." default:"present"`
}

func firewallKind() infra.Kind {
	return infra.Kind{
		Name: "firewall", Key: "policy", Class: class,
		Doc: "What the host lets in, as a table of nftables of its own; tables of others (Docker's, say) stay as they are, and what they drop stays dropped. Answers, the loopback and ICMP are always let in. What is loaded is compared, rule by rule. For the next start it stands in a file that the configuration of nftables includes: declare service: nftables, enabled, too.",
		Example: `firewall: drop
allow:
  - {port: 22, from: 10.0.0.0/8}
  - {port: '80,443'}
  - {port: 53, protocol: udp, interface: eth1}
`,
		New: func() infra.Resource { return &Firewall{} },
	}
}

const (
	firewallTable  = "inet steer"
	firewallFolder = "/etc/nftables.d"
	firewallFile   = firewallFolder + "/steer.nft"
	firewallLine   = `include "` + firewallFile + `"`
)

// ID is the same for all: a host has one.
func (f *Firewall) ID() string { return "host" }

// Check refuses mixtures.
func (f *Firewall) Check() error {
	errs := []error{checkState(f.State, present, absent)}
	if f.Policy != "drop" && f.Policy != "accept" {
		errs = append(errs, fault.New(fault.Invalid, "policy: %q is not drop or accept", f.Policy))
	}
	if own := f.Content != "" || f.File != ""; own && len(f.Allow)+len(f.Deny) > 0 {
		errs = append(errs, fault.New(fault.Invalid, "content: stands alone, without allow and deny"))
	}
	return errors.Join(errs...)
}

// Source reads the content.
func (f *Firewall) Source(read func(string) ([]byte, error), _ map[string]any) error {
	if f.File == "" {
		return nil
	}
	b, err := read(f.File)
	if err == nil && len(strings.TrimSpace(string(b))) == 0 {
		err = fault.New(fault.Invalid, "source: %s is empty", f.File)
	}
	f.Content, f.File = string(b), ""
	return err
}

// Gives nothing that others could need.
func (f *Firewall) Gives() []string { return nil }

// Claims the file. The one of the system may be somebody else's, with the line in it.
func (f *Firewall) Claims() []infra.Claim { return []infra.Claim{{Name: "path:" + firewallFile}} }

// Needs the package.
func (f *Firewall) Needs() []string { return []string{"package:nftables"} }

// Absent is no filter.
func (f *Firewall) Absent() infra.Resource {
	return &Firewall{Policy: "accept", State: absent}
}

// Watch names the file.
func (f *Firewall) Watch() []string { return []string{firewallFile} }

// text is the file: loaded, it replaces the table in one step.
func (f *Firewall) text() string {
	body := f.Content
	if body == "" {
		body = f.rules()
	}
	return fmt.Sprintf("table %[1]s\ndelete table %[1]s\ntable %[1]s {\n%[2]s\n}\n", firewallTable, strings.TrimRight(body, "\n"))
}

// withHash is the file: its first line remembers how the kernel lists what is in it, so
// that nothing needs to be tried out as long as that is loaded.
func (f *Firewall) withHash(loaded string) string {
	return fmt.Sprintf("# Written by Steer. Loaded as %x.\n%s", sha256.Sum256([]byte(loaded)), f.text())
}

func (f *Firewall) rules() string {
	lines := []string{
		"type filter hook input priority filter; policy " + f.Policy + ";",
		"ct state established,related accept",
		`iifname "lo" accept`,
		"meta l4proto { 1, 58 } accept",                          // ICMP of both kinds; hosts without /etc/protocols know no names
		"ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept", // answers to DHCPv6 belong to no connection
	}
	for _, r := range f.Deny {
		lines = append(lines, r.lines("drop")...)
	}
	for _, r := range f.Allow {
		lines = append(lines, r.lines("accept")...)
	}
	return "\tchain input {\n\t\t" + strings.Join(lines, "\n\t\t") + "\n\t}"
}

// mainFile is what the system loads at the start.
func mainFile(h *infra.Host) string {
	switch h.Facts.OS.Family {
	case "redhat":
		return "/etc/sysconfig/nftables.conf"
	case "alpine":
		return "/etc/nftables.nft"
	}
	return "/etc/nftables.conf"
}

func includes(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == firewallLine || line == `include "`+firewallFolder+`/*.nft"` {
			return true
		}
	}
	return false
}

// Diff compares what is loaded with what nft makes of the declaration in a network of
// its own, where nothing passes: so both are in the same words. What was loaded before
// and is listed as then needs no such trial.
func (f *Firewall) Diff(ctx context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	file, err := readText(firewallFile)
	if err != nil {
		return d, err
	}
	main, err := readText(mainFile(h))
	if err != nil {
		return d, err
	}
	if h.Facts.Offline {
		f.onDisk(&d, file, main, h)
		return d, nil
	}
	if !h.Has("nft") {
		if f.State == present {
			d.Action = infra.Create
			d.SetContent("rules", nil, []byte(f.text()))
		} else if file != "" {
			d.Action = infra.Delete
		}
		return d, nil
	}
	loaded, err := f.loaded(ctx, h)
	if err != nil {
		return d, err
	}
	if f.State == absent {
		if loaded != "" || file != "" || strings.Contains(main, firewallLine) {
			d.Action = infra.Delete
		}
		return d, nil
	}
	want := loaded
	if file != f.withHash(loaded) {
		if want, err = f.canonical(ctx, h); err != nil {
			return d, err
		}
	}
	if loaded == "" && file == "" {
		d.Action = infra.Create
	}
	if loaded != want {
		d.SetContent("rules", []byte(loaded), []byte(want))
	}
	if _, text, _ := strings.Cut(file, "\n"); text != f.text() {
		d.SetContent(firewallFile, []byte(file), []byte(f.withHash(want)))
	}
	if !includes(main) {
		d.Set(mainFile(h), "", firewallLine)
	}
	return d, nil
}

// onDisk compares the files only.
func (f *Firewall) onDisk(d *infra.Diff, file, main string, h *infra.Host) {
	_, text, _ := strings.Cut(file, "\n")
	switch {
	case f.State == absent:
		if file != "" || strings.Contains(main, firewallLine) {
			d.Action = infra.Delete
		}
		return
	case file == "":
		d.Action = infra.Create
	}
	if text != f.text() {
		d.SetContent(firewallFile, []byte(file), []byte(f.withHash("")))
	}
	if !includes(main) {
		d.Set(mainFile(h), "", firewallLine)
	}
}

// LeftOut is the loading.
func (f *Firewall) LeftOut() string {
	if f.State == present {
		return "not loaded: only written, nft did not check it"
	}
	return ""
}

// loaded lists the table as the kernel has it, without counters.
func (f *Firewall) loaded(ctx context.Context, h *infra.Host) (string, error) {
	out, err := h.Exec(ctx, infra.Command{Args: append([]string{"nft", "-s", "list", "table"}, strings.Fields(firewallTable)...)})
	switch {
	case err != nil:
		return "", err
	case out.Code == 0:
		return withoutState(string(out.Stdout)), nil
	case strings.Contains(string(out.Stderr), "No such file or directory"):
		return "", nil
	}
	return "", fmt.Errorf("list the firewall: nft ended with code %d%s", out.Code, tail(out))
}

func (f *Firewall) canonical(ctx context.Context, h *infra.Host) (string, error) {
	out, err := h.Exec(ctx, infra.Command{Args: []string{"unshare", "-n", "sh", "-c", "nft -f - && nft -s list ruleset"}, Stdin: []byte(f.text())})
	if err != nil {
		return "", err
	}
	text := string(out.Stdout)
	switch {
	case out.Code != 0 && strings.Contains(string(out.Stderr), "unshare"):
		return "", fmt.Errorf("try the rules in a network of their own%s (this needs root, and in a container CAP_SYS_ADMIN)", tail(out))
	case out.Code != 0:
		return "", fault.New(fault.Invalid, "nft refuses the rules%s", tail(out))
	case !strings.HasPrefix(text, "table "+firewallTable+" {") || strings.Count(text, "\ntable ") > 0:
		return "", fault.New(fault.Invalid, "the content makes other tables than %q, or none (it stands in that table: chains and sets only)", firewallTable)
	}
	return withoutState(text), nil
}

// filling is the elements of a set or map that rules fill, or that end by themselves:
// they are what happened, not what was declared.
var filling = infra.Pattern(`(?m)^(\t(?:set|map) \S+ \{\n(?:\t\t.*\n)*?\t\tflags [^\n]*(?:dynamic|timeout)[^\n]*\n(?:\t\t.*\n)*?)\t\telements = \{[^}]*\}\n`)

// withoutState is a listing without what comes and goes by itself.
func withoutState(listing string) string { return filling().ReplaceAllString(listing, "$1") }

func tail(out infra.Output) string {
	text := strings.TrimSpace(string(out.Stderr))
	if len(text) > 2000 {
		text = text[:2000] // the first error is the cause
	}
	return ": " + text
}

// Apply loads the rules, all or none, and writes the files once the kernel took them.
func (f *Firewall) Apply(ctx context.Context, h *infra.Host, _ infra.Diff) error {
	main := mainFile(h)
	if f.State == absent {
		return f.drop(ctx, h, main)
	}
	if h.Facts.Offline {
		return f.write(main, "")
	}
	if !h.Has("nft") {
		return fmt.Errorf("this host has no program nft (declare before it: - package: nftables)")
	}
	for _, args := range [][]string{{"nft", "-c", "-f", "-"}, {"nft", "-f", "-"}} {
		if _, err := h.RunCommand(ctx, infra.Command{Args: args, Stdin: []byte(f.text())}); err != nil {
			return fmt.Errorf("load the firewall (the former rules still hold): %w", err)
		}
	}
	loaded, err := f.loaded(ctx, h)
	if err != nil {
		return err
	}
	return f.write(main, loaded)
}

// write puts the files in place.
func (f *Firewall) write(main, loaded string) error {
	if err := os.MkdirAll(firewallFolder, 0o755); err != nil {
		return err
	}
	if err := replace(firewallFile, []byte(f.withHash(loaded)), 0o644); err != nil {
		return err
	}
	text, err := readText(main)
	if err != nil || includes(text) {
		return err
	}
	if text == "" {
		text = "#!/usr/sbin/nft -f\n"
	}
	if err := os.MkdirAll(filepath.Dir(main), 0o755); err != nil {
		return err
	}
	return replace(main, []byte(strings.TrimSuffix(text, "\n")+"\n"+firewallLine+"\n"), 0o755)
}

func (f *Firewall) drop(ctx context.Context, h *infra.Host, main string) error {
	text, err := readText(main)
	if err != nil {
		return err
	}
	if strings.Contains(text, firewallLine) {
		var b strings.Builder
		for line := range strings.Lines(text) {
			if strings.TrimSpace(line) != firewallLine {
				b.WriteString(line)
			}
		}
		if err := replace(main, []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	if h.Has("nft") && !h.Facts.Offline {
		// Named first, it may be deleted also when it is not there.
		if _, err := h.RunCommand(ctx, infra.Command{Args: []string{"nft", "-f", "-"}, Stdin: []byte(fmt.Sprintf("table %[1]s\ndelete table %[1]s\n", firewallTable))}); err != nil {
			return err
		}
	}
	return remove(firewallFile)
}
