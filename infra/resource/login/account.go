package login

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// noticeFile keeps everybody but root out, by pam_nologin(8), login(1) and sshd(8), and
// is shown to who tries.
const noticeFile = "/etc/nologin"

const noticeText = `Logging in is switched off on this host.
Nothing on it is changed by hand: change its roles and have a new image baked, and
the host is replaced. In an emergency: steer fleet enter HOST --reason WHY -- COMMAND
`

func (o *house) notice() error {
	b, err := o.read(noticeFile)
	if err == nil && string(b) == noticeText {
		return nil
	}
	is := "says something else"
	if !o.exists(noticeFile) {
		is = "missing"
	}
	o.found(noticeFile, is, "says that nobody logs in", func() error { return o.write(noticeFile, []byte(noticeText)) })
	return nil
}

// locked tells of the password field of shadow(5) that no password fits it.
func locked(field string) bool { return strings.HasPrefix(field, "!") || strings.HasPrefix(field, "*") }

// passwords are those of accounts that some password opens, or none is asked of.
func (o *house) passwords() error {
	for _, file := range []string{"/etc/shadow", "/etc/passwd"} {
		b, err := o.read(file)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Split(line, ":")
			if len(f) < 2 || f[0] == "" || strings.HasPrefix(line, "#") || strings.ContainsAny(f[0][:1], "+-") {
				continue
			}
			if locked(f[1]) || file == "/etc/passwd" && f[1] == "x" { // it is in shadow
				continue
			}
			is := "set"
			if f[1] == "" {
				is = "empty"
			}
			name := f[0]
			o.found("password of "+name, is, "locked", func() error { return o.lock(file, name) })
		}
	}
	return nil
}

// lock forgets the password of an account.
func (o *house) lock(file, name string) error {
	b, err := o.read(file)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for line := range strings.Lines(string(b)) {
		if f := strings.SplitN(line, ":", 3); len(f) == 3 && f[0] == name {
			line = f[0] + ":!:" + f[2]
		}
		out.WriteString(line)
	}
	return o.write(file, out.Bytes())
}

// keyFiles are where servers of SSH look for keys, in homes and elsewhere.
func (o *house) keyFiles() ([]string, error) {
	b, err := o.read("/etc/passwd")
	if err != nil {
		return nil, err
	}
	var all []string
	add := func(name string) {
		if !slices.Contains(all, name) && o.exists(name) {
			all = append(all, name)
		}
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(line, ":"); len(f) >= 7 && path.IsAbs(f[5]) {
			add(path.Join(f[5], ".ssh/authorized_keys"))
			add(path.Join(f[5], ".ssh/authorized_keys2"))
		}
	}
	for _, pattern := range []string{"etc/ssh/authorized_keys", "etc/ssh/authorized_keys/*", "etc/ssh/authorized_keys.d/*", "etc/dropbear/authorized_keys"} {
		found, err := filepath.Glob(o.path(pattern))
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			if is, err := os.Stat(name); err == nil && !is.IsDir() {
				add("/" + strings.TrimPrefix(strings.TrimPrefix(name, o.root), "/"))
			}
		}
	}
	return all, nil
}

// mostKeys bounds the keys of a file that are named.
const mostKeys = 5

// keys are files with keys that somebody could log in with.
func (o *house) keys() error {
	files, err := o.keyFiles()
	if err != nil {
		return err
	}
	for _, name := range files {
		is := ""
		at, err := os.Lstat(o.path(name))
		switch {
		case err != nil:
			return err
		case !at.Mode().IsRegular():
			is = "there, as a " + kindOf(at.Mode())
		default:
			b, err := o.read(name)
			if is = named(b); err != nil {
				is = "there, and too large"
			}
		}
		if is != "" {
			o.found(name, is, "no keys", func() error { return os.Remove(o.path(name)) })
		}
	}
	return nil
}

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "link"
	case m.IsDir():
		return "folder"
	}
	return "special file"
}

// named lists the keys of a file with what they are called, empty for none.
func named(b []byte) string {
	var all []string
	n := 0
	for line := range bytes.Lines(b) {
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		n++
		if key, comment, _, _, err := ssh.ParseAuthorizedKey(line); err == nil && len(all) < mostKeys {
			comment = strings.ToValidUTF8(comment[:min(len(comment), 100)], "?")
			all = append(all, strings.TrimSpace(ssh.FingerprintSHA256(key)+" "+comment))
		}
	}
	if more := n - len(all); more > 0 {
		all = append(all, fmt.Sprintf("%d more lines", more))
	}
	return strings.Join(all, ", ")
}
