package email

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/catalog"
	"steer/monitor/notify"
)

// received is what the server printed about a mail.
type received struct {
	From    string
	To      []string
	TLS     bool
	Login   bool
	Content string
}

type server struct {
	t     *testing.T
	port  int
	lines *bufio.Scanner
}

// serve starts a real SMTP server, Debian's python3-aiosmtpd.
func serve(t *testing.T, cert, key, mode string) *server {
	t.Helper()
	python := ""
	for _, p := range []string{"/usr/bin/python3", "python3"} { // Debian's own has Debian's packages
		if python == "" && exec.Command(p, "-c", "import aiosmtpd").Run() == nil {
			python = p
		}
	}
	if python == "" {
		const why = "no SMTP server: apt-get install python3-aiosmtpd"
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	c := exec.Command(python, "testdata/server.py", cert, key, mode)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	c.Stderr = &complaints
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	// Killed also if the server hangs, so that the test fails instead of waiting.
	timer := time.AfterFunc(30*time.Second, func() { c.Process.Kill() })
	t.Cleanup(func() {
		timer.Stop()
		c.Process.Kill()
		c.Wait()
		if t.Failed() {
			t.Log(complaints.String())
		}
	})
	s := &server{t: t, lines: bufio.NewScanner(out)}
	if s.port, err = strconv.Atoi(s.line()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) line() string {
	s.t.Helper()
	if !s.lines.Scan() {
		s.t.Fatal("the SMTP server said nothing more")
	}
	return s.lines.Text()
}

// mail returns the next mail that the server took.
func (s *server) mail() (received, *mail.Message) {
	s.t.Helper()
	var r received
	if err := json.Unmarshal([]byte(s.line()), &r); err != nil {
		s.t.Fatal(err)
	}
	m, err := mail.ReadMessage(strings.NewReader(r.Content))
	if err != nil {
		s.t.Fatal(err)
	}
	return r, m
}

// certificate makes one for 127.0.0.1 that signs itself.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func opened() notify.Message {
	return notify.Message{
		Incident: 7, Transition: notify.Opened, Title: "catalog: slow is CRITICAL\r\nBcc: evil@example.org", Summary: "größer <b>300</b>", Severity: "page",
		Service: "catalog", Environment: "production", Version: "b12", Team: "storefront", URL: "http://steer/incidents/7",
		Changes: []string{"catalog b12 serves in production"}, At: at, Opened: at,
	}
}

func channelOf(t *testing.T, c Config) notify.Kind {
	t.Helper()
	c.From = "Steer <steer@example.org>"
	k, err := New(Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// parts returns the plain and the HTML text of a mail.
func parts(t *testing.T, m *mail.Message) (plain, html string) {
	t.Helper()
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	reader := multipart.NewReader(m.Body, params["boundary"])
	var texts []string
	for {
		p, err := reader.NextPart()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p) // NextPart has undone quoted-printable
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	if len(texts) != 2 {
		t.Fatalf("%d parts", len(texts))
	}
	return texts[0], texts[1]
}

func TestMailsAboutAnIncidentMakeAThread(t *testing.T) {
	s := serve(t, "", "", "")
	k := channelOf(t, Config{Host: "127.0.0.1", Port: s.port, TLS: "none"})
	if err := k.Channel.Deliver(t.Context(), notify.Delivery{ID: "d1", Thread: "d1", Address: "ada@example.org", Message: opened()}); err != nil {
		t.Fatal(err)
	}
	r, first := s.mail()
	if r.From != "steer@example.org" || len(r.To) != 1 || r.To[0] != "ada@example.org" || r.TLS || r.Login {
		t.Errorf("%+v", r)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(first.Header.Get("Subject"))
	if err != nil || subject != "[page] incident 7: catalog: slow is CRITICAL Bcc: evil@example.org" || first.Header.Get("Bcc") != "" {
		t.Errorf("%q %v", subject, err)
	}
	if first.Header.Get("Message-ID") != "<steer.d1@example.org>" || first.Header.Get("In-Reply-To") != "" || first.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Error(first.Header)
	}
	plain, html := parts(t, first)
	for _, want := range []string{"größer <b>300</b>", "Service:      catalog", "Version:      b12", "  - catalog b12 serves in production", "http://steer/incidents/7"} {
		if !strings.Contains(plain, want) {
			t.Errorf("no %q in\n%s", want, plain)
		}
	}
	if !strings.Contains(html, "größer &lt;b&gt;300&lt;/b&gt;") || !strings.Contains(html, `href="http://steer/incidents/7"`) {
		t.Error(html)
	}

	over := opened()
	over.Transition, over.At, over.Reason = notify.Resolved, at.Add(5*time.Minute), "recovered: ttfb = 100"
	if err := k.Channel.Deliver(t.Context(), notify.Delivery{ID: "d2", Thread: "d1", Address: "ada@example.org", Message: over}); err != nil {
		t.Fatal(err)
	}
	_, second := s.mail()
	if second.Header.Get("In-Reply-To") != "<steer.d1@example.org>" || second.Header.Get("References") != "<steer.d1@example.org>" || second.Header.Get("Message-ID") == first.Header.Get("Message-ID") {
		t.Error(second.Header)
	}
	if plain, _ := parts(t, second); !strings.Contains(plain, "12:05:00 UTC (after 5m0s)") || !strings.Contains(plain, "recovered: ttfb = 100") {
		t.Error(plain)
	}
}

func TestMailOverTLSWithLogin(t *testing.T) {
	cert, key := certificate(t)
	s := serve(t, cert, key, "starttls")
	d := notify.Delivery{ID: "d1", Thread: "d1", Address: "ada@example.org", Message: opened()}
	good := Config{Host: "127.0.0.1", Port: s.port, CA: cert, Username: "steer", Password: "hush"}
	for name, change := range map[string]func(*Config){
		"unknown certificate": func(c *Config) { c.CA = "" },
		"wrong password":      func(c *Config) { c.Password = "wrong" },
	} {
		c := good
		change(&c)
		err := channelOf(t, c).Channel.Deliver(t.Context(), d)
		if err == nil || notify.IsRefused(err) || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := channelOf(t, good).Channel.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if r, _ := s.mail(); !r.TLS || !r.Login {
		t.Errorf("%+v", r)
	}
	s = serve(t, cert, key, "implicit")
	good.Port, good.TLS = s.port, "implicit"
	if err := channelOf(t, good).Channel.Deliver(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if r, _ := s.mail(); !r.TLS || !r.Login {
		t.Errorf("%+v", r)
	}
}

func TestRefusedAndBusy(t *testing.T) {
	s := serve(t, "", "", "")
	k := channelOf(t, Config{Host: "127.0.0.1", Port: s.port, TLS: "opportunistic"})
	d := notify.Delivery{ID: "d1", Thread: "d1", Address: "nobody@example.org", Message: opened()}
	if err := k.Channel.Deliver(t.Context(), d); !notify.IsRefused(err) || !strings.Contains(err.Error(), "no such user") {
		t.Error(err)
	}
	d.Address = "busy@example.org"
	if err := k.Channel.Deliver(t.Context(), d); err == nil || notify.IsRefused(err) {
		t.Error(err)
	}
	if err := k.Channel.Deliver(t.Context(), d); err != nil {
		t.Error(err)
	}
	if r, _ := s.mail(); r.To[0] != "busy@example.org" {
		t.Errorf("%+v", r)
	}
	d.Address = "not an address"
	if err := k.Channel.Deliver(t.Context(), d); !notify.IsRefused(err) || !strings.Contains(err.Error(), "teams.yaml") {
		t.Error(err)
	}
	// A server that does not offer TLS gets no mail where TLS is required.
	d.Address = "ada@example.org"
	if err := channelOf(t, Config{Host: "127.0.0.1", Port: s.port}).Channel.Deliver(t.Context(), d); err == nil {
		t.Error("mail without TLS")
	}
}

func TestHungServerDelaysNoShutdown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	k := channelOf(t, Config{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: "none"})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := l.Accept() // and never a word
		if err == nil {
			defer conn.Close()
			cancel()
			<-t.Context().Done()
		}
	}()
	begin := time.Now()
	if err := k.Channel.Deliver(ctx, notify.Delivery{ID: "d1", Address: "ada@example.org", Message: opened()}); err == nil || notify.IsRefused(err) {
		t.Error(err)
	}
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("ended after %s", d)
	}
}

func TestUnreachableServerIsTriedAgain(t *testing.T) {
	k := channelOf(t, Config{Host: "127.0.0.1", Port: 1, TLS: "none"})
	err := k.Channel.Deliver(t.Context(), notify.Delivery{ID: "d1", Address: "ada@example.org", Message: opened()})
	if err == nil || notify.IsRefused(err) {
		t.Error(err)
	}
}

// Somebody who should be told by mail and cannot be must not be lost in silence.
func TestWithoutServerMailsAreRefused(t *testing.T) {
	k, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if k.Address(catalog.Contact{Email: "a@b"}) != "a@b" {
		t.Error("the kind takes no addresses")
	}
	err = k.Channel.Deliver(t.Context(), notify.Delivery{Address: "a@b"})
	if !notify.IsRefused(err) || !strings.Contains(err.Error(), "notify.email.host") {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	for want, c := range map[string]Config{
		"this is no mail address": {Host: "h", From: "nobody"},
		"tls \"maybe\": unknown":  {Host: "h", From: "a@b.c", TLS: "maybe"},
		"clear text":              {Host: "h", From: "a@b.c", TLS: "none", Username: "u"},
		"port 70000":              {Host: "h", From: "a@b.c", Port: 70000},
		"read certificates":       {Host: "h", From: "a@b.c", CA: "/does/not/exist"},
		"holds none in PEM form":  {Host: "h", From: "a@b.c", CA: "email_test.go"},
	} {
		if _, err := New(Options{Config: c}); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	var read Config
	text := "host: mail.example.org\nfrom: Steer <steer@example.org>\nusername: steer\npassword: hush\n"
	if err := config.Decode("server.yaml", []byte(text), &read); err != nil || read.Password.Reveal() != "hush" || read.TLS != "starttls" || strings.Contains(fmt.Sprintf("%+v", read), "hush") {
		t.Errorf("%+v %v", read, err)
	}
	k := channelOf(t, Config{Host: "h"})
	if k.Address(catalog.Contact{Webhook: "http://x"}) != "" || k.Address(catalog.Contact{Email: "a@b"}) != "a@b" {
		t.Error("address")
	}
}
