package email

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"steer/base/config"
	"steer/base/fault"
	"steer/catalog"
	"steer/monitor/notify"
)

// Options are what the channel needs.
type Options struct {
	Config
}

// New returns the kind email; without a host, each mail is refused with the way
// out. It reads the file of certificates, and does not
// connect: a mail server that is down now must not keep Steer from starting.
func New(o Options) (notify.Kind, error) {
	o.TLS = cmp.Or(o.TLS, "starttls")
	o.Timeout = cmp.Or(o.Timeout, config.Duration(30*time.Second))
	kind := notify.Kind{
		Name:    "email",
		Doc:     "A mail over SMTP.",
		Address: func(c catalog.Contact) string { return c.Email },
		Channel: missing{},
	}
	if o.Host == "" {
		return kind, nil
	}
	if err := o.Config.Check(); err != nil {
		return notify.Kind{}, err
	}
	from, err := netmail.ParseAddress(o.From)
	if err != nil {
		return notify.Kind{}, fault.New(fault.Invalid, "make email channel: from %q: %w", o.From, err)
	}
	options, err := clientOptions(o.Config)
	if err != nil {
		return notify.Kind{}, err
	}
	if _, err := mail.NewClient(o.Host, options...); err != nil {
		return notify.Kind{}, fault.New(fault.Invalid, "make email channel: %w", err)
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	kind.Channel = &channel{host: o.Host, from: from, domain: domain, implicit: o.TLS == "implicit", options: options}
	return kind, nil
}

// missing stands in where no SMTP server is configured: that a team could not be
// told must be seen in the journal, not be silent.
type missing struct{}

func (missing) Deliver(context.Context, notify.Delivery) error {
	return notify.Refused(errors.New("no SMTP server is configured (set notify.email.host and notify.email.from in server.yaml)"))
}

func clientOptions(c Config) ([]mail.Option, error) {
	secure := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fault.New(fault.Invalid, "read certificates for the SMTP server: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.Invalid, "read certificates for the SMTP server: %s holds none in PEM form", c.CA)
		}
		secure.RootCAs = pool
	}
	options := []mail.Option{mail.WithTimeout(c.Timeout.Std()), mail.WithTLSConfig(secure)}
	port := 25
	if c.Username != "" {
		port = 587
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(c.Username), mail.WithPassword(c.Password.Reveal()))
	}
	switch c.TLS {
	case "implicit":
		port = 465
		options = append(options, mail.WithSSL())
	case "opportunistic":
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	case "none":
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if c.Hello != "" {
		options = append(options, mail.WithHELO(c.Hello))
	}
	return append(options, mail.WithPort(cmp.Or(c.Port, port))), nil
}

type channel struct {
	host, domain string
	implicit     bool // TLS from the first byte
	from         *netmail.Address
	options      []mail.Option
}

// Deliver sends one mail over a connection of its own.
func (c *channel) Deliver(ctx context.Context, d notify.Delivery) error {
	m, err := c.compose(d)
	if err != nil {
		return notify.Refused(err)
	}
	options := c.options
	if !c.implicit {
		options = append(slices.Clip(options), mail.WithDialContextFunc(hangUp(ctx)))
	}
	client, err := mail.NewClient(c.host, options...)
	if err != nil {
		return fmt.Errorf("mail by %s: %w", c.host, err)
	}
	err = client.DialAndSendWithContext(ctx, m)
	if err == nil || m.IsDelivered() {
		return nil // what went wrong after the server had taken it does not matter
	}
	err = fmt.Errorf("mail by %s: %w", c.host, err)
	var s *mail.SendError
	if errors.As(err, &s) && s.ErrorCode() >= 500 && s.ErrorCode() < 600 {
		return notify.Refused(err)
	}
	return err
}

// hangUp returns a dialer whose connections end with ctx: the library watches it
// only until it is connected, so a server that hangs would delay a shutdown for
// the whole timeout. With implicit TLS it does, since the library takes a
// connection that it has not opened itself for one without TLS.
func hangUp(ctx context.Context) mail.DialContextFunc {
	return func(dial context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(dial, network, address)
		if err == nil {
			context.AfterFunc(ctx, func() { conn.Close() })
		}
		return conn, err
	}
}

// compose writes the mail. Its Message-ID follows from the delivery, so a copy
// that is sent again is seen as the same mail.
func (c *channel) compose(d notify.Delivery) (*mail.Msg, error) {
	m := mail.NewMsg()
	m.FromMailAddress(c.from)
	if err := m.To(d.Address); err != nil {
		return nil, fmt.Errorf("address %q: %w (correct it in teams.yaml)", d.Address, err)
	}
	m.Subject(oneLine(d.Message.Subject()))
	m.SetDateWithValue(d.Message.At)
	m.SetMessageIDWithValue(c.messageID(d.ID))
	if d.Thread != "" && d.Thread != d.ID {
		m.SetGenHeader(mail.HeaderInReplyTo, "<"+c.messageID(d.Thread)+">")
		m.SetGenHeader(mail.HeaderReferences, "<"+c.messageID(d.Thread)+">")
	}
	m.SetGenHeader("Auto-Submitted", "auto-generated") // no out-of-office answers
	m.SetGenHeader("Steer-Delivery", d.ID)
	plain, html, err := render(d.Message)
	if err != nil {
		return nil, err
	}
	m.SetBodyString(mail.TypeTextPlain, plain)
	m.AddAlternativeString(mail.TypeTextHTML, html)
	return m, nil
}

func (c *channel) messageID(delivery string) string { return "steer." + delivery + "@" + c.domain }

// oneLine keeps line ends, which would begin a new header, out of a header.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
