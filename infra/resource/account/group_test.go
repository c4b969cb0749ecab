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
	g := decoded(t, &Group{}, "{name: dev, gid: 1600}")
	converge(t, h, g, infra.Create, "gid")
	sh(t, "groupmod -g 1650 dev")
	forget(h)
	if d := converge(t, h, g, infra.Update, "gid"); d.Fields[0].Old != "1650" {
		t.Errorf("%+v", d)
	}
	fails(t, h, decoded(t, &Group{}, "{name: dev2, gid: 1600}"), "gid 1600 of group dev2 is that of group dev already")
	converge(t, h, decoded(t, &Group{}, "{name: svc, system: true}"), infra.Create)
	if g, _, _ := h.Group("svc"); g.GID >= 1000 {
		t.Errorf("%+v", g)
	}
	sh(t, "useradd -g dev anna")
	forget(h)
	fails(t, h, decoded(t, &Group{}, "{name: dev, state: absent}"), "remove the user first")
	sh(t, "userdel anna")
	forget(h)
	gone(t, h, g)
	converge(t, h, decoded(t, &Group{}, "{name: dev, state: absent}"), infra.None)
}

func members(t *testing.T) {
	h := infra.NewHost(t.Context())
	sh(t, "useradd m1; useradd m2; useradd m3; groupadd -U m3 team 2>/dev/null || { groupadd team; gpasswd -a m3 team; }")
	converge(t, h, decoded(t, &Group{}, "{name: team, members: [m2, m1]}"), infra.Update, "members")
	if g, _, _ := h.Group("team"); fmt.Sprint(g.Members) != "[m1 m2 m3]" {
		t.Errorf("%+v", g)
	}
	if d := converge(t, h, decoded(t, &Group{}, "{name: team, members: [m1], exact: true}"), infra.Update, "members"); d.Fields[0].Old != "m1, m2, m3" {
		t.Errorf("%+v", d)
	}
	converge(t, h, decoded(t, &Group{}, "{name: team, exact: true}"), infra.Update, "members")
	fails(t, h, decoded(t, &Group{}, "{name: team, members: [nobody1]}"), "there is no user nobody1")
	// A member who is no user any more is no reason to fail.
	sh(t, "sed -i 's/^team:.*/&ghost/' /etc/group")
	forget(h)
	d, err := decoded(t, &Group{}, "{name: team, members: [m1]}").Diff(t.Context(), h)
	if err != nil || d.Fields[0].New != "ghost, m1" {
		t.Errorf("%+v %v", d, err)
	}
}

// Resources of one class are applied at the same time.
func atOnce(t *testing.T) {
	h := infra.NewHost(t.Context())
	var wg sync.WaitGroup
	// A user and the group of its name, in either order.
	own := []infra.Resource{decoded(t, &Group{}, "{name: own, gid: 1990}"), decoded(t, &User{}, "{name: own, uid: 1991}"),
		decoded(t, &User{}, "{name: own2, uid: 1993}"), decoded(t, &Group{}, "{name: own2, gid: 1992, members: [own2]}")}
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
		same(t, h, r)
	}
	if a, _, _ := h.User("own2"); a.GID != 1992 {
		t.Errorf("%+v", a)
	}
	order := func(r infra.Related) string { return strings.Join(append(r.Gives(), r.Needs()...), " ") }
	if got := order(decoded(t, &Group{}, "{name: own, members: [own, anna]}")); got != "group:own user:anna" {
		t.Error(got)
	}
	if got := order(decoded(t, &User{}, "{name: own, groups: [adm], home: /srv/own}")); got != "user:own group:own group:adm path:/srv" {
		t.Error(got)
	}
	for i := range 8 {
		wg.Go(func() {
			u := decoded(t, &User{}, fmt.Sprintf("name: many%d", i))
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
		converge(t, h, decoded(t, &User{}, fmt.Sprintf("name: many%d", i)), infra.None)
	}
}
