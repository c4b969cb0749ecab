package api

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v4"

	"steer/base/fault"
)

// podFolder is where Kubernetes puts what a pod needs to speak to its cluster.
const podFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

// tokenAge is how long the content of a token file is used before it is read again:
// Kubernetes renews such files about every hour.
const tokenAge = time.Minute

// kubeconfig is the part of the file that matters here. What is not understood is
// left alone: the file is written for kubectl.
// https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
type kubeconfig struct {
	Current  string `yaml:"current-context"`
	Contexts []struct {
		Name    string `yaml:"name"`
		Context struct {
			Cluster   string `yaml:"cluster"`
			User      string `yaml:"user"`
			Namespace string `yaml:"namespace"`
		} `yaml:"context"`
	} `yaml:"contexts"`
	Clusters []struct {
		Name    string      `yaml:"name"`
		Cluster clusterPart `yaml:"cluster"`
	} `yaml:"clusters"`
	Users []struct {
		Name string   `yaml:"name"`
		User userPart `yaml:"user"`
	} `yaml:"users"`
}

type clusterPart struct {
	Server     string `yaml:"server"`
	CAFile     string `yaml:"certificate-authority"`
	CAData     string `yaml:"certificate-authority-data"`
	Insecure   bool   `yaml:"insecure-skip-tls-verify"`
	ServerName string `yaml:"tls-server-name"`
	Proxy      string `yaml:"proxy-url"`
}

type userPart struct {
	CertFile  string    `yaml:"client-certificate"`
	CertData  string    `yaml:"client-certificate-data"`
	KeyFile   string    `yaml:"client-key"`
	KeyData   string    `yaml:"client-key-data"`
	Token     string    `yaml:"token"`
	TokenFile string    `yaml:"tokenFile"`
	As        string    `yaml:"as"`
	Exec      *execPart `yaml:"exec"`
	Provider  any       `yaml:"auth-provider"`
	User      string    `yaml:"username"`
}

// access is how one cluster is reached, and as whom.
type access struct {
	server    string // https://HOST:PORT
	namespace string // that the file says
	http      *http.Client
	as        string // who is meant, if not who asks
	who       credentials
}

// find says which file is to be read; "" is that of the pod.
func find(file string) (string, error) {
	if file != "" {
		return file, nil
	}
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		if _, err := os.Stat(filepath.Join(podFolder, "token")); err == nil {
			return "", nil
		}
	}
	if file = os.Getenv("KUBECONFIG"); file != "" {
		if len(filepath.SplitList(file)) > 1 {
			return "", fault.New(fault.Invalid, "KUBECONFIG names several files, which are not joined here (write one with kubectl config view --flatten, and name it in deploy.kubernetes.kubeconfig)")
		}
		return file, nil
	}
	home, err := os.UserHomeDir()
	if err == nil {
		file = filepath.Join(home, ".kube", "config")
		_, err = os.Stat(file)
	}
	if err != nil {
		return "", fault.New(fault.Invalid, "nothing says how to reach a Kubernetes cluster (name a kubeconfig file in deploy.kubernetes.kubeconfig of server.yaml, or run Steer in a pod)")
	}
	return file, nil
}

// open reads how to reach the cluster of a context; "" is the one that the file uses.
func open(file, context string) (*access, error) {
	file, err := find(file)
	if err != nil {
		return nil, err
	}
	if file == "" {
		if context != "" {
			return nil, fault.New(fault.Invalid, "context %q: Steer runs in a pod, and knows that cluster only (remove kubernetes.context, or name a kubeconfig file in deploy.kubernetes.kubeconfig)", context)
		}
		return inPod(podFolder)
	}
	fail := func(err error) (*access, error) {
		return nil, fault.New(fault.Invalid, "kubeconfig %s: %w", file, err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read kubeconfig: %w (deploy.kubernetes.kubeconfig says where it is)", err)
	}
	var k kubeconfig
	if err := yaml.Unmarshal(data, &k); err != nil {
		return fail(err)
	}
	a, err := k.access(cmp.Or(context, k.Current), filepath.Dir(file))
	if err != nil {
		return fail(err)
	}
	return a, nil
}

func (k kubeconfig) access(name, dir string) (*access, error) {
	if name == "" {
		return nil, errors.New("it has no current-context (kubectl config use-context, or kubernetes.context of the environment)")
	}
	var known []string
	for _, c := range k.Contexts {
		known = append(known, c.Name)
	}
	i := slices.Index(known, name)
	if i < 0 {
		return nil, fmt.Errorf("there is no context %q (known: %s)", name, strings.Join(known, ", "))
	}
	in := k.Contexts[i].Context
	var c *clusterPart
	for j := range k.Clusters {
		if k.Clusters[j].Name == in.Cluster {
			c = &k.Clusters[j].Cluster
		}
	}
	if c == nil {
		return nil, fmt.Errorf("context %q names the cluster %q, which is not there", name, in.Cluster)
	}
	var u userPart
	found := in.User == ""
	for j := range k.Users {
		if k.Users[j].Name == in.User {
			u, found = k.Users[j].User, true
		}
	}
	switch {
	case !found:
		return nil, fmt.Errorf("context %q names the user %q, who is not there", name, in.User)
	case u.Provider != nil:
		return nil, fmt.Errorf("user %q has an auth-provider, which Kubernetes has given up (use exec)", in.User)
	case u.User != "":
		return nil, fmt.Errorf("user %q has a username and password, which Kubernetes has given up (use a token, a certificate or exec)", in.User)
	}
	a := &access{namespace: in.Namespace, as: u.As}
	if err := a.reach(*c, dir); err != nil {
		return nil, fmt.Errorf("cluster %q: %w", in.Cluster, err)
	}
	if err := a.identify(u, *c, dir); err != nil {
		return nil, fmt.Errorf("user %q: %w", in.User, err)
	}
	return a, nil
}

// reach makes the way to the server.
func (a *access) reach(c clusterPart, dir string) error {
	u, err := url.Parse(c.Server)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("server: %q is no address (write https://HOST:PORT)", c.Server)
	}
	a.server = strings.TrimRight(c.Server, "/")
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 16,
		// A watch is silent while nothing happens: only a ping tells that the way is cut.
		HTTP2:           &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
		TLSClientConfig: &tls.Config{ServerName: c.ServerName, InsecureSkipVerify: c.Insecure, MinVersion: tls.VersionTLS12},
	}
	if c.Proxy != "" {
		p, err := url.Parse(c.Proxy)
		if err != nil {
			return fmt.Errorf("proxy-url: %w", err)
		}
		t.Proxy = http.ProxyURL(p)
	}
	ca, err := content(c.CAData, c.CAFile, dir)
	if err != nil {
		return fmt.Errorf("certificate-authority: %w", err)
	}
	if len(ca) > 0 {
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(ca) {
			return errors.New("certificate-authority: it holds no certificate")
		}
	}
	// The way to the server says who asks, too: exec may tell a certificate later.
	t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if pair := a.who.certificate(); pair != nil {
			return pair, nil
		}
		return &tls.Certificate{}, nil
	}
	a.http = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return nil
}

// identify makes that which says who asks.
func (a *access) identify(u userPart, c clusterPart, dir string) error {
	cert, err := content(u.CertData, u.CertFile, dir)
	if err != nil {
		return fmt.Errorf("client-certificate: %w", err)
	}
	key, err := content(u.KeyData, u.KeyFile, dir)
	if err != nil {
		return fmt.Errorf("client-key: %w", err)
	}
	if len(cert) > 0 || len(key) > 0 {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return fmt.Errorf("client-certificate: %w", err)
		}
		a.who.pair = &pair
	}
	switch {
	case u.TokenFile != "":
		a.who.file = beside(dir, u.TokenFile)
	case u.Token != "":
		a.who.token = u.Token
	case u.Exec != nil:
		if err := u.Exec.check(); err != nil {
			return fmt.Errorf("exec: %w", err)
		}
		a.who.exec = &program{execPart: *u.Exec, cluster: c, dir: dir}
	}
	return nil
}

// inPod is the access of the pod that Steer runs in.
func inPod(dir string) (*access, error) {
	a := &access{who: credentials{file: filepath.Join(dir, "token")}}
	if space, err := os.ReadFile(filepath.Join(dir, "namespace")); err == nil {
		a.namespace = strings.TrimSpace(string(space))
	}
	c := clusterPart{Server: "https://" + net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), cmp.Or(os.Getenv("KUBERNETES_SERVICE_PORT"), "443")), CAFile: "ca.crt"}
	if err := a.reach(c, dir); err != nil {
		return nil, fault.New(fault.Invalid, "service account of this pod in %s: %w", dir, err)
	}
	return a, nil
}

// content is that of a field that may stand in the file itself, or in another.
func content(data, file, dir string) ([]byte, error) {
	if data != "" {
		return base64.StdEncoding.DecodeString(data)
	}
	if file == "" {
		return nil, nil
	}
	return os.ReadFile(beside(dir, file))
}

// beside is a path that is meant from the file that names it.
func beside(dir, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

// credentials say who asks. What changes is looked up again.
type credentials struct {
	file string // of a token
	exec *program

	mu    sync.Mutex
	token string
	pair  *tls.Certificate
	until time.Time // when token and pair are too old; zero: never
	known bool
}

// bearer is the token to send, "" if there is none.
func (c *credentials) bearer(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := c.known && (c.until.IsZero() || time.Now().Before(c.until))
	switch {
	case c.file != "" && !fresh:
		b, err := os.ReadFile(c.file)
		if err != nil {
			return "", fault.New(fault.Unavailable, "read the token of the Kubernetes user: %w", err)
		}
		c.token, c.until, c.known = strings.TrimSpace(string(b)), time.Now().Add(tokenAge), true
	case c.exec != nil && !fresh:
		got, err := c.exec.run(ctx)
		if err != nil {
			return "", err
		}
		c.token, c.pair, c.until, c.known = got.token, got.pair, got.until, true
	}
	return c.token, nil
}

func (c *credentials) certificate() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair
}
