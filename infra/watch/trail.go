package watch

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// trace is something that a log tells of somebody.
type trace struct {
	at   time.Time
	text string
}

// longestHint bounds what is told of one trace, in bytes.
const longestHint = 200

// clean makes a log's text fit to be shown.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if s = strings.Join(strings.Fields(s), " "); len(s) > longestHint {
		s = strings.ToValidUTF8(s[:longestHint], "") + "…"
	}
	return s
}

// Programs whose arguments are verbs and names of packages and units, never secrets.
var harmless = []string{"apt", "apt-get", "aptitude", "dpkg", "apk", "dnf", "yum", "systemctl", "service", "unattended-upgrade"}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9@._:+-]{1,60}$`)

// masked is a command line that may be shown: the program, its arguments if they are
// those of a harmless one, and else only paths. Any other word may be a password.
func masked(command string) string {
	words := strings.Fields(command)
	if len(words) == 0 {
		return ""
	}
	program := path.Base(words[0])
	free := slices.Contains(harmless, program)
	out := []string{program}
	for _, w := range words[1:] {
		switch {
		case free && plainWord.MatchString(w), strings.HasPrefix(w, "/") && !strings.ContainsAny(w, "=:@?&"):
			out = append(out, w)
		case out[len(out)-1] != "…":
			out = append(out, "…")
		}
	}
	return clean(strings.Join(out, " "))
}

// logind reads what systemd-logind(8) keeps of a session in /run/systemd/sessions: not
// meant for others, but a hint may be wrong. Empty: no person's, or over.
func logind(b []byte) string {
	v := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			v[key] = value
		}
	}
	if v["USER"] == "" || cmp.Or(v["CLASS"], "user") != "user" || v["STATE"] == "closing" {
		return ""
	}
	return person(v["USER"], v["REMOTE_HOST"], v["TTY"])
}

func person(user, from, tty string) string {
	switch {
	case from != "":
		return clean(user + " from " + from)
	case tty != "":
		return clean(user + " at " + strings.TrimPrefix(tty, "/dev/"))
	}
	return clean(user)
}

// utmpSize is the size of a record of utmp(5) where its times have 32 bits, as on amd64.
const utmpSize = 384

// utmp reads who is logged in. alive tells whether a process is.
func utmp(b []byte, alive func(pid int) bool) (people []string) {
	for ; len(b) >= utmpSize; b = b[utmpSize:] {
		text := func(from, to int) string {
			s, _, _ := bytes.Cut(b[from:to], []byte{0})
			return string(s)
		}
		user := text(44, 76)
		if binary.NativeEndian.Uint16(b) != 7 || user == "" || !alive(int(int32(binary.NativeEndian.Uint32(b[4:])))) { // 7: a user's process
			continue
		}
		people = append(people, person(user, text(76, 332), text(8, 40)))
	}
	return people
}

// sudo reads the newest command that sudo(8) wrote to a log, of rsyslog or of journald.
// Lines of the former begin with a time of RFC 3339, or of a year that nobody wrote.
func sudo(log []byte, now time.Time) (last trace) {
	for line := range bytes.Lines(log) {
		head, rest, ok := strings.Cut(string(line), "sudo")
		if !ok || len(head) < 15 {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, strings.Fields(head)[0])
		if err != nil {
			if at, err = time.ParseInLocation(time.Stamp, head[:15], now.Location()); err != nil {
				continue
			}
			at = at.AddDate(now.Year(), 0, 0)
			if at.After(now.Add(24 * time.Hour)) {
				at = at.AddDate(-1, 0, 0)
			}
		}
		if i := strings.Index(rest, ": "); i >= 0 {
			if text := sudoer(rest[i+2:]); text != "" {
				last = trace{at, text}
			}
		}
	}
	return last
}

// sudoer reads what sudo writes: USER : TTY=… ; PWD=… ; USER=root ; COMMAND=…
func sudoer(message string) string {
	user, rest, ok := strings.Cut(message, " : ")
	_, command, run := strings.Cut(rest, "COMMAND=")
	if !ok || !run || strings.ContainsAny(strings.TrimSpace(user), " \t") {
		return ""
	}
	return clean(strings.TrimSpace(user) + " ran " + masked(command) + " with sudo")
}

// apt reads the newest entry of apt's history.log.
func apt(log []byte, now time.Time) (last trace) {
	var command, by string
	var at time.Time
	end := func() {
		if !at.IsZero() && command != "" {
			last = trace{at, "apt: " + command}
			if by != "" {
				last.text += ", by " + by
			}
		}
		command, by, at = "", "", time.Time{}
	}
	s := bufio.NewScanner(bytes.NewReader(log))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		key, value, _ := strings.Cut(s.Text(), ": ")
		switch key {
		case "Start-Date":
			end()
			at, _ = time.ParseInLocation("2006-01-02  15:04:05", value, now.Location())
		case "End-Date":
			if t, err := time.ParseInLocation("2006-01-02  15:04:05", value, now.Location()); err == nil {
				at = t
			}
		case "Commandline":
			command = masked(value)
		case "Requested-By":
			by, _, _ = strings.Cut(clean(value), " ")
		}
	}
	end()
	return last
}

// journald reads the newest message of journalctl -o json.
func journald(out []byte) (last trace) {
	for line := range bytes.Lines(out) {
		var e struct {
			Message any    `json:"MESSAGE"` // a list of bytes when it is no text
			Time    string `json:"__REALTIME_TIMESTAMP"`
		}
		micros, err := int64(0), json.Unmarshal(line, &e)
		if err == nil {
			micros, err = strconv.ParseInt(e.Time, 10, 64)
		}
		if text, ok := e.Message.(string); ok && err == nil {
			last = trace{time.UnixMicro(micros), text}
		}
	}
	return last
}

func (t trace) hint(what string) string {
	return fmt.Sprintf("%s %s: %s", what, t.at.Format(time.TimeOnly), clean(t.text))
}
