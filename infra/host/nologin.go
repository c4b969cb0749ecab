package host

import (
	"path/filepath"
	"strings"
)

// NoLogin tells whether nobody may log in.
func (e *Entry) NoLogin() bool { return e.Login != nil && !*e.Login }

// byLogin tells whether Steer itself would have to log in to reach a host.
func byLogin(h Host) bool {
	kind, rest, _ := strings.Cut(h.Address, ":")
	if words := strings.Fields(rest); kind == "command" && len(words) > 0 {
		return filepath.Base(words[0]) == "ssh"
	}
	return kind == "ssh"
}

// Backdoor is the way into a host that needs no login: by what made it, or its address.
// Empty: there is none.
func Backdoor(h Host) string {
	if h.Make != nil && (h.Make.Docker != nil || h.Make.Nspawn != nil) {
		return h.Make.makers()[0].address(h.Name)
	}
	if kind, _, _ := strings.Cut(h.Address, ":"); kind == "agent" || kind == "local" || byLogin(h) {
		return ""
	}
	return h.Address
}
