package test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"steer/infra/infratest"
)

// host is the server as a registry.
func (p *process) host() string { return strings.TrimPrefix(p.url, "http://") }

// tokenOf makes a token.
func (p *process) tokenOf(person, role string) string {
	p.t.Helper()
	made, err := p.api.CreateToken(p.t.Context(), person, role, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return made.Token
}

// image is an image at the server, for go-containerregistry.
func (p *process) image(ref string) name.Reference {
	p.t.Helper()
	r, err := name.ParseReference(p.host() + "/" + ref)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func (p *process) login() remote.Option {
	return remote.WithAuth(&authn.Basic{Username: "anyone", Password: p.token})
}

// TestRegistry: Docker and skopeo push and pull, as whoever may, and find what
// pipelines built.
func TestRegistry(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	skopeo := need(t, "skopeo")
	p := serve(t, t.TempDir())
	dir, host := t.TempDir(), p.host()
	try := func(stdin, command string) (string, error) {
		cmd := exec.Command("sh", "-ec", command)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		cmd.Env = append(cleanEnv(), "DOCKER_CONFIG="+dir, "STEER_SERVER="+p.url, "STEER_TOKEN="+p.token, "PATH="+filepath.Dir(program(t, "steer"))+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	sh := func(stdin, command string) string {
		t.Helper()
		out, err := try(stdin, command)
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		return out
	}
	refused := func(stdin, command, want string) {
		t.Helper()
		if out, err := try(stdin, command); err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s\nwant %q", command, err, out, want)
		}
	}
	ada, eve := p.tokenOf("ada", "developer"), p.tokenOf("eve", "viewer")
	app := host + "/team/app:1"
	t.Cleanup(func() { try("", "docker rmi -f "+app) })
	write(t, filepath.Join(dir, "root/hello"), "hello from "+host)
	sh("", "tar -C root -c . | docker import - "+app)
	id := sh("", "docker image inspect -f '{{.Id}}' "+app)

	refused("", "docker push "+app, "no basic auth credentials")
	refused("wrong", "docker login -u ada --password-stdin "+host, "401 Unauthorized")
	sh(eve, "docker login -u eve --password-stdin "+host)
	refused("", "docker push "+app, "this needs the role developer everywhere, and eve is viewer")
	sh(ada, "docker login -u ada --password-stdin "+host)
	sh("", "docker push "+app)
	sh("", "docker rmi "+app)
	sh(eve, "docker login -u eve --password-stdin "+host)
	sh("", "docker pull "+app)
	if again := sh("", "docker image inspect -f '{{.Id}}' "+app); again != id {
		t.Errorf("pushed %s, pulled %s", id, again)
	}

	// Another client, another form of image, and back.
	copied := " --insecure-policy copy --src-tls-verify=false --dest-tls-verify=false "
	sh("", skopeo+copied+"--format oci --dest-creds ada:"+ada+" docker://"+app+" docker://"+host+"/team/app:oci")
	sh("", skopeo+copied+"docker://"+host+"/team/app:oci oci:layout:app")
	if tags := sh("", skopeo+" list-tags --tls-verify=false docker://"+host+"/team/app"); !strings.Contains(tags, `"1",`) || !strings.Contains(tags, `"oci"`) {
		t.Errorf("skopeo lists %s", tags)
	}

	// Versions of pipelines, read only.
	s := newShop(t, p)
	p.run(s.push(manifest{}).ID, "passed")
	built, err := remote.Image(p.image("shop:b1"), p.login())
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(built, validate.Fast); err != nil && !strings.Contains(err.Error(), "rootfs") {
		t.Error(err) // its config is where it came from, not how it runs
	}
	layers, err := built.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	packed, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	if names := filesIn(t, packed); names != "server version" {
		t.Errorf("shop:b1 has %s", names)
	}
	sh(ada, "docker login -u ada --password-stdin "+host)
	refused("", "docker tag "+app+" "+host+"/shop:b1; docker push "+host+"/shop:b1; ", "versions that Steer builds")
	try("", "docker rmi "+host+"/shop:b1")
	refused("", "steer registry delete shop:b1", "it is a version that Steer built")

	// What people see of it.
	if list := sh("", "steer registry list"); !strings.Contains(list, "team/app    2 ") || !strings.Contains(list, "shop        1 ") {
		t.Errorf("repositories:\n%s", list)
	}
	if list := sh("", "steer registry list shop"); !strings.Contains(list, "application/vnd.steer.artifact.v1+json") || !strings.Contains(list, "built by Steer") {
		t.Errorf("tags of shop:\n%s", list)
	}
	sh("", "steer registry delete team/app:1")
	refused("", "docker pull "+app, "not found")
	sh("", skopeo+" inspect --tls-verify=false docker://"+host+"/team/app:oci")
	refused("", "steer registry delete team/app:1", "there is no such tag")
	refused("", "steer registry list nothing", "there is none")
	refused("", "steer registry delete "+app, "leave out "+host)
	refused("", "steer registry delete team/app", "write NAME:TAG")
	events := sh("", "steer events -o json")
	for _, want := range []string{`"actor": "ada"`, "team/app:1 pushed", "team/app:oci pushed", `"actor": "admin"`, "team/app@sha256:", "deleted"} {
		if !strings.Contains(events, want) {
			t.Errorf("the journal lacks %q:\n%s", want, events)
		}
	}
}

// filesIn are the names of the files in a tar.gz.
func filesIn(t *testing.T, r io.Reader) string {
	t.Helper()
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return strings.Join(names, " ")
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}

// TestRegistryIsKilled: every push that was acknowledged before a kill -9 is there and
// whole after it, and an upload goes on.
func TestRegistryIsKilled(t *testing.T) {
	t.Parallel()
	p := serve(t, t.TempDir())
	half := strings.Repeat("half", 50_000)
	location := ""
	ask := func(method, path, body string) (*http.Response, error) {
		r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.SetBasicAuth("anyone", p.token)
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			res.Body.Close()
		}
		return res, err
	}
	for round := range 3 {
		if res, err := ask("POST", "/v2/team/half/blobs/uploads/", ""); err != nil || res.StatusCode != 202 {
			t.Fatal(res, err)
		} else {
			location = res.Header.Get("Location")
		}
		if res, err := ask("PATCH", location, half); err != nil || res.StatusCode != 202 {
			t.Fatal(res, err)
		}
		var mu sync.Mutex
		var done []string
		var pushing sync.WaitGroup
		enough := make(chan struct{})
		for w := range 2 {
			pushing.Go(func() {
				for i := 0; ; i++ {
					image, err := random.Image(100_000, 2)
					if err != nil {
						t.Error(err)
						return
					}
					ref := fmt.Sprintf("team/app%d:%d-%d", w, round, i)
					if remote.Write(p.image(ref), image, p.login(), remote.WithRetryBackoff(remote.Backoff{Duration: time.Millisecond, Steps: 1})) != nil {
						return // the server is gone
					}
					mu.Lock()
					if done = append(done, ref); len(done) == 6+round {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(patience):
			t.Fatalf("only %d images were pushed", len(done))
		}
		p.kill()
		pushing.Wait()
		p = serve(t, p.data)
		for _, ref := range done {
			image, err := remote.Image(p.image(ref), p.login())
			if err == nil {
				err = validate.Image(image)
			}
			if err != nil {
				t.Errorf("%s was pushed before the kill: %v", ref, err)
			}
		}
		res, err := ask("GET", location, "")
		if want := fmt.Sprintf("0-%d", len(half)-1); err != nil || res.StatusCode != 204 || res.Header.Get("Range") != want {
			t.Fatalf("the upload goes on at %v, want %s (%v)", res, want, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(p.data, "artifacts/uploads/*"))
	if err != nil || len(left) < 3 {
		t.Errorf("uploads: %v, %v", left, err)
	}
	for _, file := range left { // what was cut off has no name of a blob, and no manifest is half
		if strings.Contains(filepath.Base(file), "manifest") {
			t.Errorf("%s is left", file)
		}
	}
}

// TestRegistryConformance: the suite of the Open Container Initiative finds nothing to
// say, neither by the specification as released nor as it stands now.
func TestRegistryConformance(t *testing.T) {
	t.Parallel()
	suite, err := exec.LookPath("conformance")
	if err != nil {
		t.Skip("the suite is not installed: make compat-registry installs it")
	}
	p := serve(t, t.TempDir())
	for _, version := range []string{"1.1", "dev"} {
		cmd := exec.Command(suite)
		cmd.Dir = t.TempDir()
		cmd.Env = append(cleanEnv(), "OCI_REGISTRY="+p.host(), "OCI_TLS=disabled", "OCI_USERNAME=anyone", "OCI_PASSWORD="+p.token, "OCI_VERSION="+version,
			"OCI_REPO1=conformance/"+version, "OCI_REPO2=conformance/other-"+version)
		out, err := cmd.CombinedOutput()
		_, sum, ok := strings.Cut(string(out), "OCI Conformance Result: ")
		if err != nil || !ok || !strings.HasPrefix(sum, "Pass") {
			t.Errorf("version %s: %v\n%s", version, err, out)
		}
		sum, _, _ = strings.Cut(sum, "\n\n")
		t.Logf("version %s: %s", version, sum)
	}
}
