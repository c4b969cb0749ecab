package login

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The rule for sshd(8), should somebody start it: it counts before any that allows.
const (
	sshdConfig = "/etc/ssh/sshd_config"
	sshdRule   = "/etc/ssh/sshd_config.d/00-steer-login.conf"
	ruleText   = "# Logging in is switched off on this host, see /etc/nologin.\nDenyUsers *\n"
	// notToBeRun is what Debian's units and scripts of sshd look for.
	notToBeRun = "/etc/ssh/sshd_not_to_be_run"
)

// server looks whether sshd, where it is installed, would let somebody in.
func (o *house) server() error {
	if !o.exists(sshdConfig) && !o.exists("/usr/sbin/sshd") {
		return nil
	}
	b, err := o.read(sshdConfig)
	if err != nil {
		return err
	}
	rule, err := o.read(sshdRule)
	if err != nil {
		return err
	}
	denies, includes := global(b)
	if !denies && !(includes && string(rule) == ruleText) {
		o.found("sshd", "lets people in", "DenyUsers *", func() error {
			if includes {
				return o.write(sshdRule, []byte(ruleText))
			}
			return o.write(sshdConfig, append([]byte(ruleText), b...))
		})
	}
	if o.exists("/etc/init.d/ssh") && !o.exists(notToBeRun) {
		o.found("start of sshd", "allowed", "not to be run", func() error { return o.write(notToBeRun, nil) })
	}
	return nil
}

// global reads the part of sshd's configuration that counts for everybody: whether it
// denies all, and reads the folder with our rule.
func global(b []byte) (denies, includes bool) {
	for line := range bytes.Lines(b) {
		words := strings.Fields(strings.ReplaceAll(string(line), "=", " "))
		if len(words) < 2 {
			continue
		}
		switch strings.ToLower(words[0]) {
		case "match":
			return denies, includes
		case "denyusers":
			denies = denies || slices.Contains(words[1:], "*")
		case "include":
			for _, pattern := range words[1:] {
				matches, _ := path.Match(strings.Trim(pattern, `"`), sshdRule)
				includes = includes || matches
			}
		}
	}
	return denies, includes
}

// units are those of systemd that let somebody in, by network or at a console, and the
// one that takes /etc/nologin away once the host runs.
func units() []string {
	return []string{"ssh.service", "sshd.service", "ssh@.service", "sshd@.service", "ssh.socket", "sshd.socket", "dropbear.service", "dropbear.socket", "dropbear@.service",
		"getty@.service", "autovt@.service", "serial-getty@.service", "console-getty.service", "container-getty@.service", "getty-static.service",
		"debug-shell.service", "rescue.service", "emergency.service", "systemd-user-sessions.service"}
}

func (o *house) units() error {
	if !o.exists("/lib/systemd/systemd") && !o.exists("/usr/lib/systemd/systemd") {
		return nil
	}
	var all []string
	for _, unit := range units() {
		if !o.masked("/etc/systemd/system/" + unit) {
			all = append(all, unit)
		}
	}
	if len(all) > 0 {
		o.found("units", "can be started: "+strings.Join(all, ", "), "masked", func() error {
			var err error
			for _, unit := range all {
				err = errors.Join(err, o.mask("/etc/systemd/system/"+unit))
			}
			return err
		})
	}
	// Else who tries is told that the host is about to start.
	if starting := "/etc/tmpfiles.d/systemd-nologin.conf"; !o.masked(starting) {
		o.found(starting, "not masked", "masked", func() error { return o.mask(starting) })
	}
	return nil
}

func (o *house) masked(name string) bool {
	to, err := os.Readlink(o.path(name))
	return err == nil && to == "/dev/null"
}

func (o *house) mask(name string) error {
	return errors.Join(os.MkdirAll(filepath.Dir(o.path(name)), 0o755), os.RemoveAll(o.path(name)), os.Symlink("/dev/null", o.path(name)))
}

// atConsole is what inittab(5) starts to let somebody in.
var atConsole = regexp.MustCompile(`\b(getty|agetty|mingetty|sulogin|askfirst|login)\b|/bin/(ba)?sh\s*$`)

// consoles are those of other inits: OpenRC's runlevels, and inittab(5).
func (o *house) consoles() error {
	found, err := filepath.Glob(o.path("/etc/runlevels/*/*"))
	if err != nil {
		return err
	}
	for _, link := range found {
		service, _, _ := strings.Cut(filepath.Base(link), ".") // agetty.tty1
		if slices.Contains([]string{"sshd", "dropbear", "agetty", "getty"}, service) {
			o.found(strings.TrimPrefix(link, o.path("/etc/")+"/"), "starts with the host", "not started", func() error { return os.Remove(link) })
		}
	}
	b, err := o.read("/etc/inittab")
	if err != nil {
		return err
	}
	var out bytes.Buffer
	n := 0
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") && atConsole.MatchString(line) {
			n, line = n+1, "#"+line
		}
		out.WriteString(line)
	}
	if n > 0 {
		o.found("inittab", fmt.Sprintf("%d lines let people in", n), "none", func() error { return o.write("/etc/inittab", out.Bytes()) })
	}
	return nil
}

// programs let people in while they run.
func programs() []string {
	return []string{"sshd", "sshd-session", "dropbear", "tinysshd", "telnetd", "in.telnetd", "agetty", "getty", "mingetty", "sulogin"}
}

// mostRunning bounds the processes that are named.
const mostRunning = 10

// running looks for programs that let people in, or did: sshd tells in its title whom.
// Those of containers on this host are not its own.
func (o *house) running() {
	all, _ := filepath.Glob(o.path("/proc/[0-9]*"))
	here, _ := os.Readlink(o.path("/proc/self/ns/pid"))
	n := 0
	for _, p := range all {
		comm, err := os.ReadFile(p + "/comm")
		name := strings.TrimSpace(string(comm))
		if err != nil || !slices.Contains(programs(), name) {
			continue
		}
		if there, err := os.Readlink(p + "/ns/pid"); err != nil || there != here {
			continue
		}
		if n++; n > mostRunning {
			return
		}
		title, _ := os.ReadFile(p + "/cmdline")
		text := strings.TrimSpace(strings.ReplaceAll(string(title), "\x00", " "))
		text = strings.ToValidUTF8(text[:min(len(text), 100)], "?")
		since := ""
		if is, err := os.Stat(p); err == nil {
			since = " since " + is.ModTime().UTC().Format(time.DateTime)
		}
		o.found(name, fmt.Sprintf("runs as process %s%s: %s", filepath.Base(p), since, text), "not running", nil)
	}
}
