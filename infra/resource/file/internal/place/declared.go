package place

import (
	"fmt"
	"path"
	"strings"

	"steer/base/fault"
)

// The states.
const (
	Present = "present"
	Absent  = "absent"
)

// Class of what may be applied side by side: each works on a path of its own.
const Class = "files"

// CheckState looks at a state.
func CheckState(state string) error {
	if state != Present && state != Absent {
		return fmt.Errorf("state: %q is no state (write present or absent)", state)
	}
	return nil
}

// CleanPath checks the path under a key, and brings it into its shortest form: it
// is the name of a resource.
func CleanPath(key string, p *string) error {
	switch {
	case *p == "":
		return fmt.Errorf("%s: is missing (write an absolute path)", key)
	case !path.IsAbs(*p):
		return fmt.Errorf("%s: %q is no absolute path (let it start with /)", key, *p)
	case strings.ContainsAny(*p, "\x00\n"):
		return fmt.Errorf("%s: %q has a character that paths can't have here", key, *p)
	case strings.Contains(*p+"/", "/../"):
		return fmt.Errorf("%s: %q has .. in it, which means something else behind a link (write the path without it)", key, *p)
	}
	if *p = path.Clean(*p); *p == "/" {
		return fmt.Errorf("%s: / is no resource (name something in it)", key)
	}
	return nil
}

// ReadSource reads a file of the role, which may have most bytes.
func ReadSource(read func(string) ([]byte, error), name string, most int) ([]byte, error) {
	b, err := read(name)
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	if len(b) > most {
		return nil, fault.New(fault.TooMuch, "source: %s has more than %d MiB (let the host fetch it: archive with a URL)", name, most>>20)
	}
	return b, nil
}
