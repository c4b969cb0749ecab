package account

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// sshKey is a line of an authorized_keys file, as sshd(8) describes it: options that
// may be missing, the type, the key in base64, and a comment.
type sshKey struct {
	options, kind, blob, comment string
}

func (k sshKey) line() string {
	words := []string{k.kind, k.blob}
	if k.options != "" {
		words = append([]string{k.options}, words...)
	}
	if k.comment != "" {
		words = append(words, k.comment)
	}
	return strings.Join(words, " ")
}

func (k sshKey) same(other sshKey) bool { return k.kind == other.kind && k.blob == other.blob }

// fingerprint is what ssh-keygen -l shows.
func (k sshKey) fingerprint() string {
	raw, _ := base64.StdEncoding.DecodeString(k.blob)
	sum := sha256.Sum256(raw)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

func isKeyType(word string) bool {
	switch strings.TrimSuffix(word, "-cert-v01@openssh.com") {
	case "ssh-rsa", "ssh-dss", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
		"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com":
		return true
	}
	return false
}

// parseKey reads one line that is neither empty nor a comment.
func parseKey(line string) (sshKey, error) {
	var k sshKey
	rest := strings.TrimSpace(line)
	word, after := cutWord(rest)
	if !isKeyType(word) {
		k.options, rest = word, after
		word, after = cutWord(rest)
	}
	if !isKeyType(word) {
		if strings.Contains(line, "PRIVATE KEY") {
			return k, fmt.Errorf("this is a private key: give the public one, from the file that ends in .pub")
		}
		return k, fmt.Errorf("no key of SSH is in the line %.40q (a line of a .pub file is wanted, like ssh-ed25519 AAAA… name)", line)
	}
	k.kind = word
	k.blob, k.comment = cutWord(after)
	raw, err := base64.StdEncoding.DecodeString(k.blob)
	if err != nil || len(raw) < 8 {
		return k, fmt.Errorf("the key %.40q is cut off or damaged (copy the whole line of the .pub file)", line)
	}
	// The key itself starts with its type, after a length of 4 bytes.
	n := binary.BigEndian.Uint32(raw)
	if int64(n) >= int64(len(raw)-4) || string(raw[4:4+n]) != k.kind {
		return k, fmt.Errorf("the key %.40q is no %s inside, or is cut off (copy the whole line of the .pub file)", line, k.kind)
	}
	return k, nil
}

// cutWord cuts at the first blank that is not in quotes.
func cutWord(s string) (word, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted && i+1 < len(s):
			i++
		case c == '"':
			quoted = !quoted
		case (c == ' ' || c == '\t') && !quoted:
			return s[:i], strings.TrimSpace(s[i:])
		}
	}
	return s, ""
}

// parseKeys reads lines as they stand in .pub files.
func parseKeys(text string) ([]sshKey, error) {
	var all []sshKey
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		k, err := parseKey(line)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}

// merge returns the text of an authorized_keys file with keys in it, each once, or
// without them. What else is in the file stays, unless only is set.
func merge(text string, keys []sshKey, remove, only bool) string {
	if only && !remove {
		var b strings.Builder
		for _, k := range keys {
			b.WriteString(k.line() + "\n")
		}
		return b.String()
	}
	var b strings.Builder
	done := make([]bool, len(keys))
	for line := range strings.Lines(text) {
		at := -1
		if k, err := parseKey(line); err == nil && !strings.HasPrefix(strings.TrimSpace(line), "#") {
			for i := range keys {
				if keys[i].same(k) {
					at = i
				}
			}
		}
		switch {
		case at < 0:
			b.WriteString(line)
		case !remove && !done[at]:
			b.WriteString(keys[at].line() + "\n")
			done[at] = true
		}
	}
	for i, k := range keys {
		if !remove && !done[i] {
			if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
				b.WriteByte('\n')
			}
			b.WriteString(k.line() + "\n")
		}
	}
	return b.String()
}
