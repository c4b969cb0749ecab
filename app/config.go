package app

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"

	"steer/base/config"
	"steer/base/fault"
	"steer/deliver/artifact"
	"steer/deliver/balance"
	"steer/deliver/deploy/docker"
	"steer/deliver/deploy/hosts"
	"steer/deliver/deploy/kubernetes"
	"steer/deliver/deploy/process"
	"steer/deliver/registry"
	"steer/deliver/run"
	"steer/deliver/source"
	"steer/improve/followup"
	"steer/monitor/agent"
	"steer/monitor/aggregate"
	"steer/monitor/notify/email"
	"steer/monitor/notify/webhook"
	"steer/monitor/query"
	"steer/monitor/receive/graphite"
	"steer/monitor/receive/statsd"
	"steer/monitor/route"
	"steer/monitor/state"
)

// Config is server.yaml.
type Config struct {
	Listen   string `yaml:"listen" default:"127.0.0.1:8080" doc:"Address of the web UI, the API and all protocols over HTTP."`
	URL      string `yaml:"url" doc:"Address that people reach Steer at, for links in notifications; default: http://LISTEN."`
	Database string `yaml:"database" doc:"PostgreSQL: postgres://USER@HOST/NAME. Empty: SQLite in the data folder."`
	TLS      TLS    `yaml:"tls"`
	Log      Log    `yaml:"log"`
	Access   Access `yaml:"access"`

	Receive   Receive       `yaml:"receive"`
	Route     route.Config  `yaml:"route"`
	Aggregate Aggregate     `yaml:"aggregate"`
	Agent     agent.Config  `yaml:"agent"`
	Store     Store         `yaml:"store"`
	Query     query.Limits  `yaml:"query"`
	State     state.Config  `yaml:"state"`
	Notify    Notify        `yaml:"notify"`
	Stream    Stream        `yaml:"stream"`
	Source    source.Config `yaml:"source"`
	Run       run.Config    `yaml:"run"`

	Artifact artifact.Config `yaml:"artifact"`
	Registry registry.Config `yaml:"registry"`
	Deploy   Deploy          `yaml:"deploy"`
	Balance  balance.Config  `yaml:"balance"`
	Infra    InfraConfig     `yaml:"infra"`
	Followup followup.Config `yaml:"followup"`
	Improve  ImproveConfig   `yaml:"improve"`
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	// Nothing at all would mean any port on every network.
	if _, port, err := net.SplitHostPort(c.Listen); err != nil || port == "" {
		return fault.New(fault.Invalid, "listen: %q is no address (write HOST:PORT, like 127.0.0.1:8080; 0.0.0.0 for every network)", c.Listen)
	}
	return nil
}

// TLS secures the HTTP port.
type TLS struct {
	Cert string `yaml:"cert" doc:"Certificate file (PEM); empty: plain HTTP."`
	Key  string `yaml:"key" doc:"Key file (PEM)."`
}

// Check says what is wrong with the configuration.
func (t TLS) Check() error {
	switch {
	case t.Cert == "" && t.Key == "":
		return nil
	case t.Key == "":
		return fault.New(fault.Invalid, "key: is missing, and cert is given (they belong together)")
	case t.Cert == "":
		return fault.New(fault.Invalid, "cert: is missing, and key is given (they belong together)")
	}
	if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
		return fault.New(fault.Invalid, "cert: read certificate: %w", err)
	}
	return nil
}

// Log says what is logged.
type Log struct {
	Level  string `yaml:"level" default:"info" doc:"debug, info, warn or error."`
	Format string `yaml:"format" default:"text" doc:"text or json."`
}

// Check says what is wrong with the configuration.
func (l Log) Check() error {
	if _, ok := levels[l.Level]; !ok {
		return fault.New(fault.Invalid, "level: %q is unknown (use debug, info, warn or error)", l.Level)
	}
	if l.Format != "text" && l.Format != "json" {
		return fault.New(fault.Invalid, "format: %q is unknown (use text or json)", l.Format)
	}
	return nil
}

// Access says who gets in without a token.
type Access struct {
	Anonymous bool            `yaml:"anonymous" default:"true" doc:"Programs on this machine may read the Graphite API, /check, /metrics and the package repositories without a token. Set it to false where a proxy on this machine passes requests on."`
	Session   config.Duration `yaml:"session" default:"12h" doc:"Time without a request after which a browser must log in again."`
}

// Receive holds the receivers.
type Receive struct {
	Graphite graphite.Config `yaml:"graphite"`
	StatsD   statsd.Config   `yaml:"statsd"`
}

// Aggregate holds the aggregations.
type Aggregate struct {
	StatsD aggregate.Config `yaml:"statsd"`
}

// Notify holds the kinds of notification.
type Notify struct {
	Email   email.Config   `yaml:"email"`
	Webhook webhook.Config `yaml:"webhook"`
}

// Stream says where the event stream lives.
type Stream struct {
	URL    string `yaml:"url" doc:"NATS server, nats://HOST:4222; empty: one inside of Steer, in the data folder."`
	Listen string `yaml:"listen" doc:"Address where the one inside of Steer takes clients; empty: none."`
	Token  string `yaml:"token" doc:"What its clients must send; needed if listen is not on this machine only."`
}

// Deploy holds the drivers.
type Deploy struct {
	Process    process.Config    `yaml:"process"`
	Docker     docker.Config     `yaml:"docker"`
	Hosts      hosts.Config      `yaml:"hosts"`
	Kubernetes kubernetes.Config `yaml:"kubernetes"`
}

// Args are where a server's configuration comes from.
type Args struct {
	Data string   // folder with all state
	File string   // server.yaml; "" is DATA/server.yaml where that exists
	Set  []string // key=value
	Env  []string
}

// Load reads the configuration.
func Load(a Args) (Config, error) {
	file := a.File
	if file == "" {
		if f := filepath.Join(a.Data, "server.yaml"); exists(f) {
			file = f
		}
	}
	var c Config
	err := config.Load(&c, config.Sources{File: file, Env: a.Env, Set: a.Set, Ignore: []string{"STEER_DATA", "STEER_WEB"}})
	return c, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Default is server.yaml with every key, its default and its meaning.
func Default() []byte { return config.Default(Config{}) }
