package system

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.yaml.in/yaml/v4"

	"steer/infra"
	"steer/infra/infratest"
)

// made returns a certificate that is good for a number of days, and its key.
func made(t *testing.T, days int) (cert, key string) {
	t.Helper()
	b, k, err := (&Certificate{Days: days, CommonName: "given", Path: "/none", KeyPath: "/none"}).make(infra.Diff{Action: infra.Create})
	if err != nil {
		t.Fatal(err)
	}
	return string(b), string(k)
}

func TestSelfSigned(t *testing.T) {
	infratest.Inside(t, func() { synctest.Test(t, selfSigned) }) // months pass
}

func selfSigned(t *testing.T) {
	h := infra.NewHost(t.Context())
	const paths = "path: /etc/ssl/web.pem, key_path: /etc/ssl/web.key, self_signed: true"
	c := infratest.Decoded(t, &Certificate{}, "{"+paths+", names: [web.example.com, 10.0.0.5, '2001:DB8::0001']}")
	infratest.Converge(t, h, c, infra.Create, "certificate")
	pair, err := tls.LoadX509KeyPair(c.Path, c.KeyPath)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	for _, name := range []string{"web.example.com", "10.0.0.5", "2001:db8::1"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name}); err != nil {
			t.Error(err)
		}
	}
	if got := infratest.Shell(t, "openssl verify -CAfile /etc/ssl/web.pem /etc/ssl/web.pem 2>&1 | tail -1; stat -c '%U %a' /etc/ssl/web.pem /etc/ssl/web.key"); !strings.HasSuffix(got, "root 644\nroot 600") {
		t.Error(got)
	}
	first := infratest.Shell(t, "cat /etc/ssl/web.key")
	infratest.Converge(t, h, infratest.Decoded(t, &Certificate{}, "{"+paths+", names: [web.example.com]}"), infra.Update, "names")
	infratest.Converge(t, h, infratest.Decoded(t, &Certificate{}, "{"+paths+", names: [web.example.com], common_name: Web}"), infra.Update, "common_name")
	c = infratest.Decoded(t, &Certificate{}, "{"+paths+", names: [web.example.com], common_name: Web, days: 90, mode: '0640', group: ssl-cert}")
	infratest.Fails(t, h, c, "there is no group ssl-cert (declare it")
	infratest.Shell(t, "groupadd ssl-cert")
	h.ForgetAccounts()
	infratest.Converge(t, h, c, infra.Update, "days", "group", "key mode", "key group")

	time.Sleep(59 * 24 * time.Hour)
	infratest.Same(t, h, c)
	time.Sleep(2 * 24 * time.Hour)
	d := infratest.Converge(t, h, c, infra.Update, "expires")
	if d.Fields[0].Old != "2000-03-30" || d.Fields[0].New != "later than 2000-04-01" {
		t.Errorf("%+v", d)
	}
	if infratest.Shell(t, "cat /etc/ssl/web.key") != first {
		t.Error("the key was not kept")
	}
	before := infratest.Shell(t, "cat /etc/ssl/web.pem")
	for _, spoil := range [][]string{
		{"chmod 600 /etc/ssl/web.pem", "mode"},
		{"chmod 644 /etc/ssl/web.key", "key mode"},
		{"chown nobody /etc/ssl/web.pem", "owner"},
		{"chgrp root /etc/ssl/web.key", "key group"},
		{"mv /etc/ssl/web.key /etc/ssl/moved; ln -s moved /etc/ssl/web.key", "key file"},
	} {
		infratest.Shell(t, spoil[0])
		infratest.Converge(t, h, c, infra.Update, spoil[1:]...)
	}
	if infratest.Shell(t, "cat /etc/ssl/web.pem") != before {
		t.Error("a mode made the certificate anew")
	}
	_, other := made(t, 10)
	if err := os.WriteFile(c.KeyPath, []byte(other), 0o640); err != nil {
		t.Fatal(err)
	}
	if d := infratest.Converge(t, h, c, infra.Update, "key"); d.Fields[0].Old != infra.Sensitive {
		t.Errorf("%+v", d)
	}
	infratest.Shell(t, "rm /etc/ssl/web.key")
	infratest.Converge(t, h, c, infra.Update, "key")
	infratest.Shell(t, "echo damaged >/etc/ssl/web.pem")
	infratest.Converge(t, h, c, infra.Update, "certificate")
	// A run was cut off between the two files.
	infratest.Shell(t, "rm /etc/ssl/web.pem")
	infratest.Converge(t, h, c, infra.Create, "certificate")
	infratest.Gone(t, h, c)
	infratest.Fails(t, h, infratest.Decoded(t, &Certificate{}, "{path: /srv/no/a.pem, key_path: /srv/no/a.key, self_signed: true, names: [a]}"), "there is no folder /srv/no (declare it")
}

func TestGiven(t *testing.T) {
	infratest.Inside(t, func() { synctest.Test(t, given) })
}

func given(t *testing.T) {
	h := infra.NewHost(t.Context())
	cert, key := made(t, 60)
	declared := func(cert, key, more string) *Certificate {
		b, err := yaml.Marshal(map[string]string{"path": "/etc/ssl/g.pem", "key_path": "/etc/ssl/g.key", "content": cert, "key": key})
		if err != nil {
			t.Fatal(err)
		}
		return infratest.Decoded(t, &Certificate{}, string(b)+more)
	}
	d := infratest.Converge(t, h, declared(cert, key, ""), infra.Create, "content", "key")
	if b, _ := json.Marshal(d); strings.Contains(string(b), "PRIVATE") {
		t.Errorf("the diff shows the key: %s", b)
	}
	cert2, key2 := made(t, 60)
	d = infratest.Converge(t, h, declared(cert2, key2, ""), infra.Update, "content", "key")
	if b, _ := json.Marshal(d); strings.Contains(string(b), "PRIVATE") {
		t.Errorf("the diff shows the key: %s", b)
	}
	if b, err := yaml.Marshal(declared(cert, key, "").Absent()); err != nil || strings.Contains(string(b), "BEGIN") {
		t.Errorf("%s", b)
	}
	watched := declared(cert2, key2, "renew_before: 14d\n")
	infratest.Same(t, h, watched)
	time.Sleep(47 * 24 * time.Hour)
	infratest.Same(t, h, declared(cert2, key2, ""))
	infratest.Fails(t, h, watched, "ends on 2000-02-29 (put a newer one into the role)")
	cert3, key3 := made(t, 60)
	infratest.Converge(t, h, declared(cert3, key3, "renew_before: 14d\n"), infra.Update, "content", "key")
	infratest.Gone(t, h, watched)
}
