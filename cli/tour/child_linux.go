package tour

import "syscall"

// child is how the server is started: out of reach of the terminal's Ctrl-C,
// which is for the tour, and told to stop when the tour is killed.
func child() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
