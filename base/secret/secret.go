// Package secret encrypts what must not be read in the definitions repository,
// with age (https://age-encryption.org/v1), and keeps plain secrets out of logs.
package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"steer/base/fault"
)

// Largest is the most bytes that one secret may have.
const Largest = 64 << 10

// Keyring encrypts and decrypts with the server's key.
type Keyring struct {
	identity *age.X25519Identity
}

// Open reads the key in file, and makes it (readable by its owner only) where
// there is none. Whoever has the file can read every secret; without it none
// can be read, so it belongs into the backup.
func Open(file string) (*Keyring, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return create(file)
	}
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Denied, "read key %s: others may read it (mode %04o; do: chmod 600 %s)", file, info.Mode().Perm(), file)
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "AGE-SECRET-KEY-1") {
			identity, err := age.ParseX25519Identity(line)
			if err != nil {
				return nil, fault.New(fault.Invalid, "read key %s: it is damaged (restore it from the backup)", file)
			}
			return &Keyring{identity}, nil
		}
	}
	return nil, fault.New(fault.Invalid, "read key %s: it holds no age key", file)
}

func create(file string) (*Keyring, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	text := "# Key of Steer's secrets. Keep it in the backup and show it to nobody.\n# public key: " + identity.Recipient().String() + "\n" + identity.String() + "\n"
	// Written aside first: half a key after a crash would lock every secret in.
	aside, err := os.CreateTemp(filepath.Dir(file), ".key-")
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	defer os.Remove(aside.Name())
	_, err = aside.WriteString(text)
	if err = errors.Join(err, aside.Sync(), aside.Close()); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	if err := os.Link(aside.Name(), file); err != nil { // unlike rename, never replaces a key
		return nil, fmt.Errorf("make key: %w", err)
	}
	return &Keyring{identity}, nil
}

// Recipient is the public key: whoever has it can encrypt for this server, also
// with the age program.
func (k *Keyring) Recipient() string { return k.identity.Recipient().String() }

// Encrypt returns plain as ASCII armor.
func (k *Keyring) Encrypt(plain []byte) ([]byte, error) {
	if len(plain) > Largest {
		return nil, fault.New(fault.Invalid, "encrypt secret: it has %d bytes, at most %d are allowed", len(plain), Largest)
	}
	var b bytes.Buffer
	a := armor.NewWriter(&b)
	w, err := age.Encrypt(a, k.identity.Recipient())
	if err != nil {
		return nil, fmt.Errorf("encrypt secret: %w", err)
	}
	_, err = w.Write(plain)
	if err = errors.Join(err, w.Close(), a.Close()); err != nil {
		return nil, fmt.Errorf("encrypt secret: %w", err)
	}
	return b.Bytes(), nil
}

// Decrypt reads what Encrypt or the age program made for Recipient, armored or
// not.
func (k *Keyring) Decrypt(data []byte) (Value, error) {
	var in io.Reader = bytes.NewReader(data)
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte(armor.Header)) {
		in = armor.NewReader(bytes.NewReader(bytes.TrimSpace(data)))
	}
	r, err := age.Decrypt(in, k.identity)
	if err != nil {
		var other *age.NoIdentityMatchError
		if errors.As(err, &other) {
			return "", fault.New(fault.Denied, "decrypt secret: it was encrypted for another key (encrypt it for %s)", k.Recipient())
		}
		return "", fault.New(fault.Invalid, "decrypt secret: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, Largest+1))
	if err != nil {
		return "", fault.New(fault.Invalid, "decrypt secret: %w", err)
	}
	if len(plain) > Largest {
		return "", fault.New(fault.Invalid, "decrypt secret: it has more than %d bytes", Largest)
	}
	return Value(plain), nil
}

// Value is a plain secret. Printing it in any way shows "(sensitive)"; Reveal
// returns it.
type Value string

const hidden = "(sensitive)"

// Reveal returns the secret itself.
func (v Value) Reveal() string { return string(v) }

// String hides the secret.
func (Value) String() string { return hidden }

// GoString hides the secret.
func (Value) GoString() string { return hidden }

// Format hides the secret under every verb.
func (Value) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// MarshalText hides the secret in JSON and YAML.
func (Value) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the secret in logs.
func (Value) LogValue() slog.Value { return slog.StringValue(hidden) }
