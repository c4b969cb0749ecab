//go:build !linux

package tour

import "syscall"

func child() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
