package kubernetes

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"steer/base/id"
	"steer/deliver/deploy/kubernetes/internal/api"
)

// A real control plane is used when STEER_TEST_KUBERNETES names a folder with
// kube-apiserver and kube-controller-manager, and there is etcd. They cannot be had
// as packages, so STEER_REQUIRE_ALL does not ask for them.
const binaries = "STEER_TEST_KUBERNETES"

// adminToken and steerToken say who asks: one who may do everything, and one who has
// the Role of the documentation.
var adminToken, steerToken = id.New(), id.New()

// control is a control plane.
type control struct{ server, ca string }

var plane = sync.OnceValues(func() (p control, err error) {
	dir, err := os.MkdirTemp("", "steer-kubernetes-")
	if err != nil {
		return p, err
	}
	cleanups = append(cleanups, func() { os.RemoveAll(dir) })
	file := func(name string) string { return filepath.Join(dir, name) }
	ports, err := free(3)
	if err != nil {
		return p, err
	}
	if err := os.WriteFile(file("tokens"), []byte(adminToken+",admin,1,system:masters\n"+steerToken+",steer,2\n"), 0o600); err != nil {
		return p, err
	}
	if out, err := exec.Command("openssl", "genrsa", "-out", file("sa.key"), "2048").CombinedOutput(); err != nil {
		return p, fmt.Errorf("%w: %s", err, out)
	}
	etcd := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	if err := begin("etcd", "--data-dir="+file("etcd"), "--listen-client-urls="+etcd, "--advertise-client-urls="+etcd, fmt.Sprintf("--listen-peer-urls=http://127.0.0.1:%d", ports[1]), "--unsafe-no-fsync"); err != nil {
		return p, err
	}
	folder := os.Getenv(binaries)
	server := fmt.Sprintf("https://127.0.0.1:%d", ports[2])
	if err := begin(filepath.Join(folder, "kube-apiserver"), "--etcd-servers="+etcd, "--cert-dir="+dir, fmt.Sprintf("--secure-port=%d", ports[2]), "--bind-address=127.0.0.1",
		"--token-auth-file="+file("tokens"), "--authorization-mode=RBAC", "--service-account-issuer=https://test", "--service-account-signing-key-file="+file("sa.key"),
		"--service-account-key-file="+file("sa.key"), "--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount", "--kubelet-preferred-address-types=InternalIP"); err != nil {
		return p, err
	}
	var ca []byte
	for end := time.Now().Add(90 * time.Second); len(ca) == 0; time.Sleep(50 * time.Millisecond) { // it makes its own
		if ca, _ = os.ReadFile(file("apiserver.crt")); time.Now().After(end) {
			return p, errors.New("the API server makes no certificate")
		}
	}
	p = control{server, base64.StdEncoding.EncodeToString(ca)}
	if err := setup(file("admin"), p.server, p.ca, "default", "token: "+adminToken); err != nil {
		return p, err
	}
	admin := api.New(file("admin"), "", "default")
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		err := admin.Call(context.Background(), "GET", "/api/v1/namespaces/default", nil, nil, nil)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			return p, fmt.Errorf("the API server does not come up: %w", err)
		}
	}
	return p, begin(filepath.Join(folder, "kube-controller-manager"), "--kubeconfig="+file("admin"), "--controllers=replicaset-controller,garbage-collector-controller,resourcequota-controller,namespace-controller",
		"--leader-elect=false", "--secure-port=0", "--concurrent-replicaset-syncs=5")
})

// begin begins a program that ends with the tests.
func begin(name string, args ...string) error {
	c := exec.Command(name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if log := os.Getenv("STEER_TEST_KUBERNETES_LOG"); log != "" {
		f, err := os.Create(filepath.Join(log, filepath.Base(name)))
		if err != nil {
			return err
		}
		c.Stdout, c.Stderr = f, f
	}
	if err := c.Start(); err != nil {
		return err
	}
	cleanups = append(cleanups, func() { c.Process.Kill(); c.Wait() })
	return nil
}

// free are ports that nobody has.
func free(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

var cleanups []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for i := len(cleanups) - 1; i >= 0; i-- {
		cleanups[i]()
	}
	os.Exit(code)
}

func realWorld(t *testing.T) *world {
	t.Helper()
	if os.Getenv(binaries) == "" {
		t.Skip(binaries + " names no folder with kube-apiserver and kube-controller-manager")
	}
	p, err := plane()
	if err != nil {
		t.Fatal(err)
	}
	w, file, space := &world{kubeconfig: filepath.Join(t.TempDir(), "config")}, filepath.Join(t.TempDir(), "admin"), "steer-"+id.New()[24:]
	write(t, file, p.server, p.ca, space, "token: "+adminToken)
	write(t, w.kubeconfig, p.server, p.ca, space, "token: "+steerToken)
	w.admin = api.New(file, "", space)
	must := func(path string, in any) {
		t.Helper()
		if err := w.admin.Call(t.Context(), "POST", path, nil, in, nil); err != nil {
			t.Fatal(err)
		}
	}
	must("/api/v1/namespaces", map[string]any{"metadata": meta{Name: space}})
	// Steer has no more rights than the documentation says.
	access, err := os.ReadFile("../../../examples/kubernetes/access.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(string(access), "\n---\n") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(part), &o); err != nil {
			t.Fatal(err)
		}
		if o["kind"] == "RoleBinding" {
			o["subjects"] = []any{map[string]any{"kind": "User", "name": "steer", "apiGroup": "rbac.authorization.k8s.io"}}
		}
		switch kind := o["kind"].(string); kind {
		case "Role", "RoleBinding":
			must("/apis/rbac.authorization.k8s.io/v1/namespaces/"+space+"/"+strings.ToLower(kind)+"s", o)
		default:
			must(w.admin.Path("serviceaccounts"), o)
		}
	}
	w.machine(t)
	return w
}
