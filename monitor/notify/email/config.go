// Package email tells people about incidents by mail over SMTP: plain text with
// a little HTML beside it. All mails about one incident to one address make one
// thread.
package email

import (
	"net/mail"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/secret"
)

// Config is what operators choose. Without Host there is no email.
type Config struct {
	Host     string          `yaml:"host" doc:"SMTP server; empty: no email is sent."`
	Port     int             `yaml:"port" doc:"Its port; 0: 465 with tls implicit, else 587 with a username, else 25." default:"0"`
	TLS      string          `yaml:"tls" doc:"starttls (required), implicit (TLS from the first byte), opportunistic (if the server offers it), none." default:"starttls"`
	CA       string          `yaml:"ca" doc:"File with certificates to trust beside the system's, for an internal server."`
	Username string          `yaml:"username" doc:"Who logs in; empty: nobody does."`
	Password secret.Value    `yaml:"password" doc:"Password of username."`
	From     string          `yaml:"from" doc:"Sender, like Steer <steer@example.org>."`
	Hello    string          `yaml:"hello" doc:"Name of this machine in EHLO; empty: its host name."`
	Timeout  config.Duration `yaml:"timeout" doc:"Time that one mail may take." default:"30s"`
}

// Check refuses what cannot work.
func (c Config) Check() error {
	if c.Host == "" {
		return nil
	}
	if _, err := mail.ParseAddress(c.From); err != nil {
		return fault.New(fault.Invalid, "from %q: this is no mail address (write Steer <steer@example.org>)", c.From)
	}
	switch c.TLS {
	case "", "starttls", "implicit", "opportunistic", "none":
	default:
		return fault.New(fault.Invalid, "tls %q: unknown (use starttls, implicit, opportunistic or none)", c.TLS)
	}
	if c.Username != "" && c.TLS == "none" {
		return fault.New(fault.Invalid, "tls none with a username: the password would go over the network in clear text (use starttls or implicit)")
	}
	if c.Port < 0 || c.Port > 65535 {
		return fault.New(fault.Invalid, "port %d: ports go up to 65535", c.Port)
	}
	if d := c.Timeout.Std(); d < 0 || d > 50*time.Second {
		return fault.New(fault.Invalid, "timeout %s: a mail may take up to 50s (30s is usual)", c.Timeout)
	}
	return nil
}
