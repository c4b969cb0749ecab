package role

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"

	"steer/base/fault"
)

// mostHashed bounds what DigestAll reads.
const mostHashed = 64 << 20

// DigestAll is one hash over the roles of a repository and all files of theirs: with the
// same one, the same host and the same uses, Compile gives the same without reading
// anything. Repositories with links, and very large ones, have none.
func DigestAll(files fs.FS) ([sha256.Size]byte, error) {
	h := sha256.New()
	total := int64(0)
	err := fs.WalkDir(files, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		kind := byte('d')
		var data []byte
		switch {
		case d.Type().IsRegular():
			kind = 'f'
			info, err := d.Info()
			if err == nil {
				if total += info.Size(); total > mostHashed {
					return fault.New(fault.TooMuch, "hash roles: their files have more than %d MiB", mostHashed>>20)
				}
				data, err = fs.ReadFile(files, name)
			}
			if err != nil {
				return err
			}
		case !d.IsDir():
			return fault.New(fault.Invalid, "hash roles: %s is neither file nor folder", name)
		}
		// With lengths, so that nothing of one part can be taken for another.
		head := binary.AppendUvarint([]byte{kind}, uint64(len(name)))
		h.Write(binary.AppendUvarint(append(head, name...), uint64(len(data))))
		h.Write(data)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // there are no roles
	}
	return [sha256.Size]byte(h.Sum(nil)), err
}
