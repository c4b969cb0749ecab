package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// Conn runs programs on a host, as root. It is safe for concurrent use.
type Conn interface {
	// Run runs one to its end. An *Exit is its answer; any other error is about the
	// way to the host, of kind Unavailable when there is none.
	Run(ctx context.Context, c Call) error
	Close() error
}

// Call is a program to run. Nil streams are empty.
type Call struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Exit is the end of a program with another code than 0.
type Exit struct {
	Code   int
	Stderr string // its end
}

func (e *Exit) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("ended with code %d", e.Code)
	}
	return fmt.Sprintf("ended with code %d: %s", e.Code, e.Stderr)
}

// Dial reaches the host of an address:
//
//	local                            this machine
//	docker://CONTAINER               a running container
//	ssh://USER@NAME:PORT             by SSH; keys of the agent or ?key=FILE, host keys of ?known_hosts=FILE
//	nspawn://MACHINE                 a running container of systemd-nspawn
//	chroot:///FOLDER                 a root file system that is only entered
//	command:PROGRAM ARG…             a program that gets the words to run, and runs them there
func Dial(ctx context.Context, address string) (Conn, error) {
	switch kind, rest, _ := strings.Cut(address, ":"); kind {
	case "local":
		return &Program{}, nil
	case "docker":
		name := strings.TrimPrefix(rest, "//")
		if !containerName.MatchString(name) {
			return nil, fault.New(fault.Invalid, "%q is no container (write docker://NAME)", address)
		}
		return Container(name), nil
	case "ssh":
		u, err := url.Parse(address)
		if err != nil || u.Hostname() == "" {
			return nil, fault.New(fault.Invalid, "%q is no address for SSH (write ssh://USER@NAME:PORT)", address)
		}
		return dialSSH(ctx, u)
	case "nspawn":
		name := strings.TrimPrefix(rest, "//")
		if !containerName.MatchString(name) {
			return nil, fault.New(fault.Invalid, "%q is no machine (write nspawn://NAME)", address)
		}
		return dialNspawn(name)
	case "chroot":
		return dialTree(address, strings.TrimPrefix(rest, "//"))
	case "command":
		words := strings.Fields(rest)
		if len(words) == 0 {
			return nil, fault.New(fault.Invalid, "%q names no program (write command:PROGRAM ARG…)", address)
		}
		return &Program{Before: words}, nil
	}
	return nil, fault.New(fault.Invalid, "%q is no way to a host (write local, ssh://USER@NAME, docker://CONTAINER, nspawn://MACHINE, chroot:///FOLDER or command:PROGRAM)", address)
}

// dialTree enters a folder, by this program.
func dialTree(address, folder string) (Conn, error) {
	if !filepath.IsAbs(folder) || filepath.Clean(folder) == "/" {
		return nil, fault.New(fault.Invalid, "%q is no folder with a root file system (write chroot:///FOLDER)", address)
	}
	if is, err := os.Stat(filepath.Join(folder, "bin")); err != nil || !is.IsDir() {
		return nil, fault.New(fault.Unavailable, "reach %s: there is no root file system (steer host create makes those of %s)", address, InventoryFile)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return &Program{Before: append([]string{self}, infra.Entrance{Root: folder, Name: filepath.Base(folder)}.Words()...)}, nil
}

var containerName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// Container reaches a running container through the docker program.
func Container(name string) *Program {
	return &Program{Before: []string{"docker", "exec", "-i", "-u", "0", name}}
}

// Program reaches a host by a program on this machine that gets the words to run
// there after its own; without one, the host is this machine.
type Program struct{ Before []string }

// Close has nothing to do.
func (p *Program) Close() error { return nil }

// Run runs a program there.
func (p *Program) Run(ctx context.Context, c Call) error {
	words := append(append([]string(nil), p.Before...), c.Args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	end := &ending{}
	cmd.Stdout, cmd.Stderr = c.Stdout, io.Writer(end)
	if c.Stderr != nil {
		cmd.Stderr = io.MultiWriter(c.Stderr, end)
	}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		feed(stdin, c.Stdin)
		err = cmd.Wait()
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit):
		if len(p.Before) > 0 && p.Before[0] == "docker" {
			name := p.Before[len(p.Before)-1]
			// 125 is how docker says that itself could not.
			switch why := away.FindStringSubmatch(end.String()); {
			case exit.ExitCode() == 1 && why != nil && why[1] == "paused":
				return halted(name, "frozen")
			case exit.ExitCode() == 1 && why != nil && why[1] != "":
				return halted(name, "stopped")
			case exit.ExitCode() == 1 && why != nil:
				return absent(name)
			case exit.ExitCode() == 125:
				return fault.New(fault.Unavailable, "reach container %s: %s", name, end)
			}
		}
		return &Exit{exit.ExitCode(), end.String()}
	case err != nil:
		return fault.New(fault.Unavailable, "run %s: %w", words[0], err)
	}
	return nil
}

// away is how docker says that a container cannot be worked on, in the words of all
// its versions.
var away = regexp.MustCompile(`No such container|[Cc]ontainer \S+ is (not running|paused)`)

// halted is a container that is there, and does not run.
func halted(name, how string) error {
	return fault.New(fault.Unavailable, "reach container %s: it is %s (steer host start %[1]s starts it, or steer fleet start %[1]s where a server keeps it)", name, how)
}

// absent is a container that is not there.
func absent(name string) error {
	return fault.New(fault.Unavailable, "reach container %s: there is none (steer host create %[1]s makes it, if %s says how)", name, InventoryFile)
}

// feed copies from, nil for nothing, to a program's input. The end of the program is
// not held up by a reader that has more to say.
func feed(stdin io.WriteCloser, from io.Reader) {
	if from == nil {
		stdin.Close()
		return
	}
	go func() {
		io.Copy(stdin, from) //nolint:errcheck // the program says what it misses
		stdin.Close()
	}()
}

// ending keeps the last bytes of what is written to it.
type ending struct{ b []byte }

func (e *ending) Write(p []byte) (int, error) {
	e.b = append(e.b, p...)
	if len(e.b) > 4096 {
		e.b = append([]byte(nil), e.b[len(e.b)-2048:]...)
	}
	return len(p), nil
}

func (e *ending) String() string {
	return strings.ToValidUTF8(string(bytes.TrimSpace(e.b[max(0, len(e.b)-2048):])), "?")
}
