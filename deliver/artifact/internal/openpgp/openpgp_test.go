package openpgp

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/base/fault"
)

// GnuPG's verifier, which apt asks, believes what the key signed, and nothing else.
func TestGPGBelieves(t *testing.T) {
	gpgv, err := exec.LookPath("gpgv")
	if err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") == "1" {
			t.Fatal(err)
		}
		t.Skip("needs gpgv (Debian package gpgv)")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "package.key")
	k, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if i, err := os.Stat(path); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v %v", i.Mode(), err)
	}
	again, err := Open(path)
	if err != nil || !bytes.Equal(again.Public(), k.Public()) {
		t.Errorf("the key is another when read again: %v", err)
	}
	put := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	ring := put("ring.gpg", unarmoured(t, k.Public()))
	believes := func(files ...string) error {
		out, err := exec.Command(gpgv, append([]string{"--keyring", ring}, files...)...).CombinedOutput()
		if err == nil && !strings.Contains(string(out), name) {
			t.Errorf("gpgv says %s", out)
		}
		return err
	}
	when := time.Unix(1_700_000_000, 0)
	text := []byte("Suite: all\n- dash\n-----dashes\ntrailing  \t\n\nDate: x\n")
	data := put("data", text)
	for name, err := range map[string]error{
		"detached":           believes(put("data.gpg", k.Detached(text, when)), data),
		"armoured":           believes(put("data.asc", k.Armoured(text, when)), data),
		"inline":             believes(put("inline", k.Inline(text, when))),
		"older than the key": believes(put("old.asc", k.Armoured(text, time.Unix(1, 0))), data),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if believes(put("data.asc", k.Armoured(text, when)), put("other", append(text, 'x'))) == nil {
		t.Error("another text is believed")
	}
	if believes(put("inline", bytes.Replace(k.Inline(text, when), []byte("Suite: all"), []byte("Suite: any"), 1))) == nil {
		t.Error("a changed text is believed")
	}
	if !bytes.Equal(k.Inline(text, when), again.Inline(text, when)) {
		t.Error("the same text has two signatures")
	}
}

// unarmoured is what gpgv reads; apt does the same before it asks gpgv.
func unarmoured(t *testing.T, text []byte) []byte {
	t.Helper()
	_, body, _ := strings.Cut(string(text), "\n\n")
	body, _, _ = strings.Cut(body, "\n=")
	b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	if err := os.WriteFile(path, []byte("nonsense"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); fault.Of(err) != fault.Denied {
		t.Errorf("readable for all: %v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); fault.Of(err) != fault.Invalid || strings.Contains(err.Error(), "nonsense") {
		t.Errorf("nonsense: %v", err)
	}
}
