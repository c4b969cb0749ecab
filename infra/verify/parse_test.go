package verify

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The texts are as the kernel and the package managers write them.

func TestReadSockets(t *testing.T) {
	tcp6 := `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23711 1 0000000000000000 100 0 0 10 0
   1: B80D0120000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23712 1 0000000000000000 100 0 0 10 0
   2: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23713 1 0000000000000000 100 0 0 10 0
   3: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 23714 1 0000000000000000 100 0 0 10 0
`
	udp := `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  100: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 811 2 0000000000000000 0
  101: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 812 2 0000000000000000 0
  102: 0100007F:A001 0100007F:0035 01 00000000:00000000 00:00000000 00000000     0        0 813 2 0000000000000000 0
`
	sockets := func(table, protocol string) (all string) {
		for _, s := range readSockets([]byte(table), protocol) {
			all += fmt.Sprintf("%s %s, ", s.at, s.inode)
		}
		return all
	}
	if got, want := sockets(tcp6, "tcp"), "[::]:22 23711, [2001:db8::1]:443 23712, [::ffff:127.0.0.1]:8080 23713, "; got != want {
		t.Error(got)
	}
	if got, want := sockets(udp, "udp"), "0.0.0.0:68 811, 127.0.0.1:53 812, "; got != want {
		t.Error(got)
	}
}

func TestReadPackages(t *testing.T) {
	dpkg := `Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 2.36-9
Description: GNU C Library
 Version: not this one

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.36-8

Package: nginx
Status: deinstall ok config-files
Architecture: amd64
Version: 1.22.1-9

Package: vim
Status: hold ok installed
Architecture: amd64
Version: 2:9.0`
	want := map[string][]string{"libc6": {"2.36-9", "2.36-8"}, "libc6:amd64": {"2.36-9"}, "libc6:i386": {"2.36-8"}, "vim": {"2:9.0"}, "vim:amd64": {"2:9.0"}}
	if d := cmp.Diff(want, readDpkg([]byte(dpkg))); d != "" {
		t.Error(d)
	}
	apk := "C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nF:lib\nR:libc.so\n\nC:Q1d=\nP:busybox\nV:1.36.1-r5\n"
	if d := cmp.Diff(map[string][]string{"musl": {"1.2.4-r2"}, "busybox": {"1.36.1-r5"}}, readApk([]byte(apk))); d != "" {
		t.Error(d)
	}
}

func TestReadMount(t *testing.T) {
	info := `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
40 22 0:30 / /srv/a\040b rw,nosuid - tmpfs tmpfs rw,size=65536k
41 40 0:31 / /srv/a\040b ro shared:2 master:1 - nfs4 store:/ab\134c rw,vers=4.2
`
	want := Found{"exists": true, "filesystem": "nfs4", "source": `store:/ab\c`, "options": []string{"ro", "rw", "vers=4.2"}}
	if d := cmp.Diff(want, readMount([]byte(info), "/srv/a b")); d != "" {
		t.Error(d)
	}
	if got := readMount([]byte(info), "/srv"); got["exists"] != false {
		t.Error(got)
	}
}
