package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"steer/base/fault"
	"steer/catalog"
	"steer/deliver/deploy"
)

// Labels of what the driver makes. None holds a secret.
const (
	labelInstance = "steer.instance" // of Steer: its data folder
	labelNode     = "steer.node"     // name of the node's objects
	labelRelease  = "steer.release"  // what else serves beside it
	labelManaged  = "app.kubernetes.io/managed-by"
)

const (
	containerName = "node"
	nobody        = 65534
	// leave is how many seconds a pod stays on a machine that does not answer before
	// another is made elsewhere. Kubernetes itself waits 300: too long for a service.
	leave = 30
)

// meta is what is used of an object's metadata.
type meta struct {
	Name    string            `json:"name"`
	UID     string            `json:"uid,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Created *time.Time        `json:"creationTimestamp,omitempty"`
	Deleted *time.Time        `json:"deletionTimestamp,omitempty"` // when it is to be gone
	Owners  []owner           `json:"ownerReferences,omitempty"`
}

type owner struct {
	Version string `json:"apiVersion"`
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	UID     string `json:"uid"`
}

// replicaSet is what keeps one pod of a node in the cluster.
type replicaSet struct {
	Version string `json:"apiVersion"`
	Kind    string `json:"kind"`
	Meta    meta   `json:"metadata"`
	Spec    struct {
		Replicas int `json:"replicas"`
		Selector struct {
			Labels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		Template template `json:"template"`
	} `json:"spec"`
	Status struct {
		Conditions []condition `json:"conditions,omitempty"`
	} `json:"status,omitzero"`
}

type template struct {
	Meta struct {
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec podSpec `json:"spec"`
}

type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

type podSpec struct {
	NodeName    string       `json:"nodeName,omitempty"`
	Restart     string       `json:"restartPolicy"`
	Grace       int          `json:"terminationGracePeriodSeconds"`
	Token       bool         `json:"automountServiceAccountToken"`
	Links       bool         `json:"enableServiceLinks"`
	Security    podSecurity  `json:"securityContext"`
	PullSecrets []named      `json:"imagePullSecrets,omitempty"`
	Containers  []container  `json:"containers"`
	Volumes     []volume     `json:"volumes,omitempty"`
	Tolerations []toleration `json:"tolerations,omitempty"`
	Spread      []spread     `json:"topologySpreadConstraints,omitempty"`
}

type named struct {
	Name string `json:"name"`
}

type podSecurity struct {
	NonRoot bool           `json:"runAsNonRoot"`
	User    *int64         `json:"runAsUser,omitempty"`
	Group   *int64         `json:"runAsGroup,omitempty"`
	Seccomp seccompProfile `json:"seccompProfile"`
}

type seccompProfile struct {
	Type string `json:"type"`
}

type container struct {
	Name       string            `json:"name"`
	Image      string            `json:"image"`
	Pull       string            `json:"imagePullPolicy"`
	Command    []string          `json:"command,omitempty"`
	Args       []string          `json:"args,omitempty"`
	WorkingDir string            `json:"workingDir,omitempty"`
	Env        []variable        `json:"env,omitempty"`
	Ports      []port            `json:"ports,omitempty"`
	Resources  resources         `json:"resources,omitzero"`
	Security   containerSecurity `json:"securityContext"`
	Mounts     []mount           `json:"volumeMounts,omitempty"`
}

type variable struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	From  *from  `json:"valueFrom,omitempty"`
}

type from struct {
	Secret secretKey `json:"secretKeyRef"`
}

type secretKey struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

type port struct {
	Name     string `json:"name,omitempty"`
	Number   int    `json:"containerPort"`
	Protocol string `json:"protocol"`
}

type resources struct {
	Limits map[string]string `json:"limits,omitempty"`
}

type containerSecurity struct {
	Escalation   bool         `json:"allowPrivilegeEscalation"`
	ReadOnly     bool         `json:"readOnlyRootFilesystem"`
	Capabilities capabilities `json:"capabilities"`
}

type capabilities struct {
	Drop []string `json:"drop"`
}

type mount struct {
	Name string `json:"name"`
	Path string `json:"mountPath"`
}

type volume struct {
	Name  string `json:"name"`
	Empty *empty `json:"emptyDir,omitempty"`
}

type empty struct {
	Medium string `json:"medium,omitempty"`
}

type toleration struct {
	Key      string `json:"key"`
	Operator string `json:"operator"`
	Effect   string `json:"effect"`
	Seconds  int    `json:"tolerationSeconds"`
}

type spread struct {
	Skew     int    `json:"maxSkew"`
	Key      string `json:"topologyKey"`
	When     string `json:"whenUnsatisfiable"`
	Selector struct {
		Labels map[string]string `json:"matchLabels"`
	} `json:"labelSelector"`
}

// secretObject holds secret variables of a node, or what machines pull images with.
type secretObject struct {
	Version string            `json:"apiVersion"`
	Kind    string            `json:"kind"`
	Meta    meta              `json:"metadata"`
	Type    string            `json:"type"`
	Data    map[string][]byte `json:"data"`
}

// name is that of a node's objects. It is a DNS label also with what Kubernetes adds
// for pods, whatever the node is called, and no other Steer has it.
func (d *Driver) name(node string) string {
	sum := sha256.Sum256([]byte(d.o.Instance + "/" + node))
	return "steer-" + label(node, 34) + "-" + hex.EncodeToString(sum[:5])
}

// label makes a text fit for names and labels.
func label(text string, most int) string {
	text = strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(text)), "-")
	return strings.TrimRight(text[:min(len(text), most)], "-")
}

func (d *Driver) labels(s deploy.Spec) map[string]string {
	return map[string]string{
		labelManaged: "steer", labelInstance: d.o.Instance, labelNode: d.name(s.ID), labelRelease: label(string(s.Environment)+"-"+string(s.Service), 40) + "-" + label("r"+s.Release, 20),
		"app.kubernetes.io/name": label(string(s.Service), 60), "app.kubernetes.io/version": label(string(s.Version), 60),
	}
}

// pod is what a node or task runs as, and the values of its secret variables.
func (d *Driver) pod(s deploy.Spec, image string) (p podSpec, hidden map[string][]byte, err error) {
	name := d.name(s.ID)
	own := s.Env
	s.Env = map[string]string{"HOST": "0.0.0.0"}
	for k, v := range own {
		s.Env[k] = v
	}
	if host := s.Env["STATSD_HOST"]; host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1" {
		// That would be the pod itself. Who wants metrics names an address of Steer.
		delete(s.Env, "STATSD_HOST")
		delete(s.Env, "STATSD_PORT")
	}
	all, err := deploy.Environ(s, s.Inside, d.o.Secret)
	if err != nil {
		return p, nil, err
	}
	c := container{Name: containerName, Image: image, Pull: "IfNotPresent", Security: containerSecurity{ReadOnly: s.ReadOnly, Capabilities: capabilities{Drop: []string{"ALL"}}}}
	hidden = map[string][]byte{}
	for _, pair := range all {
		k, v, _ := strings.Cut(pair, "=")
		if deploy.Hidden(s.Env[k]) {
			hidden[k] = []byte(v)
			c.Env = append(c.Env, variable{Name: k, From: &from{secretKey{name, k}}})
			continue
		}
		c.Env = append(c.Env, variable{Name: k, Value: strings.ReplaceAll(v, "$", "$$")})
	}
	c.Command, c.Args = argv(s.Command, func(name string) bool {
		_, ok := s.Env[name]
		return ok || name == "PORT" || strings.HasPrefix(name, "PORT_")
	})
	if s.Kind != catalog.KindImage {
		c.WorkingDir = "/" + deploy.AppFolder
	}
	for _, name := range s.Ports {
		c.Ports = append(c.Ports, port{Number: s.Inside[name], Protocol: "TCP"})
	}
	if c.Resources.Limits, err = limits(s.Limits); err != nil {
		return p, nil, err
	}
	if s.ReadOnly {
		c.Mounts = []mount{{"tmp", "/tmp"}}
		p.Volumes = []volume{{"tmp", &empty{"Memory"}}}
	}
	p.Restart, p.Grace = "Always", int(math.Ceil(s.Grace.Seconds()))
	p.Security.Seccomp.Type = "RuntimeDefault"
	if err := p.Security.user(s); err != nil {
		return p, nil, err
	}
	for _, key := range []string{"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"} {
		p.Tolerations = append(p.Tolerations, toleration{key, "Exists", "NoExecute", leave})
	}
	// Two nodes of a release are on two machines where there are two.
	even := spread{Skew: 1, Key: "kubernetes.io/hostname", When: "ScheduleAnyway"}
	even.Selector.Labels = map[string]string{labelInstance: d.o.Instance, labelRelease: d.labels(s)[labelRelease]}
	p.Spread = []spread{even}
	p.Containers = []container{c}
	return p, hidden, nil
}

// user says who the pod runs as. Root it is only if somebody wrote so.
func (p *podSecurity) user(s deploy.Spec) error {
	p.NonRoot = true
	user, group, both := strings.Cut(s.User, ":")
	if s.User == "" {
		if s.Kind != catalog.KindImage {
			p.User, p.Group = new(int64(nobody)), new(int64(nobody))
		}
		return nil
	}
	number := func(text string) (*int64, error) {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 0 {
			return nil, fault.New(fault.Invalid, "run.user: %q: Kubernetes wants numbers (write UID or UID:GID)", s.User)
		}
		return &n, nil
	}
	var err error
	if p.User, err = number(user); err == nil && both {
		p.Group, err = number(group)
	}
	p.NonRoot = err == nil && *p.User != 0
	return err
}

// limits are those of the manifest as Kubernetes writes them. It has none for the
// number of processes of a pod.
func limits(l catalog.Limits) (map[string]string, error) {
	r := map[string]string{}
	memory, err := l.Bytes()
	if err != nil {
		return nil, err
	}
	if memory > 0 {
		r["memory"] = strconv.FormatInt(memory, 10)
	}
	if l.CPUs > 0 {
		r["cpu"] = fmt.Sprintf("%dm", int64(math.Ceil(l.CPUs*1000)))
	}
	return r, nil
}

// argv is what the container runs; nothing: what its image says. A command that is a
// program and its words needs no shell, and gets the signals itself. Kubernetes puts
// values in for $(NAME), so secrets among them are not written here.
func argv(command string, known func(string) bool) (program, args []string) {
	command = strings.TrimSpace(command)
	if command == "" {
		return nil, nil
	}
	simple := strings.TrimPrefix(command, "exec ")
	plain := !strings.ContainsAny(simple, "'\"`\\;&|<>()*?[]#~\n") && !strings.Contains(strings.Fields(simple)[0], "=")
	words := strings.Fields(simple)
	for i, w := range words {
		words[i] = os.Expand(w, func(name string) string {
			plain = plain && known(name)
			return "$(" + name + ")"
		})
	}
	if !plain || slices.Contains(builtins, words[0]) {
		return []string{"/bin/sh", "-c"}, []string{strings.ReplaceAll(command, "$", "$$")}
	}
	return words[:1], words[1:]
}

// builtins are commands that only a shell knows.
var builtins = []string{".", "cd", "eval", "export", "set", "trap", "ulimit", "umask", "unset"}
