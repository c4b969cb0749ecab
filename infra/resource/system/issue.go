package system

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"

	"steer/infra"
)

// make returns a certificate and its key in PEM: those that are there, if only modes
// and owners differ, else new ones. A key that is there and good is used again, so
// that those who pinned it need not care.
func (c *Certificate) make(d infra.Diff) (cert, key []byte, err error) {
	key, _ = os.ReadFile(c.KeyPath)
	cert, _ = os.ReadFile(c.Path)
	_, err = tls.X509KeyPair(cert, key)
	anew := d.Action == infra.Create || err != nil
	for _, f := range []string{"certificate", "key", "common_name", "names", "days", "expires"} {
		anew = anew || d.Has(f)
	}
	if !anew {
		return cert, key, nil
	}
	signer := usable(key)
	if signer == nil {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return nil, nil, err
		}
		signer, key = private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	cert, err = c.sign(signer)
	return cert, key, err
}

// usable reads a private key, nil if there is none without a password, or a weak one.
func usable(text []byte) crypto.Signer {
	for rest := text; ; {
		block, more := pem.Decode(rest)
		if block == nil {
			return nil
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		default: // the parameters of a key, say
			rest = more
			continue
		}
		weak, isRSA := key.(*rsa.PrivateKey)
		signer, ok := key.(crypto.Signer)
		if err != nil || !ok || isRSA && weak.N.BitLen() < 2048 {
			return nil
		}
		return signer
	}
}

func (c *Certificate) sign(signer crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now().Add(-time.Minute).UTC().Truncate(time.Second) // clocks of clients differ
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: c.commonName()},
		NotBefore:    now,
		NotAfter:     now.AddDate(0, 0, c.Days),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// It vouches for itself: programs take it into their store of authorities.
		BasicConstraintsValid: true, IsCA: true,
	}
	template.KeyUsage |= x509.KeyUsageCertSign
	for _, n := range c.names() {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
