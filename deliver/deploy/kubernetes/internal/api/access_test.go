package api

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/fault"
)

// gate is a server that tells who came, by token or certificate.
type gate struct {
	*httptest.Server
	mu    sync.Mutex
	token string // that lets in; "": a certificate does
	came  int
}

func newGate(t *testing.T) *gate {
	g := &gate{}
	g.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.came++
		if g.token != "" && r.Header.Get("Authorization") != "Bearer "+g.token || g.token == "" && len(r.TLS.PeerCertificates) == 0 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"as": %q}`, r.Header.Get("Impersonate-User"))
	}))
	g.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	g.StartTLS()
	t.Cleanup(g.Close)
	return g
}

func (g *gate) lets(token string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.token = token
}

// pair is a client's certificate and key, PEM.
func pair(t *testing.T) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "steer"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func put(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

// ca is the gate's certificate, PEM.
func (g *gate) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Certificate().Raw})
}

// write writes a kubeconfig for the gate.
func write(t *testing.T, file string, g *gate, user string) {
	t.Helper()
	put(t, file, fmt.Sprintf("current-context: test\ncontexts: [{name: test, context: {cluster: test, user: test, namespace: shop}}]\n"+
		"clusters: [{name: test, cluster: {server: %q, certificate-authority-data: %s}}]\nusers: [{name: test, user: {%s}}]\n",
		g.URL, base64.StdEncoding.EncodeToString(g.ca()), user))
}

func ask(t *testing.T, c *Client) (as string, err error) {
	t.Helper()
	var out struct{ As string }
	err = c.Call(t.Context(), "GET", "/x", nil, nil, &out)
	return out.As, err
}

func TestWaysIn(t *testing.T) {
	t.Parallel()
	cert, key := pair(t)
	b64 := base64.StdEncoding.EncodeToString
	const said = `{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": %s}`
	for _, c := range []struct{ name, user, token, want string }{
		{"token", "token: t1", "t1", ""},
		{"token file", "tokenFile: token", "from-file", ""},
		{"another's name", "token: t1, as: ada", "t1", ""},
		{"certificate", "client-certificate-data: " + b64(cert) + ", client-key-data: " + b64(key), "", ""},
		{"certificate files", "client-certificate: cert, client-key: key", "", ""},
		{"program", "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./tell, args: [x], env: [{name: SAY, value: abc}], provideClusterInfo: true, interactiveMode: Never}", "from-x-abc-https", ""},
		{"program with certificate", "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./certify}", "", ""},
		{"program fails", "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./fail}", "x", "credential program ./fail, which the kubeconfig names: exit status 3: log in first"},
		{"program is not there", "exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-program, installHint: install it}", "x", "install it"},
		{"program says nothing", "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./silent}", "x", "it wrote no ExecCredential with a status"},
		{"program wants a person", "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./tell, interactiveMode: Always}", "x", "it wants to ask a person"},
		{"old program", "exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: ./tell}", "x", `apiVersion "client.authentication.k8s.io/v1alpha1" is unknown`},
		{"password", "username: ada, password: x", "x", "a username and password, which Kubernetes has given up"},
		{"provider", "auth-provider: {name: gcp}", "x", "an auth-provider, which Kubernetes has given up"},
		{"half a certificate", "client-certificate: cert", "x", "client-certificate: "},
		{"no rights", "token: other", "x", "does not know who Steer is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g, dir := newGate(t), t.TempDir()
			g.lets(c.token)
			put(t, filepath.Join(dir, "token"), "from-file\n")
			put(t, filepath.Join(dir, "cert"), string(cert))
			put(t, filepath.Join(dir, "key"), string(key))
			put(t, filepath.Join(dir, "tell"), "#!/bin/sh\nscheme=$(printf %s \"$KUBERNETES_EXEC_INFO\" | grep -o 'https' | head -1)\nprintf '"+fmt.Sprintf(said, `{"token": "from-%s-%s-%s"}`)+"' \"$1\" \"$SAY\" \"$scheme\"\n")
			put(t, filepath.Join(dir, "said"), fmt.Sprintf(said, fmt.Sprintf(`{"clientCertificateData": %q, "clientKeyData": %q}`, cert, key)))
			put(t, filepath.Join(dir, "certify"), "#!/bin/sh\ncat "+filepath.Join(dir, "said")+"\n")
			put(t, filepath.Join(dir, "fail"), "#!/bin/sh\necho secret\necho log in first >&2\nexit 3\n")
			put(t, filepath.Join(dir, "silent"), "#!/bin/sh\necho secret\n")
			file := filepath.Join(dir, "config")
			write(t, file, g, c.user)
			as, err := ask(t, &Client{file: file})
			if c.want == "" && (err != nil || (as == "ada") != strings.Contains(c.user, "as: ada")) {
				t.Fatalf("%v %q", err, as)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret")) {
				t.Fatalf("%v, want %s", err, c.want)
			}
		})
	}
}

// What an API no longer takes is looked up again.
func TestCredentialsAreRenewed(t *testing.T) {
	t.Parallel()
	g, dir := newGate(t), t.TempDir()
	file, at := filepath.Join(dir, "config"), filepath.Join(dir, "said")
	tell := func(token string, until time.Time) {
		put(t, at, fmt.Sprintf(`{"kind": "ExecCredential", "status": {"token": %q, "expirationTimestamp": %q}}`, token, until.UTC().Format(time.RFC3339)))
	}
	put(t, filepath.Join(dir, "tell"), "#!/bin/sh\necho x >> "+filepath.Join(dir, "ran")+"\ncat "+at+"\n")
	write(t, file, g, "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./tell}")
	ran := func() int { b, _ := os.ReadFile(filepath.Join(dir, "ran")); return strings.Count(string(b), "x") }
	c := &Client{file: file}
	works := func(runs int) {
		t.Helper()
		if _, err := ask(t, c); err != nil || ran() != runs {
			t.Fatalf("%v, it ran %d times, want %d", err, ran(), runs)
		}
	}
	g.lets("t1")
	tell("t1", time.Now().Add(time.Hour))
	works(1)
	works(1) // it is kept
	g.lets("t2")
	tell("t2", time.Now().Add(-time.Hour))
	if _, err := ask(t, c); fault.Of(err) != fault.Denied || ran() != 1 { // the API is not pestered
		t.Fatalf("%v %d", err, ran())
	}
	c.opened = time.Time{} // long ago
	works(2)
	works(3) // what has expired is asked for again
	g.lets("t3")
	write(t, file, g, "token: t3")
	if _, err := ask(t, c); fault.Of(err) != fault.Denied || ran() != 4 {
		t.Fatalf("%v %d", err, ran())
	}
	c.opened = time.Time{}
	works(5) // the file has another token now
}

func TestInAPod(t *testing.T) {
	g, dir := newGate(t), t.TempDir()
	g.lets("of-the-pod")
	host, port, _ := strings.Cut(strings.TrimPrefix(g.URL, "https://"), ":")
	t.Setenv("KUBERNETES_SERVICE_HOST", host)
	t.Setenv("KUBERNETES_SERVICE_PORT", port)
	put(t, filepath.Join(dir, "token"), "of-the-pod")
	put(t, filepath.Join(dir, "namespace"), "shop\n")
	put(t, filepath.Join(dir, "ca.crt"), string(g.ca()))
	a, err := inPod(dir)
	if err != nil || a.namespace != "shop" {
		t.Fatal(err)
	}
	if _, err := ask(t, &Client{at: a, namespace: a.namespace}); err != nil {
		t.Fatal(err)
	}
	if token, err := a.who.bearer(context.Background()); err != nil || token != "of-the-pod" {
		t.Fatal(err)
	}
}

func TestWhichFile(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := find(""); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "nothing says how to reach a Kubernetes cluster") {
		t.Error(err)
	}
	os.Mkdir(filepath.Join(home, ".kube"), 0o700)
	at := put(t, filepath.Join(home, ".kube", "config"), "")
	if file, err := find(""); err != nil || file != at {
		t.Error(file, err)
	}
	t.Setenv("KUBECONFIG", "/a")
	if file, err := find(""); err != nil || file != "/a" {
		t.Error(file, err)
	}
	t.Setenv("KUBECONFIG", "/a:/b")
	if _, err := find(""); fault.Of(err) != fault.Invalid {
		t.Error(err)
	}
	if file, err := find("/c"); err != nil || file != "/c" {
		t.Error(file, err)
	}
}

func TestWhatIsWrongWithAKubeconfig(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: [":                "kubeconfig ",
		"current-context: ''": "it has no current-context",
		"current-context: x":  `there is no context "x" (known: )`,
		"current-context: x\ncontexts: [{name: x, context: {cluster: y}}]":                                                                                          `names the cluster "y", which is not there`,
		"current-context: x\ncontexts: [{name: x, context: {cluster: y, user: z}}]\nclusters: [{name: y}]":                                                          `names the user "z", who is not there`,
		"current-context: x\ncontexts: [{name: x, context: {cluster: y}}]\nclusters: [{name: y, cluster: {server: nowhere}}]":                                       `server: "nowhere" is no address`,
		"current-context: x\ncontexts: [{name: x, context: {cluster: y}}]\nclusters: [{name: y, cluster: {server: 'https://x', certificate-authority-data: eA==}}]": "it holds no certificate",
	} {
		file := put(t, filepath.Join(t.TempDir(), "config"), text)
		if _, err := open(file, ""); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
