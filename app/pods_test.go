package app_test

import (
	"archive/tar"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"steer/api/client"
)

// cluster is an API that keeps what is made in it, and makes no pods.
type cluster struct {
	mu   sync.Mutex
	made map[string][]map[string]any // by kind
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Method == "POST":
		var o map[string]any
		json.NewDecoder(r.Body).Decode(&o)
		o["metadata"].(map[string]any)["uid"] = "1"
		c.mu.Lock()
		kind := filepath.Base(r.URL.Path)
		c.made[kind] = append(c.made[kind], o)
		c.mu.Unlock()
		json.NewEncoder(w).Encode(o)
	case r.URL.Query().Get("watch") != "":
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	default:
		io.WriteString(w, `{"metadata": {"resourceVersion": "1"}, "items": []}`)
	}
}

// image is that of the newest node.
func (c *cluster) image() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.made["replicasets"]
	if len(all) == 0 {
		return ""
	}
	at := all[len(all)-1]["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	return at["containers"].([]any)[0].(map[string]any)["image"].(string)
}

// password is what machines pull with.
func (c *cluster) password(t *testing.T, registry string) string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range slices.Backward(c.made["secrets"]) {
		if s["type"] != "kubernetes.io/dockerconfigjson" {
			continue
		}
		text, err := base64.StdEncoding.DecodeString(s["data"].(map[string]any)[".dockerconfigjson"].(string))
		if err != nil {
			t.Fatal(err)
		}
		var login struct {
			Auths map[string]struct{ Password string }
		}
		if err := json.Unmarshal(text, &login); err != nil {
			t.Fatal(err)
		}
		return login.Auths[registry].Password
	}
	t.Fatal("there is no pull secret")
	return ""
}

func TestArchivesForPods(t *testing.T) {
	c := &cluster{made: map[string][]map[string]any{}}
	api := httptest.NewServer(c)
	t.Cleanup(func() { api.CloseClientConnections(); api.Close() })
	data := t.TempDir()
	kubeconfig := filepath.Join(data, "kubeconfig")
	write(t, kubeconfig, fmt.Sprintf("current-context: x\ncontexts: [{name: x, context: {cluster: x}}]\nclusters: [{name: x, cluster: {server: %q}}]\n", api.URL))
	s := start(t, data, "deploy.kubernetes.kubeconfig="+kubeconfig, "deploy.kubernetes.registry=steer.test:8080", "deploy.kubernetes.arrive=1s")
	environments := "production:\n  driver: kubernetes\n  kubernetes: {namespace: shop}\n  nodes:\n  - services: [shop]\n"
	s.define(map[string]string{"environments.yaml": environments, "services.yaml": "shop: {}\n", "teams.yaml": "{}\n"})
	s.push("shop", shop("true", ""))
	s.passed("shop", "b1")
	deploy := func() client.Deploy {
		t.Helper()
		d, err := s.api.Deploy(t.Context(), "shop", "production", "b1", "", false)
		if err != nil {
			t.Fatal(err)
		}
		return s.deployed(d)
	}
	if d := deploy(); d.State != "failed" || d.Failure == nil || !strings.Contains(d.Failure.Message, "node 1 of b1: not started within 1s: it is made in the cluster") {
		t.Fatalf("%+v", d)
	}

	at := strings.TrimPrefix(s.url, "http://")
	login := func() remote.Option {
		return remote.WithAuth(&authn.Basic{Username: "kubernetes", Password: c.password(t, "steer.test:8080")})
	}
	pull := func() (v1.Image, []string) {
		t.Helper()
		ref, err := name.NewDigest(strings.Replace(c.image(), "steer.test:8080", at, 1))
		if err != nil {
			t.Fatal(err)
		}
		image, err := remote.Image(ref, login())
		if err == nil {
			err = validate.Image(image)
		}
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		for from := tar.NewReader(mutate.Extract(image)); ; {
			h, err := from.Next()
			if errors.Is(err, io.EOF) {
				return image, files
			} else if err != nil {
				t.Fatal(err)
			}
			files = append(files, h.Name)
		}
	}
	if _, files := pull(); !slices.Equal(files, []string{"app/", "tmp/", "app/shop.sh"}) && !slices.Contains(files, "app/shop.sh") {
		t.Errorf("%q", files)
	}
	token := c.password(t, "steer.test:8080")
	if r := s.as(token).do("POST", "/api/v1/definitions", map[string]any{"base": "", "message": "x", "files": map[string]string{}}); r.code != 403 {
		t.Errorf("clusters may change things: %v", r)
	}

	// In an image of the registry; one that is not there is told.
	within := func(image string) {
		s.define(map[string]string{"environments.yaml": environments + "    image: " + image + "\n"})
	}
	within("base/debian:1")
	if d := deploy(); d.State != "failed" || !strings.Contains(d.Failure.Message, "image of shop b1: environments.yaml names one for its nodes: image base/debian:1: there is none") || !strings.Contains(d.Failure.Message, "docker push HOST:PORT/base/debian:1") {
		t.Errorf("%+v", d.Failure)
	}
	base, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	to, err := name.NewTag(at + "/base/debian:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(to, base, remote.WithAuth(&authn.Basic{Username: "ada", Password: s.token})); err != nil {
		t.Fatal(err)
	}
	// A token that was revoked is replaced.
	tokens, err := s.api.Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range tokens {
		if strings.HasPrefix(string(one.Name), "kubernetes-") {
			if err := s.api.RevokeToken(t.Context(), string(one.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	deploy()
	image, files := pull()
	if layers, err := image.Layers(); err != nil || len(layers) != 3 || !slices.Contains(files, "app/shop.sh") {
		t.Errorf("%v, %d layers, %q", err, len(layers), files)
	}
	if c.password(t, "steer.test:8080") == token {
		t.Error("the token is the one that was revoked")
	}
}
