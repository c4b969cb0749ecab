package infra

import (
	"regexp"
	"sync"
)

// Pattern is a regular expression that is compiled when it is first asked for. Kinds
// have many, and a run meets few of them.
func Pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
