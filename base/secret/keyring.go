// Package secret keeps secrets secret: encrypted with age (age-encryption.org) at
// rest, unprintable in memory, masked in logs. Whoever has the public key, or the
// age command line with it, can add a secret; only the server's key reads it.
package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"steer/base/fault"
)

// Largest is the most bytes that one secret may have.
const Largest = 64 << 10

// Keyring encrypts and decrypts with the keys of one file. It is safe for
// concurrent use.
type Keyring struct {
	identities []age.Identity
	recipient  *age.X25519Recipient
}

// Open reads the age key file, and makes one for the owner alone when there is
// none. Whoever has the file can read every secret; without it none can be read, so
// it belongs into the backup. To change the key, put the new one before the old ones: the first encrypts,
// all decrypt.
func Open(path string) (*Keyring, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("make secret key: %w", err)
		}
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read secret key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read secret key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fault.New(fault.Denied, "read secret key %s: others may read it (mode %04o; do: chmod 600 %s)", path, mode, path)
	}
	k := &Keyring{}
	if k.identities, err = age.ParseIdentities(bytes.NewReader(data)); err != nil {
		return nil, fault.New(fault.Invalid, "read secret key %s: %w", path, reason(err))
	}
	first, ok := k.identities[0].(*age.X25519Identity)
	if !ok {
		return nil, fault.New(fault.Invalid, "read secret key %s: the first key is no X25519 key (AGE-SECRET-KEY-1…, as age-keygen makes them)", path)
	}
	k.recipient = first.Recipient()
	return k, nil
}

// reason keeps the content of a broken key file out of the error.
func reason(err error) error {
	if strings.Contains(err.Error(), "no secret keys found") || strings.Contains(err.Error(), "no identities") {
		return errors.New("there is no key in it (a lost key cannot be replaced: restore the file from a backup, or remove it and encrypt all secrets anew)")
	}
	return errors.New("it holds something that is no age key (each line is AGE-SECRET-KEY-1…, empty, or a comment that starts with #)")
}

// create writes a new key file. Under its name it appears whole or not at all, and
// never replaces another.
func create(path string) error {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintf(f, "# Key of Steer's secrets, made %s. Keep it in the backup and show it to nobody.\n# public key: %s\n%s\n", time.Now().UTC().Format(time.RFC3339), key.Recipient(), key)
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync() // or power loss could take the key but not what it encrypted
}

// Recipient is the public key, "age1…": whoever has it can encrypt for this server.
func (k *Keyring) Recipient() string { return k.recipient.String() }

// Encrypt returns the text form of an age file.
func (k *Keyring) Encrypt(plain []byte) ([]byte, error) { return encrypt(k.recipient, plain) }

// EncryptFor is Encrypt for the holder of another key, whose Recipient is given.
func EncryptFor(recipient string, plain []byte) ([]byte, error) {
	r, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return nil, fault.New(fault.Invalid, "encrypt secret: %q is no public key (age1…): %w", recipient, err)
	}
	return encrypt(r, plain)
}

// IsEncrypted says whether a file looks like an age file, in either of its forms.
// Only who decrypts it knows more.
func IsEncrypted(file []byte) bool {
	text := bytes.TrimSpace(file)
	return bytes.HasPrefix(text, []byte("age-encryption.org/v1\n")) ||
		bytes.HasPrefix(text, []byte(armor.Header)) && bytes.HasSuffix(text, []byte(armor.Footer))
}

func encrypt(recipient age.Recipient, plain []byte) ([]byte, error) {
	if len(plain) > Largest {
		return nil, fault.New(fault.Invalid, "encrypt secret: it has %d bytes, at most %d are allowed", len(plain), Largest)
	}
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, recipient)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = text.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt secret: %w", err)
	}
	return out.Bytes(), nil
}

// Decrypt reads an age file in either of its forms. One newline at the end of the
// secret is dropped, since most ways of writing a file add one.
func (k *Keyring) Decrypt(file []byte) (Value, error) {
	var in io.Reader = bytes.NewReader(file)
	if trimmed := bytes.TrimSpace(file); bytes.HasPrefix(trimmed, []byte(armor.Header)) {
		in = armor.NewReader(bytes.NewReader(trimmed))
	}
	r, err := age.Decrypt(in, k.identities...)
	var other *age.NoIdentityMatchError
	if errors.As(err, &other) {
		return "", fault.New(fault.Denied, "decrypt secret: it was encrypted for another key (encrypt it for %s)", k.Recipient())
	}
	var plain []byte
	if err == nil {
		plain, err = io.ReadAll(io.LimitReader(r, Largest+1))
	}
	if err != nil {
		return "", fault.New(fault.Invalid, "decrypt secret: the file is damaged or no age file: %w", err)
	}
	if len(plain) > Largest {
		return "", fault.New(fault.Invalid, "decrypt secret: it has more than %d bytes", Largest)
	}
	return Value(strings.TrimSuffix(strings.TrimSuffix(string(plain), "\n"), "\r")), nil
}
