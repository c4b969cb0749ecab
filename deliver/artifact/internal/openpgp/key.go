// Package openpgp signs what package managers of hosts check: as much of OpenPGP
// (RFC 9580, version 4 of keys and signatures) as apt, dnf and rpm of the last ten
// years need, with RSA and SHA-256, which all of them know.
package openpgp

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"steer/base/fault"
)

// Key signs. It is safe for concurrent use.
type Key struct {
	private *rsa.PrivateKey
	public  []byte // body of the packet
}

// Born is the time that every key says it was made. It is long ago, since a
// signature must not be older than its key, and packages bear the time of their
// commit.
func Born() time.Time { return time.Unix(1577836800, 0).UTC() } // 2020-01-01

// name is the user id of every key.
const name = "Steer package repository"

const bits = 3072 // good beyond 2030, says NIST SP 800-57

// Open reads the key file (PKCS #8 as PEM), and makes one for the owner alone when
// there is none.
func Open(path string) (*Key, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("make package key: %w", err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read package key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read package key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fault.New(fault.Denied, "read package key %s: others may read it (mode %04o; do: chmod 600 %s)", path, mode, path)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fault.New(fault.Invalid, "read package key %s: it is no PEM file (restore it from a backup, or remove it: Steer makes another, which hosts must then be told)", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, fault.New(fault.Invalid, "read package key %s: it holds no RSA key in PKCS #8", path)
	}
	return newKey(private), nil
}

func newKey(private *rsa.PrivateKey) *Key {
	b := binary.BigEndian.AppendUint32([]byte{4}, uint32(Born().Unix()))
	b = number(append(b, rsaAlgorithm), private.N)
	return &Key{private, number(b, big.NewInt(int64(private.E)))}
}

// create writes a new key file, which appears whole or not at all, and never
// replaces another.
func create(path string) error {
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".package-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if err := pem.Encode(tmp, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Public is the key for those who check, as ASCII armour.
func (k *Key) Public() []byte {
	user := binary.BigEndian.AppendUint32([]byte{0xb4}, uint32(len(name)))
	certified := bytes.Join([][]byte{k.hashed(), user, []byte(name)}, nil)
	b := packet(nil, tagPublicKey, k.public)
	b = packet(b, tagUserID, []byte(name))
	// Key flags: certifies and signs.
	b = append(b, k.signature(typeCertification, certified, Born(), []byte{2, 27, 0x03})...)
	return armour("PUBLIC KEY BLOCK", b)
}

// hashed is the key as fingerprints and certifications take it in.
func (k *Key) hashed() []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x99}, uint16(len(k.public)))
	return append(b, k.public...)
}

// Fingerprint names the key.
func (k *Key) Fingerprint() []byte {
	sum := sha1.Sum(k.hashed())
	return sum[:]
}

func (k *Key) sign(digest []byte) ([]byte, error) {
	return rsa.SignPKCS1v15(nil, k.private, crypto.SHA256, digest)
}

// signature makes a packet. The same input gives the same bytes.
func (k *Key) signature(kind byte, data []byte, when time.Time, more ...[]byte) []byte {
	if when.Before(Born()) {
		when = Born()
	}
	fingerprint := k.Fingerprint()
	sub := binary.BigEndian.AppendUint32([]byte{5, 2}, uint32(when.Unix()))
	sub = append(append(sub, 22, 33, 4), fingerprint...)
	for _, m := range more {
		sub = append(sub, m...)
	}
	body := binary.BigEndian.AppendUint16([]byte{4, kind, rsaAlgorithm, sha256Algorithm}, uint16(len(sub)))
	body = append(body, sub...)
	end := binary.BigEndian.AppendUint32([]byte{4, 0xff}, uint32(len(body)))
	h := sha256.New()
	h.Write(data)
	h.Write(body)
	h.Write(end)
	digest := h.Sum(nil)
	raw, err := k.sign(digest)
	if err != nil {
		panic("BUG: sign with RSA: " + err.Error()) // the key is long enough, and nothing else can fail
	}
	body = append(append(body, 0, 10, 9, 16), fingerprint[12:]...) // issuer, not hashed
	body = append(body, digest[0], digest[1])
	return packet(nil, tagSignature, number(body, new(big.Int).SetBytes(raw)))
}
