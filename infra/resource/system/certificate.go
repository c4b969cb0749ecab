package system

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
)

// Certificate is a certificate for TLS with its key.
type Certificate struct {
	Path        string           `yaml:"path,omitempty" doc:"File of the certificate, and of those that vouch for it."`
	KeyPath     string           `yaml:"key_path,omitempty" doc:"File of the private key."`
	Content     string           `yaml:"content,omitempty" doc:"Certificate in PEM, and those that vouch for it after it."`
	Key         string           `yaml:"key,omitempty" doc:"Private key in PEM, from a secret. No diff shows it."`
	SelfSigned  bool             `yaml:"self_signed,omitempty" doc:"Instead of content and key: make both on the host. Nobody vouches for it."`
	CommonName  string           `yaml:"common_name,omitempty" doc:"With self_signed: the name; else the first of names."`
	Names       []string         `yaml:"names,omitempty" doc:"With self_signed: host names and addresses that it is for."`
	Days        int              `yaml:"days,omitempty" doc:"With self_signed: how long it is good for." default:"365"`
	RenewBefore *config.Duration `yaml:"renew_before,omitempty" doc:"From how long before its end it is no longer as declared: one that is self-signed is made anew (30d unless said), of a given one it is an error until the role has a newer one (off unless said)."`
	Owner       string           `yaml:"owner,omitempty" doc:"Owner of both files." default:"root"`
	Group       string           `yaml:"group,omitempty" doc:"Group of both files." default:"root"`
	Mode        string           `yaml:"mode,omitempty" doc:"Mode of the key's file; that of the certificate is 0644." default:"0600"`
	State       string           `yaml:"state,omitempty" doc:"present or absent." default:"present"`
}

func certificateKind() infra.Kind {
	return infra.Kind{
		Name: "certificate", Key: "path", Class: class,
		Doc: "A certificate for TLS and its private key: given by the role, or made on the host. Have it notify the service that uses it.",
		Example: `certificate: /etc/ssl/web.pem
key_path: /etc/ssl/private/web.key
self_signed: true
names: [web1.example.com, 10.0.0.5]
`,
		New: func() infra.Resource { return &Certificate{} },
	}
}

// ID is the path of the certificate.
func (c *Certificate) ID() string { return c.Path }

// Check refuses what does not fit together.
func (c *Certificate) Check() error {
	errs := []error{checkState(c.State, present, absent)}
	wrong := func(format string, args ...any) { errs = append(errs, fault.New(fault.Invalid, format, args...)) }
	for _, f := range [][2]string{{"path", c.Path}, {"key_path", c.KeyPath}} {
		if !path.IsAbs(f[1]) || path.Clean(f[1]) != f[1] {
			wrong("%s: %q is no absolute path (write one, like /etc/ssl/private/web.key)", f[0], f[1])
		}
	}
	if c.Path == c.KeyPath {
		wrong("key_path: certificate and key cannot be the same file")
	}
	if mode, err := strconv.ParseUint(c.Mode, 8, 9); c.State == present && (err != nil || mode&0o007 != 0) {
		wrong("mode: %q is no mode of a key, which others must not read (write one like 0600 or 0640)", c.Mode)
	}
	switch given := c.Content != "" || c.Key != ""; {
	case c.State == absent:
	case given == c.SelfSigned:
		wrong("content: say either content and key, or self_signed: true")
	case given:
		if _, err := tls.X509KeyPair([]byte(c.Content), []byte(c.Key)); err != nil {
			wrong("content: certificate and key do not fit: %s", strings.TrimPrefix(err.Error(), "tls: "))
		}
		if c.CommonName != "" || len(c.Names) > 0 {
			wrong("names: go with self_signed: true only")
		}
	case c.CommonName == "" && len(c.Names) == 0:
		wrong("names: are missing")
	case c.Days < 1 || c.Days > 36500:
		wrong("days: %d is not from 1 to 36500", c.Days)
	case c.renewBefore() >= time.Duration(c.Days)*24*time.Hour:
		wrong("renew_before: %s is not shorter than %d days", config.Duration(c.renewBefore()), c.Days)
	}
	for i, n := range c.Names {
		if n == "" || strings.ContainsAny(n, " \t\n/:,") && net.ParseIP(n) == nil {
			wrong("names[%d]: %q is no host name or address", i, n)
		}
	}
	return errors.Join(errs...)
}

func (c *Certificate) renewBefore() time.Duration {
	switch {
	case c.RenewBefore != nil:
		return c.RenewBefore.Std()
	case c.SelfSigned:
		return min(30*24*time.Hour, time.Duration(c.Days)*8*time.Hour) // a third of a short life
	}
	return -1
}

// Claims is both files.
func (c *Certificate) Claims() []infra.Claim {
	return []infra.Claim{{Name: "path:" + c.Path}, {Name: "path:" + c.KeyPath}}
}

// Gives names both files.
func (c *Certificate) Gives() []string {
	if c.State == absent {
		return nil
	}
	return []string{"path:" + c.Path, "path:" + c.KeyPath}
}

// Needs names the folders and whom the key belongs to.
func (c *Certificate) Needs() []string {
	return []string{"path:" + path.Dir(c.Path), "path:" + path.Dir(c.KeyPath), "user:" + c.Owner, "group:" + c.Group}
}

// Absent is neither file.
func (c *Certificate) Absent() infra.Resource {
	return &Certificate{Path: c.Path, KeyPath: c.KeyPath, State: absent}
}

// Watch names both files.
func (c *Certificate) Watch() []string { return []string{c.Path, c.KeyPath} }

// Diff compares both files.
func (c *Certificate) Diff(_ context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	cert, err1 := readText(c.Path)
	key, err2 := readText(c.KeyPath)
	if err := errors.Join(err1, err2); err != nil {
		return d, err
	}
	if c.State == absent {
		if cert != "" || key != "" {
			d.Action = infra.Delete
		}
		return d, nil
	}
	if cert == "" {
		d.Action = infra.Create
	}
	if c.SelfSigned {
		c.diffMade(cert, key, &d)
	} else {
		if cert != c.Content {
			d.SetContent("content", []byte(cert), []byte(c.Content))
		}
		if key != c.Key {
			d.Set("key", mask(key), infra.Sensitive)
		}
		c.diffEnd(parse(c.Content), &d)
	}
	for _, f := range []struct {
		prefix, path, mode string
	}{{"", c.Path, "0644"}, {"key ", c.KeyPath, c.Mode}} {
		if err := c.diffFile(h, f.prefix, f.path, f.mode, &d); err != nil {
			return d, err
		}
	}
	return d, nil
}

func (c *Certificate) diffFile(h *infra.Host, prefix, name, mode string, d *infra.Diff) error {
	is, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !is.Mode().IsRegular() {
		d.Set(prefix+"file", is.Mode().Type().String(), "regular file")
		return nil
	}
	want, _ := strconv.ParseUint(mode, 8, 9)
	if perm := is.Mode().Perm(); perm != fs.FileMode(want) {
		d.Set(prefix+"mode", fmt.Sprintf("%04o", perm), fmt.Sprintf("%04o", want))
	}
	s := is.Sys().(*syscall.Stat_t)
	if u, ok, _ := h.User(c.Owner); !ok || int(s.Uid) != u.UID {
		d.Set(prefix+"owner", h.UserName(int(s.Uid)), c.Owner)
	}
	if g, ok, _ := h.Group(c.Group); !ok || int(s.Gid) != g.GID {
		d.Set(prefix+"group", h.GroupName(int(s.Gid)), c.Group)
	}
	return nil
}

// diffMade compares a certificate that was made here.
func (c *Certificate) diffMade(cert, key string, d *infra.Diff) {
	is := parse(cert)
	if is == nil {
		d.Set("certificate", shown(cert), "self-signed, for "+strings.Join(c.names(), ", "))
		return
	}
	if _, err := tls.X509KeyPair([]byte(cert), []byte(key)); err != nil {
		d.Set("key", mask(key), infra.Sensitive)
	}
	if is.Subject.CommonName != c.commonName() {
		d.Set("common_name", is.Subject.CommonName, c.commonName())
	}
	var names []string
	for _, n := range is.DNSNames {
		names = append(names, strings.ToLower(n))
	}
	for _, ip := range is.IPAddresses {
		names = append(names, ip.String())
	}
	slices.Sort(names)
	if want := c.names(); !slices.Equal(names, want) {
		d.Set("names", strings.Join(names, ", "), strings.Join(want, ", "))
	}
	if days := int(is.NotAfter.Sub(is.NotBefore).Round(24*time.Hour) / (24 * time.Hour)); days != c.Days {
		d.Set("days", strconv.Itoa(days), strconv.Itoa(c.Days))
	}
	c.diffEnd(is, d)
}

func (c *Certificate) diffEnd(is *x509.Certificate, d *infra.Diff) {
	if before := c.renewBefore(); is != nil && before >= 0 && time.Until(is.NotAfter) < before {
		d.Set("expires", is.NotAfter.UTC().Format(time.DateOnly), "later than "+time.Now().Add(before).UTC().Format(time.DateOnly))
	}
}

// names lists the names as they are compared: addresses in their shortest form, host
// names without capitals.
func (c *Certificate) names() []string {
	var all []string
	for _, n := range c.Names {
		if ip := net.ParseIP(n); ip != nil {
			n = ip.String()
		}
		all = append(all, strings.ToLower(n))
	}
	if len(all) == 0 {
		all = append(all, strings.ToLower(c.CommonName))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (c *Certificate) commonName() string {
	if c.CommonName != "" {
		return c.CommonName
	}
	return c.Names[0]
}

func mask(secret string) string {
	if secret == "" {
		return ""
	}
	return infra.Sensitive
}

func shown(text string) string {
	if text == "" {
		return ""
	}
	return "no certificate"
}

// parse reads the first certificate of a text, nil if there is none.
func parse(text string) *x509.Certificate {
	for rest := []byte(text); ; {
		block, more := pem.Decode(rest)
		if block == nil {
			return nil
		}
		if block.Type == "CERTIFICATE" {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil
			}
			return cert
		}
		rest = more
	}
}

// Apply writes the key first: until the certificate follows, programs that start in
// between see two files that do not fit, and the next run puts that right.
func (c *Certificate) Apply(_ context.Context, h *infra.Host, d infra.Diff) error {
	if c.State == absent {
		return errors.Join(remove(c.Path), remove(c.KeyPath))
	}
	owner, ok1, err1 := h.User(c.Owner)
	group, ok2, err2 := h.Group(c.Group)
	switch {
	case err1 != nil || err2 != nil:
		return errors.Join(err1, err2)
	case !ok1:
		return fmt.Errorf("there is no user %s (declare it: - user: %s)", c.Owner, c.Owner)
	case !ok2:
		return fmt.Errorf("there is no group %s (declare it: - group: %s)", c.Group, c.Group)
	}
	cert, key := []byte(c.Content), []byte(c.Key)
	if c.SelfSigned {
		var err error
		if cert, key, err = c.make(d); err != nil {
			return fmt.Errorf("make the certificate %s: %w", c.Path, err)
		}
	}
	mode, _ := strconv.ParseUint(c.Mode, 8, 9)
	for _, f := range []struct {
		path     string
		contents []byte
		mode     fs.FileMode
	}{{c.KeyPath, key, fs.FileMode(mode)}, {c.Path, cert, 0o644}} {
		err := place(f.path, f.contents, f.mode, owner.UID, group.GID)
		if dir := filepath.Dir(f.path); errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("there is no folder %s (declare it: - directory: %s)", dir, dir)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
	}
	if !c.SelfSigned && d.Has("expires") {
		return fault.New(fault.Conflict, "the certificate %s ends on %s (put a newer one into the role)", c.Path, parse(c.Content).NotAfter.UTC().Format(time.DateOnly))
	}
	return nil
}
