package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"steer/base/fault"
)

func TestRoundTripOverReopening(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret.key")
	k, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	box, err := k.Encrypt([]byte("hunter2"))
	if err != nil || bytes.Contains(box, []byte("hunter2")) {
		t.Fatal(err)
	}
	again, err := Open(file)
	if err != nil || again.Recipient() != k.Recipient() {
		t.Fatal(err)
	}
	v, err := again.Decrypt(append([]byte("\n"), box...))
	if err != nil || v.Reveal() != "hunter2" {
		t.Fatalf("%q %v", v.Reveal(), err)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	k, _ := Open(filepath.Join(dir, "a"))
	other, _ := Open(filepath.Join(dir, "b"))
	box, _ := other.Encrypt([]byte("x"))
	if _, err := k.Decrypt(box); fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), k.Recipient()) {
		t.Errorf("another's secret: %v", err)
	}
	if _, err := k.Decrypt([]byte("nonsense")); fault.Of(err) != fault.Invalid {
		t.Errorf("nonsense: %v", err)
	}
	if _, err := k.Encrypt(make([]byte, Largest+1)); fault.Of(err) != fault.Invalid {
		t.Errorf("too large: %v", err)
	}
	open := filepath.Join(dir, "open")
	b, _ := os.ReadFile(filepath.Join(dir, "a"))
	os.WriteFile(open, b, 0o644)
	if _, err := Open(open); fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("key that others may read: %v", err)
	}
	empty := filepath.Join(dir, "empty")
	os.WriteFile(empty, nil, 0o600)
	if _, err := Open(empty); err == nil {
		t.Error("an empty key file is taken")
	}
}

func TestValueShowsNothing(t *testing.T) {
	v := Value("hunter2")
	j, _ := json.Marshal(map[string]any{"v": v, "p": &v})
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
	for _, s := range []string{fmt.Sprint(v), fmt.Sprintf("%q %v %+v %#v %s %x %d", v, v, v, v, v, v, v), string(j), log.String(), fmt.Sprint(struct{ V Value }{v})} {
		if strings.Contains(s, "hunter") || strings.Contains(s, fmt.Sprintf("%x", "hunter2")) || !strings.Contains(s, hidden) {
			t.Errorf("shown: %s", s)
		}
	}
}

func TestMaskHidesSecretsHoweverTheyAreCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(rapid.StringMatching(`[abc]{4,6}`), 1, 3).Draw(t, "secrets")
		text := rapid.StringMatching(`[abcx \n]{0,60}`).Draw(t, "text")
		for _, s := range secrets {
			text += s + rapid.StringMatching(`[abcx ]{0,5}`).Draw(t, "more")
		}
		var out bytes.Buffer
		w := Mask(secrets)(&out)
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			if _, err := io.WriteString(w, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		w.(io.Closer).Close()
		shown := strings.ReplaceAll(out.String(), hidden, "|")
		for _, s := range secrets {
			if strings.Contains(shown, s) {
				t.Fatalf("%q shows %q", out.String(), s)
			}
		}
	})
}

func TestMaskLeavesOtherTextAlone(t *testing.T) {
	var out bytes.Buffer
	w := Mask([]string{"hunter2", "abc"})(&out)
	io.WriteString(w, "abc hunter hun")
	io.WriteString(w, "ter2! hunt")
	w.(io.Closer).Close()
	if out.String() != "abc hunter (sensitive)! hunt" {
		t.Fatal(out.String())
	}
}
