// Package backup is the archive that a backup of a data folder is, and the way
// back. It knows nothing of what the files mean: package app says which belong
// to a backup and in which order they are read.
//
// An archive is a tar stream (POSIX.1-2001) that any tar unpacks:
//
//	backup.json   an Info: what this is, and what is not in it
//	…             files and folders below the data folder
//	SHA256SUMS    the manifest: a line for each file before it, in their order,
//	              as sha256sum(1) writes and checks them; what people should know
//	              about the backup follows in lines that begin with "# "
//
// The manifest comes last because it is known last, so an archive that was cut
// off anywhere has none. It guards against accidents. Whoever wants to change an
// archive can change the manifest as well.
package backup

import (
	"io/fs"
	"strings"
	"time"

	"steer/base/fault"
)

const (
	infoName     = "backup.json"
	manifestName = "SHA256SUMS"
	format       = 1
	// pieceSize is how much is read and written at once.
	pieceSize = 256 << 10
	// mostNotes bounds the notes in a manifest.
	mostNotes = 100
	// longestLine bounds a line of the manifest, in bytes.
	longestLine = 8 << 10
)

// Info is backup.json.
type Info struct {
	Format   int       `json:"format"`   // of the archive: 1
	Steer    string    `json:"steer"`    // version that made it
	Created  time.Time `json:"created"`  // when the database was copied; all else is as new or newer
	Instance string    `json:"instance"` // the server's
	LeftOut  []LeftOut `json:"left_out"`
}

// LeftOut is a part of the data folder that is not in the archive.
type LeftOut struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// Summary is what an archive holds.
type Summary struct {
	Info  Info     `json:"info"`
	Files int      `json:"files"` // without backup.json and the manifest
	Bytes int64    `json:"bytes"` // of these files
	Notes []string `json:"notes,omitempty"`
}

// checkName says whether a file can have this name in an archive.
func checkName(name string) error {
	if !fs.ValidPath(name) || name == "." || len(name) > 4096 {
		return fault.New(fault.Invalid, "%q is no path below the data folder", name)
	}
	if strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }) {
		return fault.New(fault.Invalid, "file name %q: it has a control character or a backslash", name)
	}
	return nil
}
