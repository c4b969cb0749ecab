package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"steer/infra"
)

var fileKind = Kind{
	Name: "file",
	Doc: `A file, folder or link. type and target are those of the path itself; everything else
is what a reader gets who follows a link. contains searches the contents, of at most 16 MiB,
and reports never show them.`,
	Key:     "path",
	Example: "file: {path: /etc/ssh/sshd_config, mode: \"0644\", owner: root, contains: [\"!/^PermitRootLogin yes/\"]}",
	Stable:  []string{"exists", "type", "mode", "owner", "group", "target"},
	New:     func() Subject { return &file{} },
}

type file struct {
	Path     string `yaml:"path" doc:"Absolute path."`
	Exists   *bool  `yaml:"exists" doc:"Whether there is something." default:"true"`
	Type     Text   `yaml:"type" doc:"file, directory, link, socket, pipe or device."`
	Mode     Text   `yaml:"mode" doc:"Permissions as chmod takes them, like \"0644\"."`
	Owner    Text   `yaml:"owner" doc:"Name of the user; the number where it has none."`
	Group    Text   `yaml:"group" doc:"Name of the group; the number where it has none."`
	Size     Number `yaml:"size" doc:"Bytes."`
	SHA256   Text   `yaml:"sha256" doc:"Checksum of the contents, in hexadecimal."`
	Target   Text   `yaml:"target" doc:"What a link points to, as it is written in it."`
	Contains Text   `yaml:"contains" doc:"Contents."`
}

func (f *file) ID() string { return f.Path }

func (f *file) Check() error {
	if err := absolute("path", f.Path); err != nil {
		return err
	}
	return errors.Join(
		Value(f.Mode).each(func(c condition) error {
			if w, ok := c.(is); ok {
				if _, err := parseMode(string(w)); err != nil {
					return fmt.Errorf("mode: %w", err)
				}
			}
			return nil
		}),
		Value(f.Type).each(func(c condition) error {
			if w, ok := c.(is); ok {
				return oneOf("type", string(w), "file", "directory", "link", "socket", "pipe", "device")
			}
			return nil
		}))
}

func absolute(key, path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s: %q is no absolute path", key, path)
	}
	return nil
}

// largest is how much of a file, or of an answer, is searched.
const largest = 16 << 20

func (f *file) Look(_ context.Context, h *infra.Host) (Found, error) {
	found := Found{}
	info, err := os.Lstat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		found["exists"] = false
		return found, nil
	case err != nil:
		return nil, err
	}
	found["exists"], found["type"] = true, typeOf(info.Mode())
	if info.Mode()&fs.ModeSymlink != 0 {
		if found["target"], err = os.Readlink(f.Path); err != nil {
			found["target"] = err
		}
		if info, err = os.Stat(f.Path); err != nil {
			for _, name := range []string{"mode", "owner", "group", "size", "sha256", "contains"} {
				found[name] = Nothing("the link leads nowhere")
			}
			return found, nil
		}
	}
	found["mode"], found["size"] = modeOf(info.Mode()), int(info.Size())
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		found["owner"], found["group"] = h.UserName(int(st.Uid)), h.GroupName(int(st.Gid))
	}
	if !info.Mode().IsRegular() {
		why := Nothing("it is a " + typeOf(info.Mode()))
		found["sha256"], found["contains"] = why, why
		return found, nil
	}
	if len(f.SHA256) > 0 {
		found["sha256"] = f.sum()
	}
	if len(f.Contains) > 0 {
		found["contains"] = f.contents()
	}
	return found, nil
}

func (f *file) sum() any {
	in, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, in); err != nil {
		return err
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (f *file) contents() any {
	in, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	text, err := readAll(in)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Path, err)
	}
	return Content{Text: text, Quiet: true}
}

// readAll refuses what is too large to be searched: what is not there could be in the
// part that was not read.
func readAll(in io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(in, largest+1))
	if err == nil && len(b) > largest {
		err = fmt.Errorf("is larger than %d MiB, the most that is searched", largest>>20)
	}
	return string(b), err
}

func typeOf(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "file"
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "link"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	}
	return "device"
}
