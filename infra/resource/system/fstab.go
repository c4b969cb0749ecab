package system

import "strings"

// tableLine is a line of /etc/fstab, as fstab(5) describes it.
type tableLine struct {
	source, path, fsType, options string
	dump, pass                    string
}

// parseTableLine reads a line; ok is false for comments, empty and broken ones.
func parseTableLine(line string) (t tableLine, ok bool) {
	f := blanks(strings.TrimRight(line, "\r\n"))
	if len(f) < 3 || strings.HasPrefix(f[0], "#") {
		return t, false
	}
	for len(f) < 6 {
		f = append(f, map[int]string{3: "defaults", 4: "0", 5: "0"}[len(f)])
	}
	return tableLine{unescape(f[0]), unescape(f[1]), f[2], unescape(f[3]), f[4], f[5]}, true
}

// blanks parts a line at blanks and tabs, and at nothing else that Unicode calls so.
func blanks(line string) []string {
	return strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
}

func (t tableLine) String() string {
	return strings.Join([]string{escape(t.source), escape(t.path), t.fsType, escape(t.options), t.dump, t.pass}, " ")
}

// withMount returns the text of /etc/fstab with a line for a path instead of those
// that it has, or without one.
func withMount(table, path string, want *tableLine) string {
	var b strings.Builder
	for line := range strings.Lines(table) {
		is, ok := parseTableLine(line)
		switch {
		case !ok || is.path != path:
			b.WriteString(line)
		case want != nil:
			if is == *want {
				b.WriteString(line) // whatever blanks it has
			} else {
				b.WriteString(want.String() + "\n")
			}
			want = nil
		}
	}
	if want != nil {
		if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(want.String() + "\n")
	}
	return b.String()
}

// escape writes what parts fields as the kernel does in its own tables.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`, "#", `\043`).Replace(s)
}

// unescape is the inverse, for every character that stands as \ and three digits.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			n := 0
			for _, c := range s[i+1 : i+4] {
				if c < '0' || c > '7' {
					n = -1 << 20
				}
				n = n*8 + int(c-'0')
			}
			if n >= 0 && n < 256 {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// mounted is a line of /proc/self/mountinfo, as proc(5) describes it.
type mounted struct {
	path, source, fsType string
	options              []string // of the mount
	super                []string // of the file system
}

// readMounts reads the table; of mounts over one another the last is what is seen.
func readMounts(table string) map[string]mounted {
	all := map[string]mounted{}
	for line := range strings.Lines(table) {
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		f, g := blanks(before), blanks(after)
		if !ok || len(f) < 6 || len(g) < 3 {
			continue
		}
		path := unescape(f[4])
		all[path] = mounted{path, unescape(g[1]), g[0], strings.Split(f[5], ","), strings.Split(g[2], ",")}
	}
	return all
}
