package watch

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/infra"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func TestMasked(t *testing.T) {
	for command, want := range map[string]string{
		"apt install nginx":                               "apt install nginx",
		"/usr/bin/apt-get -y remove cron=1.2":             "apt-get -y remove …",
		"/usr/bin/systemctl stop shop@1.service":          "systemctl stop shop@1.service",
		"/usr/bin/vim /etc/motd":                          "vim /etc/motd",
		"/usr/bin/mysql -u root -phunter2 -e x /tmp/a":    "mysql … /tmp/a",
		"/usr/bin/env TOKEN=hunter2 /bin/true":            "env … /bin/true",
		"/usr/bin/curl https://u:hunter2@host/ -d hunter": "curl …",
		"/usr/bin/tee /srv/key=hunter2":                   "tee …",
		"/usr/bin/su hunter2":                             "su …",
		"":                                                "",
	} {
		if got := masked(command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}

// Recorded from Debian 12 and 13.
const (
	sessionFile = "# This is private data. Do not parse.\nUID=1000\nUSER=alice\nACTIVE=1\nIS_DISPLAY=0\nSTATE=active\nREMOTE=1\nLEADER_FD_SAVED=1\nTYPE=tty\nORIGINAL_TYPE=tty\nCLASS=user\nSCOPE=session-3.scope\nREMOTE_HOST=10.0.0.5\nSERVICE=sshd\nLEADER=812\nAUDIT=3\nREALTIME=1764158400000000\nMONOTONIC=1\n"
	authLog     = "Nov 26 11:40:00 web-1 sudo:     carl : TTY=pts/1 ; PWD=/home/carl ; USER=root ; COMMAND=/usr/bin/true\n" +
		"Nov 26 11:58:10 web-1 sudo:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/vim /etc/motd\n" +
		"Nov 26 11:58:10 web-1 sudo: pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)\n" +
		"Nov 26 11:59:00 web-1 sudo:    bob : 1 incorrect password attempt ; TTY=pts/0 ; PWD=/ ; USER=root\n"
	authLogISO = "2026-11-26T11:58:10.123456+00:00 web-1 sudo[812]:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/mysql -phunter2\n"
	aptLog     = "\nStart-Date: 2026-11-26  10:00:00\nCommandline: apt upgrade\nUpgrade: a:amd64 (1, 2)\nEnd-Date: 2026-11-26  10:00:09\n" +
		"\nStart-Date: 2026-11-26  11:57:00\nCommandline: apt install nginx\nRequested-By: alice (1000)\nInstall: nginx:amd64 (1.22.1-9)\nEnd-Date: 2026-11-26  11:57:05\n"
	journalLine = `{"_BOOT_ID":"x","MESSAGE":"Stopped shop.service - The shop.","__REALTIME_TIMESTAMP":"1795694350000000","__CURSOR":"s=1"}` + "\n"
)

func TestTrails(t *testing.T) {
	if got := logind([]byte(sessionFile)); got != "alice from 10.0.0.5" {
		t.Error(got)
	}
	for _, other := range []string{"", "USER=gdm\nCLASS=greeter\n", "USER=alice\nCLASS=user\nSTATE=closing\n"} {
		if got := logind([]byte(other)); got != "" {
			t.Errorf("%q: %s", other, got)
		}
	}
	at := noon.Add(-110 * time.Second)
	for log, want := range map[string]trace{
		authLog:    {at, "alice ran vim /etc/motd with sudo"},
		authLogISO: {at.Add(123456 * time.Microsecond), "alice ran mysql … with sudo"},
		"Dec 31 23:59:59 h sudo:  a : TTY=x ; COMMAND=/bin/true\n":                              {time.Date(2025, 12, 31, 23, 59, 59, 0, time.UTC), "a ran true with sudo"},
		"sudo: x : COMMAND=/bin/true\nnonsense nonsense nonsense sudo: x : COMMAND=/bin/true\n": {},
	} {
		if got := sudo([]byte(log), noon); !got.at.Equal(want.at) || got.text != want.text {
			t.Errorf("%q: %+v", log, got)
		}
	}
	if got := apt([]byte(aptLog), noon); !got.at.Equal(noon.Add(-175*time.Second)) || got.text != "apt: apt install nginx, by alice" {
		t.Errorf("%+v", got)
	}
	if got := journald([]byte("{}\n" + journalLine + `{"MESSAGE":[1,2],"__REALTIME_TIMESTAMP":"1"}` + "\nno json\n")); got.text != "Stopped shop.service - The shop." || got.at.Unix() != 1795694350 {
		t.Errorf("%+v", got)
	}
	if got := (trace{noon, "a\x1b[31m\nb" + strings.Repeat("x", 1000)}).hint("log"); strings.ContainsAny(got, "\x1b\n") || len(got) > longestHint+40 {
		t.Errorf("%q", got)
	}
}

func record(kind uint16, pid int, line, user, host string) []byte {
	b := make([]byte, utmpSize)
	binary.NativeEndian.PutUint16(b, kind)
	binary.NativeEndian.PutUint32(b[4:], uint32(pid))
	copy(b[8:], line)
	copy(b[44:], user)
	copy(b[76:], host)
	return b
}

// TestWitness: what a host's files tell becomes hints, those far in time do not.
func TestWitness(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	look := func(now time.Time) string {
		w := &witness{root: root, now: now, host: &infra.Host{}}
		return strings.Join(w.hints(t.Context(), infra.Declared{Kind: "package"}), "\n")
	}
	if got := look(noon); got != "" {
		t.Errorf("of an empty host: %s", got)
	}
	put("run/systemd/sessions/3", sessionFile)
	put("run/systemd/sessions/3.ref", "")
	put("proc/7/stat", "")
	put("run/utmp", string(record(7, 7, "pts/0", "alice", "10.0.0.5"))+string(record(7, 7, "tty1", "root", ""))+string(record(7, 8, "pts/9", "gone", ""))+string(record(8, 7, "pts/9", "dead", ""))+"rest")
	put("var/log/auth.log", strings.Repeat("Nov 26 11:00:00 web-1 sshd[1]: a line\n", 10000)+authLog)
	put("var/log/apt/history.log", aptLog)
	want := "logged in then: alice from 10.0.0.5, root at tty1\nlog 11:58:10: alice ran vim /etc/motd with sudo\nlog 11:57:05: apt: apt install nginx, by alice"
	if got := look(noon); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := look(noon.Add(time.Hour)); got != strings.SplitN(want, "\n", 2)[0] {
		t.Errorf("an hour later: %s", got)
	}
	for i := range 200 {
		put(fmt.Sprintf("run/systemd/sessions/%d", i), fmt.Sprintf("USER=u%d\n", i))
	}
	if got := look(noon.Add(time.Hour)); strings.Count(got, ",") != mostPeople-1 {
		t.Errorf("of many people: %s", got)
	}
}
