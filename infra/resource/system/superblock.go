package system

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
)

// onDisk is what the start of a device or file tells of its file system.
type onDisk struct {
	fsType string // empty: nothing known
	label  string
	blank  bool // the first and the last MiB are zeros
}

const startLength = 1 << 20

// readDisk reads the start of a device or file, and the end, where some things are
// that have no start, if that is blank.
func readDisk(f *os.File) (onDisk, error) {
	b := make([]byte, startLength)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return onDisk{}, err
	}
	is := identify(b[:n])
	if !is.blank || n < startLength {
		return is, nil
	}
	if _, err := f.Seek(-startLength, io.SeekEnd); err != nil {
		return is, err
	}
	if n, err = io.ReadFull(f, b); err != nil {
		return is, err
	}
	is.blank = isBlank(b[:n])
	return is, nil
}

func isBlank(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// identify knows the file systems that Steer makes, by what their documentation says
// of the superblock. Offsets are in bytes.
func identify(b []byte) onDisk {
	at := func(offset, length int) []byte {
		if offset+length > len(b) {
			return make([]byte, length)
		}
		return b[offset : offset+length]
	}
	label := func(offset, length int) string {
		s, _, _ := bytes.Cut(at(offset, length), []byte{0})
		return strings.TrimRight(string(s), " ")
	}
	switch {
	case binary.LittleEndian.Uint16(at(1024+56, 2)) == 0xEF53:
		// ext4 has extents (incompatible feature 0x40), ext3 a journal (compatible 0x4).
		kind := "ext2"
		if binary.LittleEndian.Uint32(at(1024+92, 4))&0x4 != 0 {
			kind = "ext3"
		}
		if binary.LittleEndian.Uint32(at(1024+96, 4))&0x40 != 0 {
			kind = "ext4"
		}
		return onDisk{fsType: kind, label: label(1024+120, 16)}
	case string(at(0, 4)) == "XFSB":
		return onDisk{fsType: "xfs", label: label(108, 12)}
	case string(at(0x10040, 8)) == "_BHRfS_M":
		return onDisk{fsType: "btrfs", label: label(0x1012b, 256)}
	case string(at(4086, 10)) == "SWAPSPACE2":
		return onDisk{fsType: "swap", label: label(1024+28, 16)}
	case string(at(82, 5)) == "FAT32":
		return onDisk{fsType: "vfat", label: fatLabel(label(71, 11))}
	case string(at(54, 3)) == "FAT":
		return onDisk{fsType: "vfat", label: fatLabel(label(43, 11))}
	}
	return onDisk{blank: isBlank(b)}
}

func fatLabel(s string) string {
	if s == "NO NAME" {
		return ""
	}
	return s
}
