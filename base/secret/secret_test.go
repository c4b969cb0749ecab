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
	"sync"
	"testing"

	"filippo.io/age"
	"pgregory.net/rapid"

	"steer/base/config"
	"steer/base/fault"
)

func TestValueDoesNotPrint(t *testing.T) {
	const text = "hunter2"
	type holder struct {
		Password Value
		List     []Value
		Map      map[string]Value
		Pointer  *Value
		Any      any
	}
	v := Value(text)
	h := holder{v, []Value{v}, map[string]Value{"v": v}, &v, v}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		fmt.Fprintf(&out, verb+"\n", v, v)
		fmt.Fprintf(&out, verb+"\n", h, h)
		fmt.Fprintf(&out, verb+"\n", fmt.Errorf("with %w and %v", os.ErrExist, v), v)
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("x", "a", v, "b", h, slog.Group("g", "c", &v))
	}
	if err := json.NewEncoder(&out).Encode(h); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); strings.Contains(s, text) || strings.Contains(s, fmt.Sprintf("%x", text)) || strings.Contains(s, fmt.Sprintf("%X", text)) || strings.Count(s, hidden) < 20 {
		t.Error(s)
	}
	if _, err := v.Value(); err == nil || v.Reveal() != text {
		t.Error("the database takes it")
	}
}

func TestValueInConfiguration(t *testing.T) {
	type mail struct {
		Password Value `yaml:"password"`
		Port     int   `yaml:"port"`
	}
	var m mail
	if err := config.Load(&m, config.Sources{Env: []string{"STEER_PASSWORD=hunter2"}}); err != nil || m.Password.Reveal() != "hunter2" {
		t.Error(m, err)
	}
	if text := string(config.Default(mail{})); !strings.Contains(text, `password: ""`) {
		t.Error(text)
	}
	if err := config.Load(&m, config.Sources{Set: []string{"pasword=hunter2"}}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func TestEncryptAndDecrypt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "secret.key")
	k, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 || !strings.HasPrefix(k.Recipient(), "age1") {
		t.Error(info.Mode(), k.Recipient())
	}
	again, err := Open(path)
	if err != nil || again.Recipient() != k.Recipient() {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Error(entries)
	}
	for plain, want := range map[Value]Value{"hunter2": "hunter2", "": "", "two\nlines": "two\nlines", "ends\n": "ends", "ends\r\n": "ends", "\x00\xff": "\x00\xff"} {
		file, err := k.Encrypt([]byte(plain))
		if err != nil || !bytes.HasPrefix(file, []byte("-----BEGIN AGE ENCRYPTED FILE-----\n")) || bytes.Contains(file, []byte("hunter2")) {
			t.Fatalf("%s, %v", file, err)
		}
		if got, err := again.Decrypt(append([]byte("\n"), file...)); err != nil || got != want {
			t.Errorf("%q: %q, %v", plain.Reveal(), got.Reveal(), err)
		}
	}
}

func TestDecryptTakesTheBinaryFormOfTheAgeCommand(t *testing.T) {
	k, err := Open(filepath.Join(t.TempDir(), "k"))
	if err != nil {
		t.Fatal(err)
	}
	to, err := age.ParseX25519Recipient(k.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w, _ := age.Encrypt(&file, to)
	io.WriteString(w, "hunter2\n")
	w.Close()
	if got, err := k.Decrypt(file.Bytes()); err != nil || got != "hunter2" {
		t.Error(got.Reveal(), err)
	}
}

func TestKeysCanBeReplaced(t *testing.T) {
	dir := t.TempDir()
	old, _ := Open(filepath.Join(dir, "old"))
	file, _ := old.Encrypt([]byte("hunter2"))
	fresh, _ := Open(filepath.Join(dir, "new"))
	_, err := fresh.Decrypt(file)
	if fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "another key (encrypt it for "+fresh.Recipient()) {
		t.Error(err)
	}
	a, _ := os.ReadFile(filepath.Join(dir, "new"))
	b, _ := os.ReadFile(filepath.Join(dir, "old"))
	os.WriteFile(filepath.Join(dir, "both"), append(a, b...), 0o600)
	both, err := Open(filepath.Join(dir, "both"))
	if err != nil || both.Recipient() != fresh.Recipient() {
		t.Fatal(err)
	}
	if got, err := both.Decrypt(file); err != nil || got != "hunter2" {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	good, _ := Open(filepath.Join(dir, "good"))
	key, _ := os.ReadFile(filepath.Join(dir, "good"))
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		kind fault.Kind
		want string
	}{
		"open to all": {string(key), 0o644, fault.Denied, "chmod 600"},
		"to a group":  {string(key), 0o640, fault.Denied, "chmod 600"},
		"empty":       {"", 0o600, fault.Invalid, "there is no key in it"},
		"garbage":     {"AGE-SECRET-KEY-1TOPSECRET\n", 0o600, fault.Invalid, "something that is no age key"},
	} {
		path := filepath.Join(dir, name)
		os.WriteFile(path, []byte(c.text), c.mode)
		os.Chmod(path, c.mode)
		if _, err := Open(path); fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "TOPSECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, file := range []string{"", "x", "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----", "age-encryption.org/v1\n"} {
		if _, err := good.Decrypt([]byte(file)); fault.Of(err) != fault.Invalid {
			t.Errorf("%q: %v", file, err)
		}
	}
	if _, err := good.Encrypt(make([]byte, Largest+1)); fault.Of(err) != fault.Invalid {
		t.Error(err)
	}
}

func TestOpenAtOnceMakesOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	var wg sync.WaitGroup
	var keys [8]string
	for i := range keys {
		wg.Go(func() {
			if k, err := Open(path); err != nil {
				t.Error(err)
			} else {
				keys[i] = k.Recipient()
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k != keys[0] {
			t.Fatal(keys)
		}
	}
}

func masked(secrets []string, writes ...string) string {
	var out bytes.Buffer
	w := Mask(secrets)(&out)
	for _, p := range writes {
		if n, err := io.WriteString(w, p); n != len(p) || err != nil {
			return fmt.Sprint(n, err)
		}
	}
	w.(io.Closer).Close()
	return out.String()
}

func TestMask(t *testing.T) {
	for _, c := range []struct {
		secrets []string
		writes  []string
		want    string
	}{
		{[]string{"hunter2"}, []string{"password=hunter2\n"}, "password=(sensitive)\n"},
		{[]string{"hunter2"}, []string{"password=hun", "ter2\n"}, "password=(sensitive)\n"},
		{[]string{"hunter2"}, []string{"h", "u", "n", "t", "e", "r", "2"}, "(sensitive)"},
		{[]string{"hunter2"}, []string{"hunhunter2hunter", "2 hunter"}, "hun(sensitive)(sensitive) hunter"},
		{[]string{"abcd", "cdef"}, []string{"xabcdefx"}, "x(sensitive)x"},
		{[]string{"abcd", "cdef"}, []string{"xabcd", "efx", "abcd", "ex"}, "x(sensitive)x(sensitive)ex"},
		{[]string{"abcd", "abcdefgh"}, []string{"abcdef", "gh abcd", "ef"}, "(sensitive) (sensitive)ef"},
		{[]string{"aaaa"}, []string{"aaaaaa", "aa", "a b"}, "(sensitive) b"},
		{[]string{"", "abc"}, []string{"abc"}, "abc"},
		{nil, []string{"abc"}, "abc"},
		{[]string{"-----BEGIN\nMIIEvQIBADANBg\nab\n-----END"}, []string{"got MIIEvQIBADANBg and ab"}, "got (sensitive) and ab"},
	} {
		if got := masked(c.secrets, c.writes...); got != c.want {
			t.Errorf("%q of %q: %q, want %q", c.secrets, c.writes, got, c.want)
		}
	}
}

// However a text is split, no secret passes, and all else does as if it had been
// written at once.
func TestMaskOfAnySplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.StringMatching(`[ab]{4,7}`)
		secrets := rapid.SliceOfN(letters, 1, 3).Draw(t, "secrets")
		text := rapid.StringMatching(`([abc]|abab){0,60}`).Draw(t, "text")
		var writes []string
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			writes, rest = append(writes, rest[:n]), rest[n:]
		}
		cover := make([]bool, len(text))
		for _, s := range secrets {
			for i := range text {
				if strings.HasPrefix(text[i:], s) {
					for j := range s {
						cover[i+j] = true
					}
				}
			}
		}
		plain := ""
		for i := range text {
			if !cover[i] {
				plain += text[i : i+1]
			}
		}
		split := masked(secrets, writes...)
		if got := strings.ReplaceAll(split, hidden, ""); got != plain {
			t.Fatalf("%q, want %q", got, plain)
		}
		if whole := masked(secrets, text); whole != split {
			t.Fatalf("in pieces %q, at once %q", split, whole)
		}
	})
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestMaskTellsWhenTheLogIsFull(t *testing.T) {
	if _, err := Mask([]string{"hunter2"})(full{}).Write([]byte("x")); err != io.ErrShortWrite {
		t.Error(err)
	}
}
