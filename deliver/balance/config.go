package balance

import (
	"cmp"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"steer/base/config"
	"steer/base/database"
	"steer/base/fault"
	"steer/base/metric"
)

// Config is the load balancer's part of the server's configuration.
type Config struct {
	Address        string          `yaml:"address" doc:"Address that services are reached on; 0.0.0.0 for every network." default:"127.0.0.1"`
	Ports          string          `yaml:"ports" doc:"Ports given to services that have no fixed one, FIRST-LAST. A service keeps its port." default:"20000-20999"`
	HeaderBytes    int             `yaml:"header_bytes" doc:"Longest request header in bytes." default:"65536"`
	HeaderTimeout  config.Duration `yaml:"header_timeout" doc:"Time a client has to send a request's header." default:"10s"`
	IdleTimeout    config.Duration `yaml:"idle_timeout" doc:"Time a client's connection may be idle." default:"2m"`
	ConnectTimeout config.Duration `yaml:"connect_timeout" doc:"Time to connect to a node." default:"2s"`
	AnswerTimeout  config.Duration `yaml:"answer_timeout" doc:"Time a node has to begin its answer; the answer itself may take as long as it likes." default:"60s"`
	Connections    int             `yaml:"connections" doc:"Clients' connections per port; more wait." default:"10000"`
	TrustForwarded bool            `yaml:"trust_forwarded" doc:"Keep X-Forwarded-For and -Proto of requests, for when another proxy stands before this one."`
	Drain          config.Duration `yaml:"drain" doc:"Time that requests have to finish when Steer stops." default:"10s"`
}

// defaulted fills in what tests and callers without a configuration file leave
// empty; the values are those of the struct tags.
func (c Config) defaulted() Config {
	c.Address = cmp.Or(c.Address, "127.0.0.1")
	c.Ports = cmp.Or(c.Ports, "20000-20999")
	c.HeaderBytes = cmp.Or(c.HeaderBytes, 65536)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, seconds(10))
	c.IdleTimeout = cmp.Or(c.IdleTimeout, seconds(120))
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, seconds(2))
	c.AnswerTimeout = cmp.Or(c.AnswerTimeout, seconds(60))
	c.Connections = cmp.Or(c.Connections, 10000)
	c.Drain = cmp.Or(c.Drain, seconds(10))
	return c
}

func seconds(n int64) config.Duration { return config.Duration(n * 1e9) }

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	if _, _, err := portRange(cmp.Or(c.Ports, "20000-20999")); err != nil {
		return err
	}
	if c.Address != "" && net.ParseIP(c.Address) == nil {
		return fault.New(fault.Invalid, "address: %q is no IP address (use 127.0.0.1, or 0.0.0.0 for every network)", c.Address)
	}
	if c.HeaderBytes < 0 || c.Connections < 0 {
		return fault.New(fault.Invalid, "header_bytes and connections must not be negative")
	}
	return nil
}

// portRange reads "FIRST-LAST".
func portRange(s string) (first, last int, err error) {
	a, b, ok := strings.Cut(s, "-")
	first, err1 := strconv.Atoi(strings.TrimSpace(a))
	last, err2 := strconv.Atoi(strings.TrimSpace(b))
	if !ok || err1 != nil || err2 != nil || first < 1 || last > 65535 || first > last {
		return 0, 0, fault.New(fault.Invalid, "ports: %q is no range of ports (write FIRST-LAST, like 20000-20999)", s)
	}
	return first, last, nil
}

// Options is what the server hands in.
type Options struct {
	Config
	DB       *database.DB
	Instance string                      // whose ports these are, where several machines share DB
	Samples  func([]metric.Sample) error // takes what each request adds to the figures; may be nil
	Log      *slog.Logger
}
