package whisper

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"

	"steer/base/fault"
)

const (
	extension = ".wsp"
	// Carbon keeps series with tags here, in two folders named by the first six
	// hexadecimal digits of the name's SHA-256, the file by the name with dots
	// spelled out, or by the whole sum (TAG_HASH_FILENAMES).
	taggedFolder = "_tagged"
	dot          = "_DOT_"

	longestName = 4096 // as the store takes
	longestPart = 255  // of a path, on the usual file systems
)

// Name is the series that Carbon keeps in a file, whose path is relative to its
// data folder: servers/web1/load.wsp is servers.web1.load.
func Name(file string) (string, error) {
	fail := func(why string) (string, error) {
		return "", fault.New(fault.Invalid, "name the series of %.300q: %s", file, why)
	}
	p, ok := strings.CutSuffix(path.Clean(file), extension)
	if !ok {
		return fail("its name doesn't end in " + extension)
	}
	name := strings.ReplaceAll(p, "/", ".")
	// A slash in a tag makes folders, too.
	if parts := strings.SplitN(p, "/", 4); len(parts) == 4 && parts[0] == taggedFolder {
		if sum, err := hex.DecodeString(parts[3]); err == nil && len(sum) == sha256.Size {
			return fail("it is called by a hash, from which the name cannot be told (Carbon does so with TAG_HASH_FILENAMES; list the names in a file and give it with 'steer import whisper --names')")
		}
		name = strings.ReplaceAll(parts[3], dot, ".")
	}
	if err := checkName(name); err != nil {
		return fail(err.Error())
	}
	return name, nil
}

// Path is the file, relative to its data folder, in which Carbon keeps a series.
func Path(name string) (string, error) {
	file := strings.ReplaceAll(name, ".", "/") + extension
	if strings.Contains(name, ";") {
		sum := sha256.Sum256([]byte(name))
		digits := hex.EncodeToString(sum[:3])
		file = path.Join(taggedFolder, digits[:3], digits[3:], strings.ReplaceAll(name, ".", dot)+extension)
	}
	for part := range strings.SplitSeq(file, "/") {
		if len(part) > longestPart {
			return "", fault.New(fault.Invalid, "name the file of series %.300q: %.20s… is longer than the name of a file may be", name, part)
		}
	}
	if back, err := Name(file); err != nil || back != name {
		return "", fault.New(fault.Invalid, "name the file of series %.300q: none leads back to this name", name)
	}
	return file, nil
}

// checkName says what keeps the store from taking a name.
func checkName(name string) error {
	switch tree, _, _ := strings.Cut(name, ";"); {
	case len(name) > longestName:
		return fmt.Errorf("a name of %d bytes is too long", len(name))
	case tree == "" || tree[0] == '.' || tree[len(tree)-1] == '.' || strings.Contains(tree, ".."):
		return errors.New("the name has an empty part")
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return errors.New("the name has a space or a control character")
	}
	return nil
}

// prefixed puts a prefix, which may be empty or end with a dot, before a name.
func prefixed(prefix, name string) string {
	if prefix = strings.TrimRight(prefix, "."); prefix == "" {
		return name
	}
	return prefix + "." + name
}
