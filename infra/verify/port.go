package verify

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"steer/infra"
)

var portKind = Kind{
	Name: "port",
	Doc: `A port on which something listens, as the kernel says (/proc/net). Addresses are those
that sockets are bound to: 0.0.0.0 and :: are all of a family, and a socket on :: often serves both.
To see the processes of others takes root.`,
	Key:     "port",
	Example: "port: {port: 22, address: {any: [\"0.0.0.0\", \"::\"]}, process: sshd}",
	Stable:  []string{"listening", "process"},
	New:     func() Subject { return &port{} },
}

type port struct {
	Port      uint16 `yaml:"port" doc:"Number, from 1."`
	Protocol  string `yaml:"protocol" doc:"tcp or udp." default:"tcp"`
	Listening *bool  `yaml:"listening" doc:"Whether something listens." default:"true"`
	Address   Text   `yaml:"address" doc:"Addresses on which something listens."`
	Process   Text   `yaml:"process" doc:"Names of the processes that listen."`
}

func (p *port) ID() string { return fmt.Sprintf("%d/%s", p.Port, p.Protocol) }

func (p *port) Check() error {
	if p.Port == 0 {
		return errors.New("port: is missing, or 0")
	}
	return oneOf("protocol", p.Protocol, "tcp", "udp")
}

func (p *port) Look(_ context.Context, h *infra.Host) (Found, error) {
	all, err := infra.Memo(h, "sockets "+p.Protocol, func() ([]socket, error) { return sockets(p.Protocol) })
	if err != nil {
		return nil, err
	}
	var addresses, inodes []string
	for _, s := range all {
		if s.at.Port() == p.Port {
			inodes = append(inodes, s.inode)
			if a := s.at.Addr().Unmap().String(); !slices.Contains(addresses, a) {
				addresses = append(addresses, a)
			}
		}
	}
	if len(inodes) == 0 {
		return Found{"listening": false}, nil
	}
	slices.Sort(addresses)
	found := Found{"listening": true, "address": addresses}
	if len(p.Process) > 0 {
		found["process"] = holders(h, inodes)
	}
	return found, nil
}

// socket is one on which something waits for others.
type socket struct {
	at    netip.AddrPort
	inode string
}

// sockets reads the kernel's tables of a protocol. A host without IPv6 lacks one.
func sockets(protocol string) ([]socket, error) {
	var all []socket
	for _, table := range []string{protocol, protocol + "6"} {
		b, err := os.ReadFile("/proc/net/" + table)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		all = append(all, readSockets(b, protocol)...)
	}
	return all, nil
}

// readSockets reads a table as proc_pid_net(5) describes it. TCP sockets listen in
// state 0A; UDP sockets that wait for anybody have no remote port.
func readSockets(b []byte, protocol string) []socket {
	var all []socket
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 10 || protocol == "tcp" && f[3] != "0A" || protocol == "udp" && !strings.HasSuffix(f[2], ":0000") {
			continue
		}
		if at, ok := hexAddress(f[1]); ok {
			all = append(all, socket{at, f[9]})
		}
	}
	return all
}

// hexAddress reads 0100007F:0050. The kernel prints words of 32 bits, which are in the
// order of the network, as if they were numbers of this machine.
func hexAddress(s string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(address)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a, uint16(n)), ok
}

// holders are the names of the processes that hold sockets, or an error when some
// can't be seen.
func holders(h *infra.Host, inodes []string) any {
	all, err := infra.Memo(h, "holders of sockets", socketHolders)
	if err != nil {
		return err
	}
	var names []string
	for _, inode := range inodes {
		if len(all[inode]) == 0 {
			return errors.New("the process that listens can't be seen: run the test as root, where the process runs (the kernel's own servers have none)")
		}
		for _, n := range all[inode] {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	slices.Sort(names)
	return names
}

// socketHolders maps the inodes of sockets to the names of their processes. What ends
// while it looks, or may not be seen, is left out.
func socketHolders() (map[string][]string, error) {
	all := map[string][]string{}
	processes, err := listProcesses()
	for _, p := range processes {
		dir := filepath.Join("/proc", strconv.Itoa(p.pid), "fd")
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			target, _ := os.Readlink(filepath.Join(dir, e.Name()))
			if inode, ok := strings.CutPrefix(target, "socket:["); ok {
				inode = strings.TrimSuffix(inode, "]")
				all[inode] = append(all[inode], p.name)
			}
		}
	}
	return all, err
}
