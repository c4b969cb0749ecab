package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"steer/base/fault"
)

// patience is how long a host may take to answer.
const patience = 20 * time.Second

// sshConn is a way by SSH. Users other than root work through sudo, which must not
// ask for a password.
type sshConn struct {
	client *ssh.Client
	name   string
	sudo   bool
}

func dialSSH(ctx context.Context, u *url.URL) (Conn, error) {
	name := u.Redacted()
	fail := func(kind fault.Kind, err error) (Conn, error) {
		return nil, fault.New(kind, "reach %s: %w", name, err)
	}
	login := u.User.Username()
	if me, err := user.Current(); login == "" && err == nil {
		login = me.Username
	}
	home, _ := os.UserHomeDir()
	known := cmp.Or(u.Query().Get("known_hosts"), filepath.Join(home, ".ssh", "known_hosts"))
	check, err := knownhosts.New(known)
	if err != nil {
		return fail(fault.Invalid, fmt.Errorf("%w (host keys are always checked: write them into the file with ssh-keyscan, once you have compared them)", err))
	}
	address := net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "22"))
	config := &ssh.ClientConfig{
		User: login, Timeout: patience, HostKeyCallback: check, HostKeyAlgorithms: algorithms(check, address),
		ClientVersion: "SSH-2.0-steer",
	}
	methods, release, err := logins(u.Query().Get("key"), home)
	if err != nil {
		return fail(fault.Invalid, err)
	}
	defer release()
	config.Auth = methods
	c, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fail(fault.Unavailable, err)
	}
	// Whoever is there must say so in time, not only accept.
	c.SetDeadline(time.Now().Add(patience))
	attended := context.AfterFunc(ctx, func() { c.Close() })
	defer attended()
	conn, channels, requests, err := ssh.NewClientConn(c, address, config)
	if err != nil {
		c.Close()
		var key *knownhosts.KeyError
		switch {
		case errors.As(err, &key) && len(key.Want) == 0:
			return fail(fault.Denied, fmt.Errorf("its host key is not in %s (add it with ssh-keyscan -p %s %s, once you have compared it)", known, cmp.Or(u.Port(), "22"), u.Hostname()))
		case errors.As(err, &key):
			return fail(fault.Denied, fmt.Errorf("its host key differs from the one in %s:%d: another machine answers, or it was made anew (compare, then remove the old one with ssh-keygen -R)", key.Want[0].Filename, key.Want[0].Line))
		case strings.Contains(err.Error(), "unable to authenticate"):
			return fail(fault.Denied, fmt.Errorf("%s may not log in with the keys at hand (give one with ?key=FILE, or an agent)", login))
		}
		return fail(fault.Unavailable, err)
	}
	c.SetDeadline(time.Time{})
	client := ssh.NewClient(conn, channels, requests)
	go watch(client, pulse)
	return &sshConn{client, name, login != "root"}, nil
}

// pulse is how often a host is asked whether it is still there.
const pulse = 15 * time.Second

// watch closes the connection to a host that has vanished without a word: one that
// does not answer for four pulses.
func watch(client *ssh.Client, each time.Duration) {
	ended := make(chan struct{})
	go func() { client.Wait(); close(ended) }()
	for {
		answered := make(chan struct{})
		go func() {
			if _, _, err := client.SendRequest("keepalive@openssh.com", true, nil); err == nil {
				close(answered)
			}
		}()
		select {
		case <-answered:
		case <-ended:
			return
		case <-time.After(4 * each):
			client.Close()
			return
		}
		select {
		case <-time.After(each):
		case <-ended:
			return
		}
	}
}

// algorithms lists the kinds of keys that are known of a host: it is asked for one
// of those, so that a known key can be compared.
func algorithms(check ssh.HostKeyCallback, address string) []string {
	var key *knownhosts.KeyError
	err := check(address, &net.TCPAddr{IP: net.IPv4zero}, nowhere{})
	if !errors.As(err, &key) {
		return nil
	}
	var all []string
	for _, k := range key.Want {
		switch t := k.Key.Type(); t {
		case ssh.KeyAlgoRSA:
			all = append(all, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			all = append(all, t)
		}
	}
	return all
}

// nowhere is a key that no host has.
type nowhere struct{}

func (nowhere) Type() string                        { return "none" }
func (nowhere) Marshal() []byte                     { return nil }
func (nowhere) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

// logins are the keys to try: of one file, or of the agent and the usual files.
func logins(file, home string) (methods []ssh.AuthMethod, release func(), err error) {
	release = func() {}
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, release, err
		}
		signer, err := ssh.ParsePrivateKey(b)
		if err != nil {
			return nil, release, fmt.Errorf("key %s: %w", file, err)
		}
		return []ssh.AuthMethod{ssh.PublicKeys(signer)}, release, nil
	}
	var signers []ssh.Signer
	if socket := os.Getenv("SSH_AUTH_SOCK"); socket != "" {
		if c, err := net.Dial("unix", socket); err == nil {
			release = func() { c.Close() }
			signers, _ = agent.NewClient(c).Signers()
		}
	}
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		if b, err := os.ReadFile(filepath.Join(home, ".ssh", name)); err == nil {
			if s, err := ssh.ParsePrivateKey(b); err == nil { // one with a password is the agent's
				signers = append(signers, s)
			}
		}
	}
	return []ssh.AuthMethod{ssh.PublicKeys(signers...)}, release, nil
}

// Close ends the connection.
func (s *sshConn) Close() error { return s.client.Close() }

// Run runs a program there.
func (s *sshConn) Run(ctx context.Context, c Call) error {
	session, err := s.client.NewSession()
	if err != nil {
		return fault.New(fault.Unavailable, "reach %s: %w", s.name, err)
	}
	defer session.Close()
	// A host that vanished does not say so; the context ends the wait.
	defer context.AfterFunc(ctx, func() { session.Close(); s.client.Close() })()
	end := &ending{}
	session.Stdout, session.Stderr = c.Stdout, io.Writer(end)
	if c.Stderr != nil {
		session.Stderr = io.MultiWriter(c.Stderr, end)
	}
	words := c.Args
	if s.sudo {
		words = append([]string{"sudo", "-n", "--"}, words...)
	}
	stdin, err := session.StdinPipe()
	if err == nil {
		err = session.Start(quote(words))
	}
	if err == nil {
		feed(stdin, c.Stdin)
		err = session.Wait()
	}
	var exit *ssh.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit):
		if s.sudo && strings.HasPrefix(end.String(), "sudo:") {
			return fault.New(fault.Denied, "become root on %s: %s (let the user run sudo without a password)", s.name, end)
		}
		return &Exit{exit.ExitStatus(), end.String()}
	case err != nil:
		return fault.New(fault.Unavailable, "%s: the connection ended: %w", s.name, err)
	}
	return nil
}

// quote makes words for the shell of the other side.
func quote(words []string) string {
	var all []string
	for _, w := range words {
		all = append(all, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return strings.Join(all, " ")
}
