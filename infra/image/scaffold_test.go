package image

import "testing"

func TestScaffold(t *testing.T) {
	needRoot(t)
	x := newTree(t)
	shell(t, x.Dir, "mkdir -p etc usr/sbin; ln -s /run/resolv.conf etc/resolv.conf; echo old > usr/sbin/policy-rc.d")
	changes(t, x)
	for _, c := range []struct{ script, want string }{
		{"test -x usr/sbin/policy-rc.d && grep -q 101 usr/sbin/policy-rc.d", ""},
		{"echo mine > etc/resolv.conf", "etc/resolv.conf"}, // a role has it: that stays
	} {
		takeDown, err := scaffold(t.Context(), x.Dir)
		if err != nil {
			t.Fatal(err)
		}
		shell(t, x.Dir, c.script)
		if err := takeDown(); err != nil {
			t.Fatal(err)
		}
		if got := changes(t, x); got != c.want {
			t.Errorf("after %s: %q, want %q", c.script, got, c.want)
		}
	}
}
