package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"steer/base/config"
	"steer/base/fault"
)

// wrong is a problem with the key that the text starts with; see config on how
// it is placed.
func wrong(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }

// oneOf checks a value that comes from a short list.
func oneOf(key, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	if len(known) == 1 {
		return wrong("%s: unknown %s %q (known: %s)", key, key, value, known[0])
	}
	return wrong("%s: unknown %s %q%s", key, key, value, config.Suggest(value, known))
}

// port checks a port number.
func port(key string, n int) error {
	if n < 1 || n > 65535 {
		return wrong("%s: port %d is not between 1 and 65535", key, n)
	}
	return nil
}

// variable checks the name of an environment variable.
func variable(key, name string) error {
	for i, c := range name {
		if c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		return wrong("%s: %q is no name of an environment variable (use letters, digits and _, and no digit first)", key, name)
	}
	return nil
}

// text checks a value that ends up in the environment of a process.
func text(key, value string) error {
	if strings.ContainsRune(value, 0) {
		return wrong("%s: the value contains a zero byte", key)
	}
	return nil
}

// duration checks that a duration is at least least.
func duration(key string, d, least config.Duration) error {
	if d < least {
		return wrong("%s: %s is too short, at least %s", key, d, least)
	}
	return nil
}

const second = config.Duration(time.Second)

// sorted are the keys of a map, so that errors come in the same order each time.
func sorted[K ~string, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func at(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }
