package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

const (
	recordPrefix  = ".steer-archive-"
	largestRecord = 128 << 20
)

// record is what came out of an archive: a file in the folder, one for each archive.
type record struct {
	Archive string     `json:"archive"` // see identity
	Strip   int        `json:"strip,omitempty"`
	Done    bool       `json:"done"` // else a run was cut off: Files are what may be there
	Files   []unpacked `json:"files"`
}

// unpacked is one file, folder or link.
type unpacked struct {
	Name     string      `json:"name"`
	Mode     fs.FileMode `json:"mode"` // with the type
	Size     int64       `json:"size,omitempty"`
	Modified int64       `json:"modified,omitempty"` // of files, in Unix nanoseconds
	Target   string      `json:"target,omitempty"`   // of links
}

func (a *Archive) recordName() string {
	h := fnv.New32a()
	h.Write([]byte(a.ID()))
	return fmt.Sprintf("%s%08x", recordPrefix, h.Sum32())
}

// readRecord reads a record; without one it is zero.
func readRecord(root *os.Root, name string) (record, error) {
	var r record
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		defer f.Close()
		err = json.NewDecoder(io.LimitReader(f, largestRecord)).Decode(&r)
	}
	if err == nil && slices.ContainsFunc(r.Files, func(u unpacked) bool { return !fs.ValidPath(u.Name) || u.Name == "." }) {
		err = errors.New("it names files elsewhere")
	}
	if err != nil {
		return r, fault.New(fault.Conflict, "read %s, which lists what was unpacked: %w (remove it to unpack again)", name, err)
	}
	return r, nil
}

// write puts the record into the folder, whole or not at all.
func (r record) write(root *os.Root, name string) error {
	b, err := json.Marshal(r)
	if err == nil {
		if err = root.Remove(name + ".new"); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		err = root.WriteFile(name+".new", b, 0o600)
	}
	if err == nil {
		err = root.Rename(name+".new", name)
	}
	if err != nil {
		return fmt.Errorf("write what was unpacked: %w", err)
	}
	return nil
}

// look tells what is there under a name now.
func look(root *os.Root, name string) (unpacked, *syscall.Stat_t, error) {
	st, err := root.Lstat(name)
	if err != nil {
		return unpacked{}, nil, err
	}
	u := unpacked{Name: name, Mode: st.Mode()}
	switch st.Mode().Type() {
	case 0:
		u.Size, u.Modified = st.Size(), st.ModTime().UnixNano()
	case fs.ModeSymlink:
		u.Mode = fs.ModeSymlink
		u.Target, err = root.Readlink(name)
	}
	return u, st.Sys().(*syscall.Stat_t), err
}

// compare adds which files are not as they came out.
func (r record) compare(h *infra.Host, root *os.Root, a place.Access, d *infra.Diff) error {
	differ := map[string][]string{}
	for _, want := range r.Files {
		is, st, err := look(root, want.Name)
		if place.Nowhere(err) {
			differ["files"] = append(differ["files"], want.Name+" missing")
			continue
		}
		if err != nil {
			return fmt.Errorf("compare what was unpacked: %w", err)
		}
		if is != want {
			differ["files"] = append(differ["files"], want.Name)
		}
		var one infra.Diff
		if err := a.Compare(h, unix.Stat_t{Uid: st.Uid, Gid: st.Gid}, &one); err != nil {
			return err
		}
		for _, f := range one.Fields {
			differ[f.Name] = append(differ[f.Name], want.Name+" "+f.Old)
		}
	}
	for _, f := range [][2]string{{"files", "as in the archive"}, {"owner", a.Owner}, {"group", a.Group}} {
		all := differ[f[0]]
		if len(all) > 3 {
			all = append(all[:3:3], fmt.Sprintf("%d more", len(all)-3))
		}
		if all != nil {
			d.Set(f[0], strings.Join(all, ", "), f[1])
		}
	}
	return nil
}

// drop removes what came out, but for what is kept, and what other archives in the
// same folder brought. Folders go when they are empty.
func (r record) drop(root *os.Root, own string, keep map[string]bool) error {
	others, err := fs.Glob(root.FS(), recordPrefix+"????????")
	if err != nil {
		return err
	}
	for _, name := range others {
		if name == own {
			continue
		}
		other, err := readRecord(root, name)
		if err != nil {
			return err
		}
		for _, u := range other.Files {
			keep[u.Name] = true
		}
	}
	for _, u := range slices.Backward(r.Files) {
		if keep[u.Name] {
			continue
		}
		switch err := root.Remove(u.Name); {
		case err == nil, place.Nowhere(err), errors.Is(err, unix.ENOTEMPTY):
		default:
			return fmt.Errorf("remove what was unpacked: %w", err)
		}
	}
	return nil
}
