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
		sh(t, "cd /usr/sbin; rm useradd usermod userdel groupadd groupmod groupdel adduser addgroup deluser delgroup chpasswd /usr/bin/gpasswd; for a in adduser addgroup deluser delgroup chpasswd; do ln -s "+busybox+" $a; done")
		h := infra.NewHost(t.Context())
		ops := decoded(t, &Group{}, "{name: ops, gid: 1700}")
		converge(t, h, ops, infra.Create, "gid")
		converge(t, h, decoded(t, &Group{}, "{name: svc, system: true}"), infra.Create)
		u := decoded(t, &User{}, "{name: web, uid: 1500, groups: [ops], shell: /bin/sh, home: /srv/web, comment: Web, password: '"+hash+"'}")
		converge(t, h, u, infra.Create, "uid", "groups", "home", "shell", "comment", "password")
		if got := sh(t, "stat -c '%U:%G' /srv/web; grep ^web: /etc/passwd; id -nG web"); got != "web:web\nweb:x:1500:1500:Web:/srv/web:/bin/sh\nweb ops" {
			t.Error(got)
		}
		converge(t, h, decoded(t, &User{}, "{name: web, groups: [svc], exact: true}"), infra.Update, "groups")
		converge(t, h, decoded(t, &User{}, "{name: web, locked: true}"), infra.Update, "locked")
		converge(t, h, decoded(t, &User{}, "{name: two, group: ops, system: true}"), infra.Create, "group")
		converge(t, h, decoded(t, &Group{}, "{name: svc, members: [two], exact: true}"), infra.Update, "members")
		fails(t, h, decoded(t, &User{}, "{name: web, shell: /bin/bash}"), "install the package shadow, which has usermod")
		fails(t, h, decoded(t, &Group{}, "{name: ops, gid: 1}"), "gid 1 of group ops is that of group daemon already")
		fails(t, h, decoded(t, &Group{}, "{name: ops, gid: 1701}"), "install the package shadow, which has groupmod")
		gone(t, h, u)
		gone(t, h, decoded(t, &Group{}, "name: svc"))
	}, "-v", given+":"+busybox+":ro", "-e", "STEER_TEST_BUSYBOX")
}
