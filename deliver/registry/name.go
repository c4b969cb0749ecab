package registry

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"net/http"
	"regexp"
	"strings"
)

// Digest names content by what it is: "sha256:…" or "sha512:…".
type Digest string

// ParseDigest reads a digest.
func ParseDigest(s string) (Digest, error) {
	algorithm, hexed, _ := strings.Cut(s, ":")
	size := map[string]int{"sha256": sha256.Size, "sha512": sha512.Size}[algorithm]
	raw, err := hex.DecodeString(hexed)
	if size == 0 || err != nil || len(raw) != size || strings.ToLower(hexed) != hexed {
		return "", Fail(DigestInvalid, http.StatusBadRequest, "digest %.200q: write sha256: and 64, or sha512: and 128 hexadecimal digits in lower case", s)
	}
	return Digest(s), nil
}

func (d Digest) split() (algorithm, hexed string) {
	algorithm, hexed, _ = strings.Cut(string(d), ":")
	return algorithm, hexed
}

// hash makes what computes digests of the same kind.
func (d Digest) hash() hash.Hash {
	if strings.HasPrefix(string(d), "sha512:") {
		return sha512.New()
	}
	return sha256.New()
}

// with is the digest that h has come to, of the same kind as d.
func (d Digest) with(h hash.Hash) Digest {
	algorithm, _ := d.split()
	return Digest(algorithm + ":" + hex.EncodeToString(h.Sum(nil)))
}

// of is the digest of a text, of the same kind as d.
func (d Digest) of(text []byte) Digest {
	h := d.hash()
	h.Write(text)
	return d.with(h)
}

// anyDigest stands for the kind of digest that is used when nobody says which.
const anyDigest Digest = "sha256:"

// The grammars of the distribution-spec.
var (
	nameForm = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	// builtForm are the tags of a service's repository that only Steer makes.
	builtForm = regexp.MustCompile(`^(b[0-9]+|local-[0-9]+)$`)
)

// CheckName says what is wrong with the name of a repository.
func CheckName(name string) error {
	if len(name) > 255 || !nameForm.MatchString(name) {
		return Fail(NameInvalid, http.StatusBadRequest, "repository %.300q: write small letters and digits, parted by . _ __ - or /, at most 255 in all", name)
	}
	return nil
}

func checkTag(tag string) error {
	if !tagForm.MatchString(tag) {
		return Fail(ManifestInvalid, http.StatusBadRequest, "tag %.200q: write letters, digits, _ . and -, beginning with one of the first three, at most 128 in all", tag)
	}
	return nil
}

// reserved tells whether only Steer may make this tag: a service's name has no slash.
func reserved(name, tag string) bool {
	return !strings.Contains(name, "/") && builtForm.MatchString(tag)
}
