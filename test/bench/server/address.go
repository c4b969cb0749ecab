package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
)

// Addresses are where a system listens, 127.0.0.1:PORT.
type Addresses struct{ Graphite, HTTP, More string }

// FreeAddresses are free when it is asked: the systems can't all say which port
// they took when they are told to take any.
func FreeAddresses() (a Addresses, err error) {
	for _, into := range []*string{&a.Graphite, &a.HTTP, &a.More} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return a, err
		}
		defer l.Close()
		*into = l.Addr().String()
	}
	return a, nil
}

// Get asks over HTTP; the answer is to be closed.
func Get(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		b, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		return nil, fmt.Errorf("get %s: %s: %s", url, res.Status, strings.TrimSpace(string(b)))
	}
	return res.Body, nil
}

// Healthy is nil when an address answers 200.
func Healthy(ctx context.Context, url string) error {
	body, err := Get(ctx, url)
	if err != nil {
		return err
	}
	return body.Close()
}

// Debian is the version of an installed package.
func Debian(program, pkg string) (string, error) {
	if _, err := exec.LookPath(program); err != nil {
		return "", errors.New(program + " is not on PATH")
	}
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", pkg).Output()
	if err != nil {
		return "version unknown", nil
	}
	return string(out), nil
}
