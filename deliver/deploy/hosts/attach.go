package hosts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"steer/base/fault"
)

// Command is the hidden command of this program that is a keeper.
const Command = "node-keeper"

// Root is the folder of nodes on hosts; each server has one of its own in it. Nodes
// need not be root, so others may enter it.
const Root = "/var/lib/steer-nodes"

// Settings are how nodes are kept on a host. A keeper with others is replaced.
type Settings struct {
	Dir      string        `json:"dir"`
	Ports    string        `json:"ports"`
	LogBytes int64         `json:"log_bytes"`
	LogFiles int           `json:"log_files"`
	Retain   time.Duration `json:"retain"`
	MaxMB    int           `json:"max_mb"`    // of an artifact
	MaxFiles int           `json:"max_files"` // of an artifact
	Program  string        `json:"program"`   // file of the program that is the keeper; "" before it is started
}

// Check says what is wrong with them.
func (s Settings) Check() error {
	if !filepath.IsAbs(s.Dir) || filepath.Clean(s.Dir) == "/" || strings.ContainsAny(s.Dir, " \t\n\"'%\\$") {
		return fault.New(fault.Invalid, "nodes' folder %q is no absolute path without blanks and quotes", s.Dir)
	}
	return nil
}

// about tells keepers apart: one of another program, or with other settings, makes way.
func (s Settings) about() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// Names in Settings.Dir.
const (
	socketName = "keeper.sock"
	lockName   = "keeper.lock" // held by the keeper
	attachName = "attach.lock" // held by who looks whether there is one
	logName    = "keeper.log"
	resting    = "resting" // there while nodes rest until Steer is back
)

const starting = 20 * time.Second // that a keeper may take

// Attach connects with the keeper of this host. It starts one if there is none: as a
// service where systemd runs the host and the folder is the usual one, so that it is
// there again after a start of the host; elsewhere as a process of its own, which the
// next Attach starts again. Another version of it makes way; the nodes do not notice.
func Attach(ctx context.Context, s Settings) (net.Conn, error) {
	conn, err := attach(ctx, s)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fault.New(fault.Denied, "keep nodes in %s: %w (deploy.hosts.dir names another folder)", s.Dir, err)
	}
	if err != nil {
		return nil, fault.New(cmp.Or(fault.Of(err), fault.Unavailable), "reach the keeper of nodes in %s: %w", s.Dir, err)
	}
	return conn, nil
}

func attach(ctx context.Context, s Settings) (net.Conn, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	defer syscall.Umask(syscall.Umask(0o022))
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, filepath.Join(s.Dir, attachName))
	if err != nil {
		return nil, err
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	for started := false; ; {
		about, err := ask(ctx, s.Dir, "GET", "/about")
		switch {
		case err == nil && about == s.about():
			return dial(ctx, s.Dir)
		case err == nil && started:
			err = errors.New("another one answers, which somebody else has started")
		case err == nil:
			_, err = ask(ctx, s.Dir, "POST", "/leave") // until its lock is free
		case !started:
			free, e := tryLock(filepath.Join(s.Dir, lockName))
			if e != nil {
				break // it is about to come, or to go
			}
			free()
			if err := os.Remove(filepath.Join(s.Dir, resting)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			if err := start(ctx, s); err != nil {
				return nil, err
			}
			started = true
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("it does not answer: %w %s", cmp.Or(err, ctx.Err()), lastWords(s.Dir))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func dial(ctx context.Context, dir string) (net.Conn, error) {
	return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", filepath.Join(dir, socketName))
}

// ask sends a request to the keeper here.
func ask(ctx context.Context, dir, method, path string) (said string, err error) {
	c := newClient("here", func(ctx context.Context) (io.ReadWriteCloser, error) { return dial(ctx, dir) })
	defer c.hangUp()
	return said, c.call(ctx, patience, method, path, nil, nil, &said)
}

// lock takes a lock that ends with this process.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	for {
		if unlock, err = tryLock(path); !errors.Is(err, syscall.EWOULDBLOCK) {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func tryLock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// lastWords is the end of what the keeper wrote.
func lastWords(dir string) string {
	b, _ := os.ReadFile(filepath.Join(dir, logName))
	return strings.TrimSpace(string(b[max(0, len(b)-1000):]))
}

// words start the keeper.
func (s Settings) words() ([]string, error) {
	b, err := json.Marshal(s)
	return []string{s.Program, Command, string(b)}, err
}

// unit is the service for systemd. KillMode: nodes outlive the keeper. OOMPolicy: a
// node that is killed for its memory is no reason to end the keeper.
const unit = `[Unit]
Description=Steer: keeps the nodes in %s running
StartLimitIntervalSec=0

[Service]
ExecStart=%s %s %s
KillMode=process
OOMPolicy=continue
TasksMax=infinity
Restart=on-failure
RestartSec=1

[Install]
WantedBy=multi-user.target
`

const units = "/etc/systemd/system/"

func start(ctx context.Context, s Settings) error {
	words, err := s.words()
	if err != nil {
		return err
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil && os.Geteuid() == 0 && filepath.Dir(s.Dir) == Root {
		name := "steer-nodes-" + strings.ToLower(filepath.Base(s.Dir)) + ".service"
		text := fmt.Sprintf(unit, s.Dir, words[0], words[1], "'"+words[2]+"'")
		if old, err := os.ReadFile(units + name); err != nil || string(old) != text {
			if err := os.WriteFile(units+name, []byte(text), 0o644); err != nil {
				return err
			}
			if err := systemctl(ctx, "daemon-reload"); err != nil {
				return err
			}
		}
		if err := systemctl(ctx, "enable", "--quiet", name); err != nil {
			return err
		}
		return systemctl(ctx, "restart", name)
	}
	out, err := os.OpenFile(filepath.Join(s.Dir, logName), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() //nolint:errcheck // it tells by its socket
	return nil
}

func systemctl(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", args[0], err, out)
	}
	return nil
}

// Keep is a keeper on this host until ctx ends. It takes over its folder's nodes.
func Keep(ctx context.Context, o KeeperOptions) error {
	syscall.Umask(0o022)
	if err := errors.Join(o.Check(), os.MkdirAll(o.Dir, 0o755)); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(o.Dir, resting)); err == nil {
		return nil // the host has started again, and Steer is not back
	}
	limited, cancel := context.WithTimeout(ctx, starting)
	unlock, err := lock(limited, filepath.Join(o.Dir, lockName))
	cancel()
	if err != nil {
		return fault.New(fault.Conflict, "another keeper looks after %s: %w", o.Dir, err)
	}
	defer unlock()
	tidied, cancel := context.WithCancel(ctx)
	defer cancel()
	go shorten(tidied, filepath.Join(o.Dir, logName))
	k, err := NewKeeper(o)
	if err != nil {
		return err
	}
	socket := filepath.Join(o.Dir, socketName)
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	if err := os.Chmod(socket, 0o600); err != nil {
		return err
	}
	return k.Serve(ctx, l)
}

// shorten empties the keeper's log when it is long.
func shorten(ctx context.Context, file string) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if i, err := os.Stat(file); err == nil && i.Size() > longestLog {
			os.Truncate(file, 0) //nolint:errcheck // tried again
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

const longestLog = 10 << 20
