// Package id holds the names that all areas of Steer share, as checked
// strings, and makes unique identifiers. Records that carry these names belong
// to the areas.
package id

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

// Names of things that people declare. Each is 1 to 63 characters of lower or
// upper case letters, digits, "-", "_" and ".", starting with a letter or digit.
type (
	Service     string // one deployable service: "catalog"
	Environment string // one collection of hosts and configuration: "production"
	Team        string // the people who own services: "storefront"
	Person      string // one user or machine account: "ada"
	Host        string // one machine: "web-1"
)

// Version names one build of a service: "b12", or "local" for what is on this
// machine and "latest" for the newest green build where a caller may choose.
type Version string

// Versions that a caller may ask for without knowing a build number.
const (
	Latest Version = "latest"
	Local  Version = "local"
)

const longest = 63

// Parse returns s as a name, or an error that says what is wrong with it. The
// kind ("service", "environment") only words the error.
func Parse[T ~string](kind, s string) (T, error) {
	if s == "" {
		return "", fmt.Errorf("%s name is empty", kind)
	}
	if len(s) > longest {
		return "", fmt.Errorf("%s name %q has %d characters, at most %d are allowed", kind, s, len(s), longest)
	}
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if letter || i > 0 && (c == '-' || c == '_' || c == '.') {
			continue
		}
		return "", fmt.Errorf("%s name %q: character %q at position %d (use letters, digits, \"-\", \"_\", \".\", and start with a letter or digit)", kind, s, c, i+1)
	}
	return T(s), nil
}

// Build returns the version name of a service's n-th build.
func Build(n int64) Version { return Version(fmt.Sprintf("b%d", n)) }

// New returns a new identifier: a version 7 UUID (RFC 9562), so that later ones
// sort after earlier ones to the millisecond.
func New() string {
	var b [16]byte
	if _, err := rand.Read(b[6:]); err != nil {
		panic("BUG: the system has no random numbers: " + err.Error())
	}
	ms := uint64(time.Now().UnixMilli())
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i))
	}
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
