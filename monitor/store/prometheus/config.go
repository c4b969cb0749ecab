package prometheus

import (
	"log/slog"
	"net/url"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/monitor/store"
)

// Config is what operators write about the cluster.
type Config struct {
	URL          string            `yaml:"url" doc:"Where the cluster's API is: what stands before /api/v1/…, like http://victoria:8428 or https://mimir/prometheus."`
	WriteURL     string            `yaml:"write_url" doc:"Where it takes remote write, in full; empty: URL/api/v1/write. Mimir: https://mimir/api/v1/push. VictoriaMetrics cluster: http://vminsert:8480/insert/0/prometheus/api/v1/write."`
	ReadURL      string            `yaml:"read_url" doc:"What stands before /api/v1/query where it is asked; empty: url. VictoriaMetrics cluster: http://vmselect:8481/select/0/prometheus."`
	Headers      map[string]string `yaml:"headers" doc:"Sent with every request, like {X-Scope-OrgID: steer} for a tenant of Mimir."`
	TokenFile    string            `yaml:"token_file" doc:"File with a bearer token, read at every request."`
	Username     string            `yaml:"username" doc:"Who logs in with basic authentication; empty: nobody does."`
	PasswordFile string            `yaml:"password_file" doc:"File with the password of username, read at every request."`
	CA           string            `yaml:"ca" doc:"File with certificates to trust beside the system's, for an internal server."`
	Timeout      config.Duration   `yaml:"timeout" default:"30s" doc:"Time that one request may take."`
	Metric       string            `yaml:"metric" default:"graphite" doc:"Name (__name__) of all series. Several Steers that share a cluster need one each."`
	SpoolBytes   int64             `yaml:"spool_bytes" default:"1073741824" doc:"Size of the spool on disk for points that the cluster has not taken; when it is full, further ones are refused."`
	Late         config.Duration   `yaml:"late" default:"0s" doc:"How old a point may be when it comes, for a server that refuses older ones: out_of_order_time_window of Prometheus. 0s: as old as the series is kept."`
	Ahead        config.Duration   `yaml:"ahead" default:"10m" doc:"How far ahead of the clock a point may lie. Prometheus counts its out_of_order_time_window back from the newest point of all, so one from tomorrow would shut out those of today."`
}

// Check says what is wrong with the values.
func (c Config) Check() error {
	for _, u := range []struct{ key, value string }{{"url", c.URL}, {"write_url", c.WriteURL}, {"read_url", c.ReadURL}} {
		if u.value == "" {
			continue
		}
		parsed, err := url.Parse(u.value)
		switch {
		case err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https":
			return fault.New(fault.Invalid, "%s: %q is no address (write http://HOST:PORT)", u.key, u.value)
		case parsed.User != nil:
			return fault.New(fault.Invalid, "%s: a password does not belong into an address (use username and password_file)", u.key)
		}
	}
	switch {
	case c.Username != "" && c.TokenFile != "":
		return fault.New(fault.Invalid, "token_file: excludes username (a request has one authorization)")
	case c.Username != "" && c.PasswordFile == "":
		return fault.New(fault.Invalid, "password_file: is missing, and username is given (they belong together)")
	case c.Username == "" && c.PasswordFile != "":
		return fault.New(fault.Invalid, "username: is missing, and password_file is given (they belong together)")
	case c.Metric != "" && !legal(c.Metric):
		return fault.New(fault.Invalid, "metric: %q is no name of a metric (use letters, digits and _)", c.Metric)
	case c.SpoolBytes < 0:
		return fault.New(fault.Invalid, "spool_bytes: is less than 0")
	case c.Timeout < 0 || c.Late < 0 || c.Ahead < 0:
		return fault.New(fault.Invalid, "timeout, late and ahead cannot be less than 0")
	case c.Ahead > config.Duration(24*time.Hour):
		return fault.New(fault.Invalid, "ahead: is more than 24h")
	}
	return nil
}

// Options is what Open needs.
type Options struct {
	Config
	Store store.Config // Sync and Schemas count
	Rules store.Rules  // stand before the file that Schemas names
	Dir   string       // of the spool, made if missing; one process at a time
	Agent string       // User-Agent; default "Steer"
	Log   *slog.Logger // default slog.Default
	Now   func() time.Time

	backoff backoff       // default from 100 ms to 30 s
	grace   time.Duration // that a request has which is under way when Run ends, default 5 s
}
