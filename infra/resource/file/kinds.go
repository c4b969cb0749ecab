// Package file holds the kinds of resources that are files, and what makes files:
// file, template, directory, symlink, line, block, archive, git.
package file

import (
	"fmt"
	"path"
	"strings"

	"steer/infra"
)

// Kinds lists them.
func Kinds() infra.Kinds {
	return infra.Kinds{fileKind(), templateKind(), directoryKind(), symlinkKind(), lineKind(), blockKind(), archiveKind(), gitKind()}
}

// class of what may be applied side by side: each works on a path of its own.
const class = "files"

// The states.
const (
	present = "present"
	absent  = "absent"
)

func checkState(state string) error {
	if state != present && state != absent {
		return fmt.Errorf("state: %q is no state (write present or absent)", state)
	}
	return nil
}

// cleanPath checks the path under a key, and brings it into its shortest form: it
// is the name of a resource.
func cleanPath(key string, p *string) error {
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
