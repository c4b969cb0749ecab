package host

import (
	"testing"
	"testing/fstest"
)

// TestDescribe: who reads no definitions learns what hosts are for, whose they are, how
// they are made, and what is done to them.
func TestDescribe(t *testing.T) {
	const text = `box: {roles: [base], connect: "ssh://root@box:2222", group: offices}
web:
  number: 2
  roles: [base, {role: web, with: {port: 8081, sites: [a, b], password: hush}}]
  owner: storefront
  environment: production
  self_service: {by: [storefront], most: 6}
  immutable: true
  converge: {every: 30m, soak: 10m, approve: true, replace: true, drill: {every: 7d, within: 5m}}
  make: {docker: {image: "debian:12", network: shop, volumes: {/srv: "{}-data"}}}
web-x: {like: web, number: 1, until: 2036-11-26T20:00:00Z, requested_by: ada, reason: load test}
`
	all, err := ReadInventory(fstest.MapFS{InventoryFile: {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	const web = "\nEach is, in this order:\n\n- base: About base.\n- web: About web. With port `8081`, sites `[\"a\",\"b\"]`.\n" +
		"\nMade by steer host create, as docker, image `debian:12`, network `shop`, run `[\"sleep\",\"infinity\"]`, volumes `{\"/srv\":\"{}-data\"}`.\n" +
		"\nNothing on it is ever changed: a change is a new image, and the host is rebuilt.\n" +
		"\nA server visits them every 30m; a change gets to 1 of the group first, which has to stay well for 10m; before, somebody has to agree to its plan; " +
		"who does not answer for 10m is made anew; one is rebuilt for practice every 168h, within 5m.\n\n"
	const want = "## box\n\nHosts: box.\nGroup: offices.\n\nEach is, in this order:\n\n- base: About base.\n\nReached by `ssh://root@box:2222`.\n" +
		"\nA server visits them every 1h; a change gets to 1 of the group first.\n\n" +
		"## web\n\nHosts: web-1, web-2.\nOwner: storefront.\nEnvironment: production.\n" + web +
		"## web\n\nHosts: web-x.\nOwner: storefront.\nEnvironment: production.\n\nThere until 2036-11-26T20:00:00Z, requested by ada: load test.\n" + web
	if got := Describe(all, func(role string) string { return "About " + role + "." }, func(role, p string) bool { return role == "web" && p == "password" }); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
