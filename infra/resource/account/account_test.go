package account

import (
	"os"
	"strings"
	"testing"

	"steer/base/config"
)

func lineOf(t *testing.T, file, name string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, name+":") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ kind, text, want string }{
		{"user", "name: '1000'", "name: \"1000\" cannot be a name"},
		{"user", "name: -rf", "cannot be a name"},
		{"user", "name: " + strings.Repeat("a", 33), "cannot be a name"},
		{"user", "{}", "name: \"\" cannot be a name"},
		{"user", "{name: a, uid: -1}", "uid: -1 is not from 0"},
		{"user", "{name: a, uid: 4294967295}", "uid: 4294967295 is not from 0"},
		{"user", "{name: a, comment: 'x:y'}", "comment: a colon"},
		{"user", "{name: a, home: home/a}", "home: \"home/a\" is no absolute path"},
		{"user", "{name: a, shell: /bin/../sh}", "shell: "},
		{"user", "{name: a, password: secret}", "password: this is not the hash"},
		{"user", "{name: a, expires: 31.12.2026}", "expires: \"31.12.2026\" is no day"},
		{"user", "{name: root, state: absent}", "root cannot be removed"},
		{"user", "{name: a, state: gone}", "state: \"gone\" is not known"},
		{"user", "{name: a, remove_home: true}", "remove_home: goes with"},
		{"user", "{name: a, groups: [b, 12]}", "groups[1]: \"12\" cannot be a name"},
		{"group", "{name: a, members: [b c]}", "members[0]: \"b c\" cannot be a name"},
		{"group", "{name: a, gid: x}", "not a whole number"},
		{"authorized_key", "{user: a}", "key: is missing"},
		{"authorized_key", "{user: a, key: ssh-ed25519 AAAA}", "cut off or damaged"},
		{"authorized_key", "{user: a, key: '-----BEGIN OPENSSH PRIVATE KEY-----'}", "this is a private key"},
		{"authorized_key", "{user: a, key: " + strings.Replace(anna, "ssh-ed25519", "ssh-rsa", 1) + "}", "is no ssh-rsa inside"},
		{"authorized_key", "{user: a, key: " + anna + ", options: ['no pty']}", "options[0]: \"no pty\" is no option"},
	} {
		kind, _ := Kinds().Find(c.kind)
		err := config.Decode("test.yaml", []byte(c.text), kind.New())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %s", c.kind, c.text, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}
