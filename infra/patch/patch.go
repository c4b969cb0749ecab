// Package patch looks how far the packages of a host are behind.
package patch

import (
	"bufio"
	"context"
	"os"
	"strings"

	"steer/infra"
)

// State is how far a host is behind. Counts are absent where its package manager
// cannot tell.
type State struct {
	Updates  *int `json:"updates,omitempty"`  // packages with a newer version in the lists that the host has
	Security *int `json:"security,omitempty"` // of those, how many for security
	Reboot   bool `json:"reboot,omitempty"`   // what runs is older than what is installed
}

// Look asks the package manager, without reading lists anew: how old those are is up
// to the host (kind security_updates keeps them fresh).
func Look(ctx context.Context, h *infra.Host) (State, error) {
	var s State
	if _, err := os.Stat("/run/reboot-required"); err == nil {
		s.Reboot = true
	}
	var updates, security int
	var count func(line string)
	var args []string
	switch h.Facts.Packages {
	case "apt":
		args = []string{"apt-get", "-s", "-qq", "-o", "Debug::NoLocking=true", "dist-upgrade"}
		count = func(line string) {
			// Inst NAME [OLD] (NEW ORIGIN:RELEASE [ARCH])
			if !strings.HasPrefix(line, "Inst ") {
				return
			}
			updates++
			if _, from, ok := strings.Cut(line, "("); ok && strings.Contains(strings.ToLower(from), "security") {
				security++
			}
		}
	case "dnf":
		args = []string{"dnf", "-q", "-C", "updateinfo", "list", "--updates"}
		count = func(line string) {
			// ADVISORY KIND PACKAGE
			if f := strings.Fields(line); len(f) == 3 {
				updates++
				if strings.Contains(f[1], "Sec") {
					security++
				}
			}
		}
	case "apk":
		args = []string{"apk", "version", "-l", "<"}
		count = func(line string) {
			if strings.Contains(line, " < ") {
				updates++
			}
		}
	default:
		return s, nil
	}
	out, err := h.Run(ctx, args...)
	if err != nil {
		return s, err
	}
	for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
		count(lines.Text())
	}
	s.Updates = &updates
	if h.Facts.Packages != "apk" { // which has no such mark
		s.Security = &security
	}
	return s, nil
}
