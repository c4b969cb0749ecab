package packages

import (
	"encoding/base64"
	"strings"
	"testing"
)

// TestArmoured: the binary form of a key becomes the text that GnuPG makes of it.
func TestArmoured(t *testing.T) {
	for _, name := range []string{"good.asc", "other.asc"} {
		text := fixture(t, name)
		_, body, _ := strings.Cut(text, "\n\n")
		body, _, _ = strings.Cut(body, "\n=")
		key, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		r := repository(t, "{name: a, url: 'copy:/x', suite: ./, key_file: k.gpg}")
		if err := r.Source(func(string) ([]byte, error) { return key, nil }, nil); err != nil || r.Key != text {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, r.Key, text)
		}
		if got := armoured([]byte(text)); got != text {
			t.Errorf("text became %s", got)
		}
	}
	r := repository(t, "{name: a, url: 'copy:/x', suite: ./, key_file: k.gpg}")
	if err := r.Source(func(string) ([]byte, error) { return []byte("\x99short"), nil }, nil); err == nil || !strings.Contains(err.Error(), "key_file: k.gpg: this is no public key as text") {
		t.Error(err)
	}
}
