package image

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"steer/infra/image/internal/rootfs"
)

// needRoot skips a test that makes devices and gives files away.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("STEER_REQUIRE_ALL") != "" {
		t.Fatal("this is not root, and STEER_REQUIRE_ALL is set")
	}
	t.Skip("this is not root")
}

func shell(t *testing.T, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func newTree(t *testing.T) *rootfs.Tree {
	t.Helper()
	return &rootfs.Tree{Dir: t.TempDir(), Clamp: 1_700_000_000}
}

// changes are those of a tree since the last time.
func changes(t *testing.T, x *rootfs.Tree) string {
	t.Helper()
	all, err := x.Scan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(fmt.Sprint(all), "[]")
}

func TestClean(t *testing.T) {
	needRoot(t)
	x := newTree(t)
	shell(t, x.Dir, `mkdir -p etc/ssh var/lib/apt/lists/partial var/log/apt var/log/shop; echo id > etc/machine-id; touch etc/passwd- etc/ssh/ssh_host_rsa_key etc/ssh/sshd_config var/lib/apt/lists/index; echo log > var/log/apt/term.log; echo mine > var/log/shop/log; echo who > var/log/wtmp
printf 'root:!:30000:0:99999:7:::\ndaemon:*:100:0::::::\n' > etc/shadow; ln -s /etc/hostname var/log/lastlog`)
	if err := clean(x); err != nil {
		t.Fatal(err)
	}
	want := "etc etc/machine-id etc/shadow etc/ssh etc/ssh/sshd_config var var/lib var/lib/apt var/lib/apt/lists var/log var/log/apt var/log/lastlog var/log/shop var/log/shop/log var/log/wtmp"
	if got := changes(t, x); got != want {
		t.Errorf("left %s\nwant %s", got, want)
	}
	if got := shell(t, x.Dir, "cat etc/machine-id var/log/wtmp etc/shadow"); got != "root:!:19675:0:99999:7:::\ndaemon:*:100:0::::::\n" {
		t.Errorf("left %q", got)
	}
}
