package agent

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// runProgram lets a program answer over a connection. It is in a group of its own, so
// that a signal to the agent does not reach it.
func runProgram(program string, conn io.ReadWriter) error {
	cmd := exec.Command(program, command)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = conn, &bounded{to: said, left: 4 << 10}
	cmd.WaitDelay = 5 * time.Second // what it started may hold its output open
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		io.Copy(in, conn) //nolint:errcheck // the connection ended: the program learns it by its input
		in.Close()
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && said.Len() > 0 {
		return errors.Join(err, errors.New(said.String()))
	}
	if errors.As(err, &exit) || errors.Is(err, exec.ErrWaitDelay) {
		return err
	}
	return nil // the server did not listen to the end
}

// bounded passes on the beginning.
type bounded struct {
	to   io.Writer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	if _, err := b.to.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}
