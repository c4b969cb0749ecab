// Package file holds the kinds of resources that are files, and what makes files:
// file, template, directory, symlink, line, block, archive, git. Kinds lists them all.
//
// Those that are one thing at one path are here; line and block, which look after a part of
// a file, are in internal/edit, archives in internal/archive, checkouts in internal/git.
// None of them touches the disk by itself: internal/place does.
package file

import (
	"steer/infra"
	"steer/infra/resource/file/internal/archive"
	"steer/infra/resource/file/internal/edit"
	"steer/infra/resource/file/internal/git"
)

// Kinds lists them.
func Kinds() infra.Kinds {
	return infra.Kinds{fileKind(), templateKind(), directoryKind(), symlinkKind(), edit.LineKind(), edit.BlockKind(), archive.Kind(), git.Kind()}
}
