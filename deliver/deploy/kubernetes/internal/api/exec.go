package api

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
)

// execTime is how long a credential program may take.
const execTime = time.Minute

// execPart names a program that says who asks: aws, gke-gcloud-auth-plugin,
// kubelogin and their like.
// https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
type execPart struct {
	Version string   `yaml:"apiVersion"`
	Command string   `yaml:"command"`
	Args    []string `yaml:"args"`
	Env     []struct {
		Name  string `yaml:"name"`
		Value string `yaml:"value"`
	} `yaml:"env"`
	Hint        string `yaml:"installHint"`
	Cluster     bool   `yaml:"provideClusterInfo"`
	Interactive string `yaml:"interactiveMode"`
}

func (e execPart) check() error {
	switch {
	case e.Version != "client.authentication.k8s.io/v1" && e.Version != "client.authentication.k8s.io/v1beta1":
		return fmt.Errorf("apiVersion %q is unknown (client.authentication.k8s.io/v1)", e.Version)
	case e.Command == "":
		return errors.New("it has no command")
	case e.Interactive == "Always":
		return errors.New("it wants to ask a person, and a server has none (interactiveMode: Always)")
	}
	return nil
}

type program struct {
	execPart
	cluster clusterPart
	dir     string // of the kubeconfig
}

// told is what a credential program said.
type told struct {
	token string
	pair  *tls.Certificate
	until time.Time
}

// run asks the program. Its output is a secret and never part of an error.
func (p *program) run(ctx context.Context) (r told, err error) {
	ctx, cancel := context.WithTimeout(ctx, execTime)
	defer cancel()
	command := p.Command
	if strings.Contains(command, "/") { // others are looked up in PATH
		command = beside(p.dir, command)
	}
	fail := func(err error) (told, error) {
		return told{}, fault.New(fault.Unavailable, "credential program %s, which the kubeconfig names: %w", p.Command, err)
	}
	info, err := p.info()
	if err != nil {
		return fail(err)
	}
	c := exec.CommandContext(ctx, command, p.Args...)
	c.Env = append(os.Environ(), "KUBERNETES_EXEC_INFO="+string(info))
	for _, e := range p.Env {
		c.Env = append(c.Env, e.Name+"="+e.Value)
	}
	var out, said deploy.Ending
	c.Stdout, c.Stderr, c.WaitDelay = &out, &said, time.Second
	if err := c.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) && p.Hint != "" {
			err = fmt.Errorf("%w; %s", err, strings.TrimSpace(p.Hint))
		}
		if text := strings.TrimSpace(string(said.Bytes())); text != "" {
			err = fmt.Errorf("%w: %.500s", err, text)
		}
		return fail(err)
	}
	var answer struct {
		Kind   string `json:"kind"`
		Status *struct {
			Token string    `json:"token"`
			Cert  string    `json:"clientCertificateData"`
			Key   string    `json:"clientKeyData"`
			Until time.Time `json:"expirationTimestamp"`
		} `json:"status"`
	}
	if json.Unmarshal(out.Bytes(), &answer) != nil || answer.Kind != "ExecCredential" || answer.Status == nil {
		return fail(errors.New("it wrote no ExecCredential with a status"))
	}
	s := answer.Status
	if r = (told{token: s.Token, until: s.Until}); s.Cert != "" {
		pair, err := tls.X509KeyPair([]byte(s.Cert), []byte(s.Key))
		if err != nil {
			return fail(errors.New("its certificate and key do not fit together"))
		}
		r.pair = &pair
	}
	if r.token == "" && r.pair == nil {
		return fail(errors.New("it told neither a token nor a certificate"))
	}
	return r, nil
}

// info is what the program is told: in KUBERNETES_EXEC_INFO, as the API says.
func (p *program) info() ([]byte, error) {
	spec := map[string]any{"interactive": false}
	if p.execPart.Cluster {
		ca, err := content(p.cluster.CAData, p.cluster.CAFile, p.dir)
		if err != nil {
			return nil, err
		}
		spec["cluster"] = map[string]any{"server": p.cluster.Server, "tls-server-name": p.cluster.ServerName, "insecure-skip-tls-verify": p.cluster.Insecure,
			"certificate-authority-data": base64.StdEncoding.EncodeToString(ca), "proxy-url": p.cluster.Proxy}
	}
	return json.Marshal(map[string]any{"kind": "ExecCredential", "apiVersion": p.Version, "spec": spec})
}
