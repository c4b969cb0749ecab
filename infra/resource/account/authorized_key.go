package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"steer/base/fault"
	"steer/infra"
)

// Key lets a user log in with SSH.
type Key struct {
	User    string   `yaml:"user,omitempty" doc:"Who may log in."`
	Key     string   `yaml:"key,omitempty" doc:"Public key as in the .pub file; more than one on lines of their own."`
	Options []string `yaml:"options,omitempty" doc:"What sshd allows with it, like no-port-forwarding or command=\"/usr/bin/backup\"; see sshd(8). Options in front of the key count too."`
	Exact   bool     `yaml:"exact,omitempty" doc:"The keys are the only ones of the user: all else in the file goes. Write all keys of the user into one resource then."`
	State   string   `yaml:"state,omitempty" doc:"present or absent." default:"present"`
}

func keyKind() infra.Kind {
	return infra.Kind{
		Name: "authorized_key", Class: class, Key: "user",
		Doc: "A public key with which a user may log in by SSH, in ~/.ssh/authorized_keys. Folder and file belong to the user and are closed to others. Its name is USER/COMMENT, without a comment USER/FINGERPRINT, and with exact just USER.",
		Example: `authorized_key: deploy
key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBMPmn1vnHJwqV6rySVp0QGrSp1bNrRu8mgmgZoSzEEv anna@laptop
options: [no-agent-forwarding, 'from="10.0.0.0/8"']
`,
		New: func() infra.Resource { return &Key{} },
	}
}

// ID is the user and the first key.
func (k *Key) ID() string {
	keys, err := parseKeys(k.Key)
	switch {
	case k.Exact || err != nil || len(keys) == 0:
		return k.User
	case keys[0].comment != "":
		return k.User + "/" + keys[0].comment
	}
	return k.User + "/" + keys[0].fingerprint()
}

// Check refuses keys that sshd would not understand.
func (k *Key) Check() error {
	errs := []error{checkName("user", k.User), checkState(k.State)}
	keys, err := parseKeys(k.Key)
	switch {
	case err != nil:
		errs = append(errs, fault.New(fault.Invalid, "key: %w", err))
	case len(keys) == 0 && (!k.Exact || k.State == absent):
		errs = append(errs, fault.New(fault.Invalid, "key: is missing"))
	case k.Exact && k.State == absent:
		errs = append(errs, fault.New(fault.Invalid, "exact: goes with state: present only (present, exact and no key removes all)"))
	}
	for i, o := range k.Options {
		if name, _, _ := strings.Cut(o, "="); strings.ContainsAny(o, "\n\r") || strings.ContainsAny(name, " \t,\"") || name == "" || strings.Count(o, `"`)%2 != 0 {
			errs = append(errs, fault.New(fault.Invalid, "options[%d]: %q is no option of sshd (write one like no-pty or from=\"10.0.0.0/8\")", i, o))
		}
	}
	return errors.Join(errs...)
}

// Gives nothing that others could need.
func (k *Key) Gives() []string { return nil }

// Claims is the user's keys, or some of them.
func (k *Key) Claims() []infra.Claim {
	as := infra.Part
	if k.Exact {
		as = infra.Alone
	}
	return []infra.Claim{{Name: "keys:the keys of user " + k.User, As: as}}
}

// Needs names the user.
func (k *Key) Needs() []string { return []string{"user:" + k.User} }

// Watch names the file, once the user is there.
func (k *Key) Watch() []string {
	paths := []string{"/etc/passwd"}
	var h infra.Host
	if a, ok, err := h.User(k.User); err == nil && ok {
		paths = append(paths, path.Join(a.Home, sshFolder, keysName), path.Join(a.Home, sshFolder))
	}
	return paths
}

// Absent is the key taken away.
func (k *Key) Absent() infra.Resource {
	if k.Exact && k.Key == "" {
		return k // no keys there are, no keys there stay
	}
	return &Key{User: k.User, Key: k.Key, State: absent}
}

// keys lists the keys with their options, each once.
func (k *Key) keys() []sshKey {
	written, _ := parseKeys(k.Key)
	var keys []sshKey
	for _, key := range written {
		options := k.Options
		if key.options != "" {
			options = append([]string{key.options}, options...)
		}
		key.options = strings.Join(options, ",")
		if !slices.ContainsFunc(keys, key.same) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Diff compares the file, its folder, and whom both belong to.
func (k *Key) Diff(_ context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	a, ok, err := h.User(k.User)
	if err != nil {
		return d, err
	}
	var is keyFile
	if ok {
		if is, err = readKeyFile(a); err != nil {
			return d, err
		}
	}
	if !is.there {
		if k.State == present && len(k.keys()) > 0 {
			d.Action = infra.Create
			d.SetContent("key", nil, []byte(k.want("")))
		}
		return d, nil
	}
	if want := k.want(is.text); want != is.text {
		d.SetContent("key", []byte(is.text), []byte(want))
		switch {
		case k.State == absent:
			d.Action = infra.Delete
		case !k.Exact && k.foreign(is.text):
			d.Action = infra.Create
		}
	}
	if k.State == absent {
		return d, nil
	}
	for _, f := range []struct {
		of   string
		is   fs.FileInfo
		want fs.FileMode
	}{{"folder", is.dir, 0o700}, {"file", is.file, 0o600}} {
		if mode := f.is.Mode().Perm(); mode != f.want {
			d.Set(f.of+" mode", fmt.Sprintf("%04o", mode), fmt.Sprintf("%04o", f.want))
		}
		s := f.is.Sys().(*syscall.Stat_t)
		if int(s.Uid) != a.UID || int(s.Gid) != a.GID {
			d.Set(f.of+" owner", h.UserName(int(s.Uid))+":"+h.GroupName(int(s.Gid)), h.UserName(a.UID)+":"+h.GroupName(a.GID))
		}
	}
	return d, nil
}

func (k *Key) want(text string) string { return merge(text, k.keys(), k.State == absent, k.Exact) }

// foreign tells whether none of the keys is in the file.
func (k *Key) foreign(text string) bool {
	return merge(text, k.keys(), true, false) == merge(text, nil, false, false)
}

// largestKeyFile bounds what is read of a file that the user may have written.
const largestKeyFile = 1 << 20

// keyFile is what there is of ~/.ssh/authorized_keys.
type keyFile struct {
	there     bool
	text      string
	dir, file fs.FileInfo
}

const (
	sshFolder = ".ssh"
	keysName  = "authorized_keys"
)

// readKeyFile reads as root what the user may write: it follows no link, and reads
// nothing that has another name elsewhere, which may be a file of somebody else.
func readKeyFile(a infra.Account) (keyFile, error) {
	var k keyFile
	ssh, err := openSSH(a)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return k, err
	}
	defer ssh.Close()
	if k.dir, err = ssh.Stat("."); err != nil {
		return k, err
	}
	is, err := ssh.Lstat(keysName)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err != nil {
		return k, err
	}
	if !is.Mode().IsRegular() || is.Sys().(*syscall.Stat_t).Nlink != 1 {
		return k, planted(a, keysName)
	}
	f, err := ssh.OpenFile(keysName, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return k, fmt.Errorf("read the keys of user %s: %w", a.Name, err)
	}
	defer f.Close()
	if k.file, err = f.Stat(); err != nil {
		return k, err
	}
	if !os.SameFile(is, k.file) { // was replaced by a link in between
		return k, planted(a, keysName)
	}
	b, err := io.ReadAll(io.LimitReader(f, largestKeyFile+1))
	if err != nil || len(b) > largestKeyFile {
		return k, fmt.Errorf("read the keys of user %s: %v, %d bytes or more (make the file smaller)", a.Name, err, len(b))
	}
	k.there, k.text = true, string(b)
	return k, nil
}

// openSSH opens the folder .ssh, which must be one and no link.
func openSSH(a infra.Account) (*os.Root, error) {
	home, err := os.OpenRoot(a.Home)
	if err != nil {
		return nil, err
	}
	defer home.Close()
	is, err := home.Lstat(sshFolder)
	if err != nil {
		return nil, err
	}
	if !is.IsDir() {
		return nil, planted(a, "")
	}
	ssh, err := home.OpenRoot(sshFolder)
	if err != nil {
		return nil, err
	}
	if opened, err := ssh.Stat("."); err != nil || !os.SameFile(is, opened) {
		ssh.Close()
		return nil, planted(a, "")
	}
	return ssh, nil
}

func planted(a infra.Account, name string) error {
	return fault.New(fault.Denied, "%s is a link or no plain file, by which user %s could make root write elsewhere (remove it)", strings.TrimSuffix(a.Home+"/"+sshFolder+"/"+name, "/"), a.Name)
}

// Apply writes the file anew, beside and then in its place.
func (k *Key) Apply(_ context.Context, h *infra.Host, _ infra.Diff) error {
	a, ok, err := h.User(k.User)
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("there is no user %s (declare it: - user: %s)", k.User, k.User)
	case missing(a.Home):
		return fmt.Errorf("the home folder %s of user %s is missing (say create_home: true at the user)", a.Home, a.Name)
	}
	return change(h, func() error { // two keys of one user are in one file
		is, err := readKeyFile(a)
		if err == nil {
			err = k.write(a, is)
		}
		if err != nil {
			return fmt.Errorf("write the keys of user %s: %w", a.Name, err)
		}
		return nil
	})
}

func (k *Key) write(a infra.Account, is keyFile) error {
	ssh, err := openSSH(a)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeSSH(a); err == nil {
			ssh, err = openSSH(a)
		}
	}
	if err != nil {
		return err
	}
	defer ssh.Close()
	self, err := ssh.Open(".")
	if err != nil {
		return err
	}
	defer self.Close()
	if k.State == present {
		if err := errors.Join(self.Chown(a.UID, a.GID), self.Chmod(0o700)); err != nil {
			return err
		}
	}
	beside := ".steer-" + rand.Text()
	f, err := ssh.OpenFile(beside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(k.want(is.text))
	err = errors.Join(err, f.Chmod(0o600), f.Chown(a.UID, a.GID), f.Sync(), f.Close())
	if err == nil {
		err = ssh.Rename(beside, keysName)
	}
	if err != nil {
		return errors.Join(err, ssh.Remove(beside))
	}
	return self.Sync()
}

func makeSSH(a infra.Account) error {
	home, err := os.OpenRoot(a.Home)
	if err != nil {
		return err
	}
	defer home.Close()
	return home.Mkdir(sshFolder, 0o700)
}
