package account

import (
	"os"
	"testing"

	"steer/infra"
	"steer/infra/infratest"
)

// BusyBox's tools are all that Alpine has.
func TestBusybox(t *testing.T) {
	given := os.Getenv("STEER_TEST_BUSYBOX")
	if given == "" {
		t.Skip("no BusyBox: set STEER_TEST_BUSYBOX to a static one with adduser, addgroup, deluser, delgroup and chpasswd, which Debian's has not")
	}
	const busybox = "/busybox"
	infratest.Inside(t, func() {
		infratest.Shell(t, "cd /usr/sbin; rm useradd usermod userdel groupadd groupmod groupdel adduser addgroup deluser delgroup chpasswd /usr/bin/gpasswd; for a in adduser addgroup deluser delgroup chpasswd; do ln -s "+busybox+" $a; done")
		h := infra.NewHost(t.Context())
		ops := infratest.Decoded(t, &Group{}, "{name: ops, gid: 1700}")
		infratest.Converge(t, h, ops, infra.Create, "gid")
		infratest.Converge(t, h, infratest.Decoded(t, &Group{}, "{name: svc, system: true}"), infra.Create)
		u := infratest.Decoded(t, &User{}, "{name: web, uid: 1500, groups: [ops], shell: /bin/sh, home: /srv/web, comment: Web, password: '"+hash+"'}")
		infratest.Converge(t, h, u, infra.Create, "uid", "groups", "home", "shell", "comment", "password")
		if got := infratest.Shell(t, "stat -c '%U:%G' /srv/web; grep ^web: /etc/passwd; id -nG web"); got != "web:web\nweb:x:1500:1500:Web:/srv/web:/bin/sh\nweb ops" {
			t.Error(got)
		}
		infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: web, groups: [svc], exact: true}"), infra.Update, "groups")
		infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: web, locked: true}"), infra.Update, "locked")
		infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: two, group: ops, system: true}"), infra.Create, "group")
		infratest.Converge(t, h, infratest.Decoded(t, &Group{}, "{name: svc, members: [two], exact: true}"), infra.Update, "members")
		infratest.Fails(t, h, infratest.Decoded(t, &User{}, "{name: web, shell: /bin/bash}"), "install the package shadow, which has usermod")
		infratest.Fails(t, h, infratest.Decoded(t, &Group{}, "{name: ops, gid: 1}"), "gid 1 of group ops is that of group daemon already")
		infratest.Fails(t, h, infratest.Decoded(t, &Group{}, "{name: ops, gid: 1701}"), "install the package shadow, which has groupmod")
		infratest.Gone(t, h, u)
		infratest.Gone(t, h, infratest.Decoded(t, &Group{}, "name: svc"))
	}, "-v", given+":"+busybox+":ro", "-e", "STEER_TEST_BUSYBOX")
}
