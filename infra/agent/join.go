package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"steer/base/fault"
	"steer/base/id"
	"steer/infra"
)

// Files in the folder of a host that joined.
const (
	IdentityFile = "agent.yaml"
	statusFile   = "agent-status.json"
	queueFile    = "agent-reports.jsonl"
	authority    = "agent-ca.pem"
)

// command is the hidden command of this program that answers a server, see package
// host.
const command = "host-run"

// Identity is who a host is to its server, in agent.yaml. Whoever reads the file can be
// the host.
type Identity struct {
	URL        string  `yaml:"url"`
	Host       id.Host `yaml:"host"`
	Credential string  `yaml:"credential"`
	CA         string  `yaml:"ca,omitempty"` // file with who signs the server's certificate
}

// ReadIdentity reads the identity of a host that joined.
func ReadIdentity(dir string) (i Identity, err error) {
	path := filepath.Join(dir, IdentityFile)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return i, fault.New(fault.NotFound, "this host has not joined a server (steer agent join URL TOKEN)")
	case errors.Is(err, fs.ErrPermission):
		return i, fault.New(fault.Denied, "read the identity of this host: %w (be root)", err)
	case err == nil:
		err = yaml.Unmarshal(b, &i)
	}
	if err != nil {
		return i, fmt.Errorf("read the identity of this host in %s: %w", path, err)
	}
	return i, nil
}

// JoinOptions say where to join.
type JoinOptions struct {
	Dir   string // folder of the host
	URL   string
	Token string
	CA    string // file with who signs the server's certificate; empty: those the system trusts
}

// Join makes this host one that comes to the server by itself.
func Join(ctx context.Context, o JoinOptions) (Identity, error) {
	i := Identity{URL: strings.TrimRight(o.URL, "/"), Credential: o.Token}
	if u, err := url.Parse(i.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return i, fault.New(fault.Invalid, "%q is no address of a server (write https://NAME:PORT)", o.URL)
	}
	if old, err := ReadIdentity(o.Dir); err == nil {
		return i, fault.New(fault.Conflict, "this host has joined %s as %s (steer agent leave comes first)", old.URL, old.Host)
	} else if fault.Of(err) != fault.NotFound {
		return i, err
	}
	// The token is good once: what can fail here shall fail before.
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return i, fault.New(fault.Denied, "join: %w (be root)", err)
	}
	if o.CA != "" {
		b, err := os.ReadFile(o.CA)
		if err != nil {
			return i, fault.New(fault.Invalid, "read the certificates of --ca: %w", err)
		}
		i.CA = filepath.Join(o.Dir, authority)
		if err := put(i.CA, b); err != nil {
			return i, err
		}
	}
	if err := put(filepath.Join(o.Dir, IdentityFile+".probe"), nil); err != nil {
		return i, err
	}
	os.Remove(filepath.Join(o.Dir, IdentityFile+".probe"))
	client, err := newClient(i)
	if err != nil {
		return i, err
	}
	res, err := client.ask(ctx, http.MethodPost, "/api/v1/hosts/join", map[string]string{"machine": machineID()})
	if err != nil {
		return i, err
	}
	defer res.Body.Close()
	var j Joined
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&j); err != nil {
		return i, fmt.Errorf("join: read the server's answer: %w", err)
	}
	i.Host, i.Credential = j.Host, j.Credential
	b, err := yaml.Marshal(i)
	if err == nil {
		err = put(filepath.Join(o.Dir, IdentityFile), b)
	}
	return i, err
}

// Leave ends the identity of this host at the server, stops its agent, and forgets both
// here. With force it does so also when the server does not answer.
func Leave(ctx context.Context, dir string, force bool) (Identity, error) {
	i, err := ReadIdentity(dir)
	if err != nil {
		return i, err
	}
	client, err := newClient(i)
	if err == nil {
		var res *http.Response
		if res, err = client.ask(ctx, http.MethodDelete, "/api/v1/hosts/agent", nil); err == nil {
			res.Body.Close()
		}
	}
	if err != nil && fault.Of(err) != fault.Anonymous && !force { // Anonymous: it was revoked
		return i, fmt.Errorf("%w (--force leaves without the server; then revoke %s there)", err, i.Host)
	}
	if err := stop(ctx, dir); err != nil {
		return i, err
	}
	for _, name := range []string{IdentityFile, statusFile, queueFile, authority, filepath.Join("bin", "agent")} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return i, fmt.Errorf("leave: %w", err)
		}
	}
	return i, nil
}

// put writes a file that only its owner may read: whole or not at all.
func put(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if infra.DiskTrouble(err) {
		return fmt.Errorf("write %s: %w", path, infra.OnDisk(path, err))
	}
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			err = fault.New(fault.Denied, "%w (be root)", err)
		}
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, infra.OnDisk(path, err))
	}
	return nil
}

// machineID tells machines apart, see machine-id(5).
func machineID() string {
	b, _ := os.ReadFile("/etc/machine-id")
	return strings.TrimSpace(string(b[:min(len(b), 64)]))
}

// client asks the server as the host.
type client struct {
	id   Identity
	http *http.Client
}

// answering is how long the server may take to begin an answer.
const answering = 30 * time.Second

func newClient(i Identity) (*client, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, TLSHandshakeTimeout: 10 * time.Second,
		ResponseHeaderTimeout: answering, IdleConnTimeout: time.Minute,
		// HTTP/2 has no upgrade.
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
		TLSNextProto:    map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	if i.CA != "" {
		b, err := os.ReadFile(i.CA)
		if err != nil {
			return nil, fmt.Errorf("read who signs the server's certificate: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(b) {
			return nil, fault.New(fault.Invalid, "read who signs the server's certificate: %s holds no certificate (PEM)", i.CA)
		}
	}
	return &client{i, &http.Client{Transport: t}}, nil
}

// ask sends a request, with a body as JSON unless that is nil. Errors have the kind and
// the text that the server gave them.
func (c *client) ask(ctx context.Context, method, path string, body any, headers ...string) (*http.Response, error) {
	b := []byte(nil)
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.id.URL+path, bytes.NewReader(b))
	if err != nil {
		return nil, fault.New(fault.Invalid, "ask the server: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.Header.Set("Authorization", "Bearer "+c.id.Credential)
	res, err := c.http.Do(req)
	if err != nil {
		if wrong := (*url.Error)(nil); errors.As(err, &wrong) {
			err = wrong.Err // its text repeats the address
		}
		return nil, fault.New(fault.Unavailable, "no answer from the server at %s: %w", c.id.URL, err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	b, _ = io.ReadAll(io.LimitReader(res.Body, 64<<10))
	problem := struct{ Detail string }{Detail: strings.TrimSpace(string(b))}
	json.Unmarshal(b, &problem) //nolint:errcheck // else it is the text of a proxy
	if problem.Detail == "" {
		problem.Detail = res.Status
	}
	return nil, fault.New(fault.OfStatus(res.StatusCode), "%s", problem.Detail)
}
