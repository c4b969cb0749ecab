package archive

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// largestArchive bounds an archive of a role; what a URL gives may be larger.
const largestArchive = 64 << 20

// Archive is a folder with what an archive holds.
type Archive struct {
	Dest    string `yaml:"dest" doc:"Absolute path of the folder into which it is unpacked."`
	From    string `yaml:"source,omitempty" doc:"The archive: a file of the role, an absolute path on the host, or an http or https URL."`
	SHA256  string `yaml:"sha256,omitempty" doc:"SHA-256 of the archive, 64 hexadecimal digits. A URL needs it."`
	Data    string `yaml:"data,omitempty" doc:"The archive itself in base64, instead of source."`
	Creates string `yaml:"creates,omitempty" doc:"Absolute path that comes out of it. With it only this path and the archive's checksum are looked at, so that what is unpacked may change afterwards; when the path is there and Steer did not unpack it, it is left alone."`
	Strip   int    `yaml:"strip,omitempty" doc:"How many leading folders of the names in the archive to leave out."`
	Owner   string `yaml:"owner,omitempty" doc:"User that owns what comes out, by name or number; without it who runs Steer: root."`
	Group   string `yaml:"group,omitempty" doc:"Group that owns what comes out."`
	State   string `yaml:"state,omitempty" doc:"present or absent: absent removes what came out of it." default:"present"`
}

// Kind is the kind archive.
func Kind() infra.Kind {
	return infra.Kind{
		Name: "archive",
		Doc: "What is in an archive (tar, tar.gz, tar.bz2, tar.zst or zip), unpacked into a folder. A hidden file there, .steer-archive-…, lists what came out: " +
			"when one of these is missing or altered it is unpacked again, and with another archive what is not in that one is removed. " +
			"Names and links that lead out of the folder, devices, and more than 8 GiB or 200,000 files are refused; set-user-ID bits are dropped.",
		Key: "dest",
		Example: `- archive: /opt/prometheus
  source: https://example.com/prometheus-3.5.0.linux-amd64.tar.gz
  sha256: e0ee0f0d1cb8a4a5d1c6a1bdb3b6d6a0d8a4e2c1f6b8d1a1f1e5c2b3a4d5e6f7
  strip: 1
`,
		Class: place.Class,
		New:   func() infra.Resource { return &Archive{} },
	}
}

// ID is what it creates, or else the folder: several archives may be unpacked into
// one, like /usr/local/bin.
func (a *Archive) ID() string {
	if a.Creates != "" {
		return a.Creates
	}
	return a.Dest
}

// Check looks at the declaration.
func (a *Archive) Check() error {
	if err := place.CleanPath("dest", &a.Dest); err != nil {
		return err
	}
	if a.Creates != "" {
		if err := place.CleanPath("creates", &a.Creates); err != nil {
			return err
		}
	}
	if err := place.CheckState(a.State); err != nil {
		return err
	}
	a.SHA256 = strings.ToLower(a.SHA256)
	switch {
	case a.SHA256 != "" && !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(a.SHA256):
		return fmt.Errorf("sha256: %q is no SHA-256 (write 64 hexadecimal digits, as sha256sum prints them)", a.SHA256)
	case a.Strip < 0 || a.Strip > 100:
		return fmt.Errorf("strip: %d is no number of folders", a.Strip)
	case a.State == place.Absent:
		return nil
	case a.From == "" && a.Data == "" || a.From != "" && a.Data != "":
		return fmt.Errorf("source: is missing, or stands beside data (name the archive)")
	case a.remote() && a.SHA256 == "":
		return fmt.Errorf("sha256: is missing (of what comes from the network it says that it is the right one)")
	case a.remote():
		if u, err := url.Parse(a.From); err != nil || u.Host == "" {
			return fmt.Errorf("source: %q is no URL", a.From)
		}
	case a.Data != "":
		return a.sum()
	}
	return nil
}

func (a *Archive) remote() bool {
	return strings.HasPrefix(a.From, "http://") || strings.HasPrefix(a.From, "https://")
}

// sum fills in the checksum of data, or compares it.
func (a *Archive) sum() error {
	b, err := base64.StdEncoding.DecodeString(a.Data)
	if err != nil {
		return fmt.Errorf("data: is not in base64: %v", err)
	}
	is := sha256.Sum256(b)
	sum := hex.EncodeToString(is[:])
	if a.SHA256 != "" && a.SHA256 != sum {
		return fmt.Errorf("sha256: the archive has %s (write that, or get the right archive)", sum)
	}
	a.SHA256 = sum
	return nil
}

// Source reads an archive of the role.
func (a *Archive) Source(read func(string) ([]byte, error), _ map[string]any) error {
	if a.From == "" || a.remote() || path.IsAbs(a.From) {
		return nil
	}
	b, err := place.ReadSource(read, a.From, largestArchive)
	if err != nil {
		return err
	}
	a.From, a.Data = "", base64.StdEncoding.EncodeToString(b)
	return a.sum()
}

// Gives names what comes out.
func (a *Archive) Gives() []string {
	if a.State == place.Absent {
		return nil
	}
	return []string{"path:" + a.Dest, "path:" + a.ID()}
}

// Claims is the folder with what comes out.
func (a *Archive) Claims() []infra.Claim {
	if a.State == place.Absent {
		return nil
	}
	return []infra.Claim{{Name: "path:" + a.Dest, As: infra.Tree}}
}

// Needs names the folder, the archive on the host, and the owners.
func (a *Archive) Needs() []string {
	all := append(a.access().Accounts(), "path:"+a.Dest)
	if path.IsAbs(a.From) {
		all = append(all, "path:"+a.From)
	}
	return all
}

func (a *Archive) access() place.Access { return place.Access{Owner: a.Owner, Group: a.Group} }

// Absent declares away what came out.
func (a *Archive) Absent() infra.Resource {
	return &Archive{Dest: a.Dest, Creates: a.Creates, State: place.Absent}
}

// Diff compares.
func (a *Archive) Diff(_ context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	root, err := a.open()
	if err != nil && !place.Nowhere(err) {
		return d, fmt.Errorf("compare %s: %w", a.ID(), err)
	}
	var old record
	if err == nil {
		defer root.Close()
		if old, err = readRecord(root, a.recordName()); err != nil {
			return d, fmt.Errorf("compare %s: %w", a.ID(), err)
		}
	}
	known := old.Files != nil
	created := a.Creates != "" && place.Exists(a.Creates)
	switch {
	case a.State == place.Absent && known:
		return infra.Diff{Action: infra.Delete, Fields: []infra.Field{{Name: "state", Old: place.Present, New: place.Absent}}}, nil
	case a.State == place.Absent, !known && created:
		return d, nil
	}
	want, err := a.identity(old.Archive)
	if err != nil {
		return d, err
	}
	if !known {
		d.Action = infra.Create
		d.Set("archive", "", short(want))
		a.access().Declare(&d)
		return d, nil
	}
	if old.Archive != want {
		d.Set("archive", short(old.Archive), short(want))
	}
	if old.Strip != a.Strip {
		d.Set("strip", fmt.Sprint(old.Strip), fmt.Sprint(a.Strip))
	}
	if !old.Done { // then nobody knows how they were
		d.Set("files", "unpacked in part", "unpacked")
		return d, nil
	}
	if a.Creates != "" {
		if !created {
			d.Set("creates", "", a.Creates)
		}
		return d, nil
	}
	return d, old.compare(h, root, a.access(), &d)
}

func short(sum string) string {
	if regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(sum) {
		return sum[:12]
	}
	return sum
}

// identity tells one archive from others: its checksum, or of a path on the host when
// it was changed, which costs less. When that is gone, what was unpacked counts.
func (a *Archive) identity(unpacked string) (string, error) {
	if a.SHA256 != "" {
		return a.SHA256, nil
	}
	if !path.IsAbs(a.From) {
		return "", fault.New(fault.Internal, "compare %s: %s of the role was not read", a.ID(), a.From)
	}
	st, err := os.Stat(a.From)
	if errors.Is(err, fs.ErrNotExist) {
		if unpacked != "" {
			return unpacked, nil
		}
		return a.From, nil
	}
	if err != nil {
		return "", fmt.Errorf("compare %s: %w", a.ID(), err)
	}
	return fmt.Sprintf("%d bytes of %s", st.Size(), st.ModTime().UTC().Format("2006-01-02T15:04:05.000000000Z")), nil
}

// open opens the folder into which it is unpacked.
func (a *Archive) open() (*os.Root, error) {
	fd, err := place.OpenFolder(a.Dest)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", fd))
}
