package account

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"steer/infra"
	"steer/infra/infratest"
)

func TestGroup(t *testing.T) {
	infratest.Inside(t, func() {
		t.Run("life", groupLife)
		t.Run("members", members)
		t.Run("at once", atOnce)
	})
}

func groupLife(t *testing.T) {
	h := infra.NewHost(t.Context())
	g := infratest.Decoded(t, &Group{}, "{name: dev, gid: 1600}")
	infratest.Converge(t, h, g, infra.Create, "gid")
	infratest.Shell(t, "groupmod -g 1650 dev")
	forget(h)
	if d := infratest.Converge(t, h, g, infra.Update, "gid"); d.Fields[0].Old != "1650" {
		t.Errorf("%+v", d)
	}
	infratest.Fails(t, h, infratest.Decoded(t, &Group{}, "{name: dev2, gid: 1600}"), "gid 1600 of group dev2 is that of group dev already")
	infratest.Converge(t, h, infratest.Decoded(t, &Group{}, "{name: svc, system: true}"), infra.Create)
	if g, _, _ := h.Group("svc"); g.GID >= 1000 {
		t.Errorf("%+v", g)
	}
	infratest.Shell(t, "useradd -g dev anna")
	forget(h)
	infratest.Fails(t, h, infratest.Decoded(t, &Group{}, "{name: dev, state: absent}"), "remove the user first")
	infratest.Shell(t, "userdel anna")
	forget(h)
	infratest.Gone(t, h, g)
	infratest.Converge(t, h, infratest.Decoded(t, &Group{}, "{name: dev, state: absent}"), infra.None)
}

func members(t *testing.T) {
	h := infra.NewHost(t.Context())
	infratest.Shell(t, "useradd m1; useradd m2; useradd m3; groupadd -U m3 team 2>/dev/null || { groupadd team; gpasswd -a m3 team; }")
	infratest.Converge(t, h, infratest.Decoded(t, &Group{}, "{name: team, members: [m2, m1]}"), infra.Update, "members")
	if g, _, _ := h.Group("team"); fmt.Sprint(g.Members) != "[m1 m2 m3]" {
		t.Errorf("%+v", g)
	}
	if d := infratest.Converge(t, h, infratest.Decoded(t, &Group{}, "{name: team, members: [m1], exact: true}"), infra.Update, "members"); d.Fields[0].Old != "m1, m2, m3" {
		t.Errorf("%+v", d)
	}
	infratest.Converge(t, h, infratest.Decoded(t, &Group{}, "{name: team, exact: true}"), infra.Update, "members")
	infratest.Fails(t, h, infratest.Decoded(t, &Group{}, "{name: team, members: [nobody1]}"), "there is no user nobody1")
	// A member who is no user any more is no reason to fail.
	infratest.Shell(t, "sed -i 's/^team:.*/&ghost/' /etc/group")
	forget(h)
	d, err := infratest.Decoded(t, &Group{}, "{name: team, members: [m1]}").Diff(t.Context(), h)
	if err != nil || d.Fields[0].New != "ghost, m1" {
		t.Errorf("%+v %v", d, err)
	}
}

// Resources of one class are applied at the same time.
func atOnce(t *testing.T) {
	h := infra.NewHost(t.Context())
	var wg sync.WaitGroup
	// A user and the group of its name, in either order.
	own := []infra.Resource{infratest.Decoded(t, &Group{}, "{name: own, gid: 1990}"), infratest.Decoded(t, &User{}, "{name: own, uid: 1991}"),
		infratest.Decoded(t, &User{}, "{name: own2, uid: 1993}"), infratest.Decoded(t, &Group{}, "{name: own2, gid: 1992, members: [own2]}")}
	var before []infra.Diff
	for _, r := range own {
		d, err := r.Diff(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		before = append(before, d)
	}
	for i, r := range own {
		if err := r.Apply(t.Context(), h, before[i]); err != nil {
			t.Error(err)
		}
	}
	for _, r := range own {
		infratest.Same(t, h, r)
	}
	if a, _, _ := h.User("own2"); a.GID != 1992 {
		t.Errorf("%+v", a)
	}
	order := func(r infra.Related) string { return strings.Join(append(r.Gives(), r.Needs()...), " ") }
	if got := order(infratest.Decoded(t, &Group{}, "{name: own, members: [own, anna]}")); got != "group:own user:anna" {
		t.Error(got)
	}
	if got := order(infratest.Decoded(t, &User{}, "{name: own, groups: [adm], home: /srv/own}")); got != "user:own path:/srv/own group:own group:adm path:/srv" {
		t.Error(got)
	}
	for i := range 8 {
		wg.Go(func() {
			u := infratest.Decoded(t, &User{}, fmt.Sprintf("name: many%d", i))
			d, err := u.Diff(t.Context(), h)
			if err == nil {
				err = u.Apply(t.Context(), h, d)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		infratest.Converge(t, h, infratest.Decoded(t, &User{}, fmt.Sprintf("name: many%d", i)), infra.None)
	}
}
