package app_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/agent"
)

// TestIdentityOfAHost: over TLS and through a proxy, an identity lets a host connect and report, and does
// nothing else.
func TestIdentityOfAHost(t *testing.T) {
	s := start(t, t.TempDir())
	behind, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(behind))
	proxy.EnableHTTP2 = true // which has no upgrade: the agent must not ask for it
	proxy.StartTLS()
	defer proxy.Close()
	cert := filepath.Join(t.TempDir(), "ca.pem")
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})))
	i, err := s.api.InviteHost(t.Context(), "web-1", "1h")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "host")
	o := agent.JoinOptions{Dir: dir, URL: proxy.URL, Token: i.Token}
	if _, err := agent.Join(t.Context(), o); fault.Of(err) != fault.Unavailable || !strings.Contains(fmt.Sprint(err), "certificate") {
		t.Errorf("without --ca: %v", err)
	}
	o.CA = cert
	me, err := agent.Join(t.Context(), o)
	if err != nil || me.Host != "web-1" {
		t.Fatal(me, err)
	}
	host := s.as(me.Credential)
	for _, path := range append([]string{"/git/definitions.git/info/refs?service=git-upload-pack", "/api/v1/hosts/agents", "/api/v1/backup"}, reads...) {
		if r := host.do("GET", path, nil); r.code != 401 && r.code != 429 && path != "/healthz" && path != "/readyz" {
			t.Errorf("GET %s as a host: %v", path, r)
		}
	}
	for _, path := range []string{"/api/v1/deploys", "/api/v1/hosts/invitations", "/api/v1/tokens", "/api/v1/session"} {
		if r := host.do("POST", path, map[string]any{"host": "web-2", "token": me.Credential}); r.code != 401 && r.code != 429 {
			t.Errorf("POST %s as a host: %v", path, r)
		}
	}
	if r := host.do("GET", "/api/v1/hosts/agent", nil); r.code != 400 || !strings.Contains(r.body, "upgrade to steer-host/1") {
		t.Error(r)
	}
	if r := host.do("POST", "/api/v1/hosts/drift", "{"+strings.Repeat(" ", 2<<20)); r.code != 400 {
		t.Error(r)
	}
	a, err := agent.NewAgent(agent.AgentOptions{Dir: dir, Version: "v9", Program: os.Args[0], Log: slog.New(slog.DiscardHandler),
		Watch: func(ctx context.Context, drift func(infra.Drift), _ func(string)) error {
			drift(infra.Drift{Ref: "file:/etc/motd", Action: infra.Update, At: time.Now()})
			<-ctx.Done()
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	s.until("the host is connected", func() error {
		all, err := s.api.HostAgents(t.Context())
		if err == nil && (len(all) != 1 || !all[0].Connected || all[0].Version != "v9") {
			err = fmt.Errorf("%+v", all)
		}
		return err
	})
	s.until("its drift is in the journal", func() error {
		if r := s.as(s.token).do("GET", "/api/v1/events?subject=host/web-1", nil); !strings.Contains(r.body, "web-1 drifted: file:/etc/motd") {
			return r
		}
		return nil
	})
	if err := s.api.RevokeHost(t.Context(), "web-1"); err != nil {
		t.Fatal(err)
	}
	s.until("the host knows that it is revoked", func() error {
		if now, err := agent.ReadStatus(dir); err != nil || !strings.Contains(now.Error, "revoked") {
			return fmt.Errorf("%+v %v", now, err)
		}
		return nil
	})
	cancel()
	proxy.CloseClientConnections()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
