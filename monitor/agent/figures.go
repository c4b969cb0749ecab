package agent

import (
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"github.com/prometheus/procfs/blockdevice"
)

// reading is what was read at one time. A part that could not be read is nil;
// the others are reported all the same.
type reading struct {
	at    time.Time
	stat  *procfs.Stat
	load  *procfs.LoadAvg
	mem   *procfs.Meminfo
	net   procfs.NetDev
	disks []blockdevice.Diskstats
	fs    []fileSystem
}

type fileSystem struct {
	name                        string // mount point with _ for /, "root" for /
	total, free, inodes, ifrees float64
}

func (a *Agent) read(now time.Time) reading {
	r := reading{at: now}
	if s, err := a.proc.Stat(); err == nil {
		r.stat = &s
	}
	r.load, _ = a.proc.LoadAvg()
	if m, err := a.proc.Meminfo(); err == nil {
		r.mem = &m
	}
	r.net, _ = a.proc.NetDev()
	if b, err := blockdevice.NewFS(procfs.DefaultMountPoint, "/sys"); err == nil {
		r.disks, _ = b.ProcDiskstats()
	}
	r.fs = a.fileSystems()
	return r
}

// fileSystems are the mounted ones that sit on a device.
func (a *Agent) fileSystems() []fileSystem {
	mounts, err := procfs.GetMounts()
	if err != nil {
		return nil
	}
	var found []fileSystem
	seen := map[string]bool{}
	for _, m := range mounts {
		if !strings.HasPrefix(m.Source, "/dev/") && m.FSType != "zfs" && m.FSType != "overlay" || seen[m.Source] {
			continue
		}
		var s syscall.Statfs_t
		if syscall.Statfs(m.MountPoint, &s) != nil || s.Blocks == 0 {
			continue
		}
		seen[m.Source] = true
		name := strings.ReplaceAll(strings.Trim(m.MountPoint, "/"), "/", "_")
		if name == "" {
			name = "root"
		}
		size := float64(s.Bsize)
		found = append(found, fileSystem{part(name), float64(s.Blocks) * size, float64(s.Bavail) * size, float64(s.Files), float64(s.Ffree)})
	}
	return found
}

// figures emits the metrics of one report. Units: cpu.* percent of all
// processors; memory and disk sizes bytes; rates per second; load as the
// kernel gives it.
func (a *Agent) figures(last, cur reading) {
	seconds := cur.at.Sub(last.at).Seconds()
	if cur.stat != nil && last.stat != nil {
		was, is := last.stat.CPUTotal, cur.stat.CPUTotal
		shares := []struct {
			name  string
			value float64
		}{{"user", is.User - was.User}, {"nice", is.Nice - was.Nice}, {"system", is.System - was.System},
			{"idle", is.Idle - was.Idle}, {"iowait", is.Iowait - was.Iowait}, {"irq", is.IRQ - was.IRQ},
			{"softirq", is.SoftIRQ - was.SoftIRQ}, {"steal", is.Steal - was.Steal}}
		total := 0.0
		for i := range shares {
			shares[i].value = max(shares[i].value, 0) // iowait may run backwards
			total += shares[i].value
		}
		if total > 0 {
			for _, s := range shares {
				a.emit(cur.at, "cpu."+s.name, 100*s.value/total)
			}
		}
		a.emit(cur.at, "cpu.count", float64(len(cur.stat.CPU)))
		a.emit(cur.at, "processes.running", float64(cur.stat.ProcessesRunning))
		a.emit(cur.at, "processes.blocked", float64(cur.stat.ProcessesBlocked))
		a.rate(cur.at, "processes.forks", float64(last.stat.ProcessCreated), float64(cur.stat.ProcessCreated), seconds)
		a.rate(cur.at, "cpu.context_switches", float64(last.stat.ContextSwitches), float64(cur.stat.ContextSwitches), seconds)
		a.emit(cur.at, "uptime", float64(cur.at.Unix()-int64(cur.stat.BootTime)))
	}
	if cur.load != nil {
		a.emit(cur.at, "load.1m", cur.load.Load1)
		a.emit(cur.at, "load.5m", cur.load.Load5)
		a.emit(cur.at, "load.15m", cur.load.Load15)
	}
	if m := cur.mem; m != nil {
		for _, v := range []struct {
			name  string
			bytes *uint64
		}{{"total", m.MemTotalBytes}, {"free", m.MemFreeBytes}, {"available", m.MemAvailableBytes}, {"buffers", m.BuffersBytes},
			{"cached", m.CachedBytes}, {"swap_total", m.SwapTotalBytes}, {"swap_free", m.SwapFreeBytes}} {
			if v.bytes != nil {
				a.emit(cur.at, "memory."+v.name, float64(*v.bytes))
			}
		}
		if m.MemTotalBytes != nil && m.MemAvailableBytes != nil && *m.MemTotalBytes > 0 {
			a.emit(cur.at, "memory.used_percent", 100*(1-float64(*m.MemAvailableBytes)/float64(*m.MemTotalBytes)))
		}
	}
	for _, f := range cur.fs {
		a.emit(cur.at, "disk."+f.name+".total", f.total)
		a.emit(cur.at, "disk."+f.name+".free", f.free)
		a.emit(cur.at, "disk."+f.name+".used_percent", 100*(1-f.free/f.total))
		if f.inodes > 0 {
			a.emit(cur.at, "disk."+f.name+".inodes_used_percent", 100*(1-f.ifrees/f.inodes))
		}
	}
	a.network(last, cur, seconds)
	a.io(last, cur, seconds)
}

func (a *Agent) network(last, cur reading, seconds float64) {
	for name, is := range cur.net {
		was, ok := last.net[name]
		if !ok || name == "lo" {
			continue
		}
		p := "network." + part(name) + "."
		a.rate(cur.at, p+"receive_bytes", float64(was.RxBytes), float64(is.RxBytes), seconds)
		a.rate(cur.at, p+"transmit_bytes", float64(was.TxBytes), float64(is.TxBytes), seconds)
		a.rate(cur.at, p+"receive_packets", float64(was.RxPackets), float64(is.RxPackets), seconds)
		a.rate(cur.at, p+"transmit_packets", float64(was.TxPackets), float64(is.TxPackets), seconds)
		a.rate(cur.at, p+"errors", float64(was.RxErrors+was.TxErrors), float64(is.RxErrors+is.TxErrors), seconds)
		a.rate(cur.at, p+"drops", float64(was.RxDropped+was.TxDropped), float64(is.RxDropped+is.TxDropped), seconds)
	}
}

// io reports whole devices; a partition's traffic is its device's.
func (a *Agent) io(last, cur reading, seconds float64) {
	const sector = 512 // bytes, whatever the device (Documentation/admin-guide/iostats.rst)
	before := map[string]blockdevice.Diskstats{}
	for _, d := range last.disks {
		before[d.DeviceName] = d
	}
	for _, is := range cur.disks {
		was, ok := before[is.DeviceName]
		if !ok || is.ReadIOs+is.WriteIOs == 0 || strings.HasPrefix(is.DeviceName, "loop") || strings.HasPrefix(is.DeviceName, "ram") || partition(is.DeviceName) {
			continue
		}
		p := "io." + part(is.DeviceName) + "."
		a.rate(cur.at, p+"read_bytes", float64(was.ReadSectors*sector), float64(is.ReadSectors*sector), seconds)
		a.rate(cur.at, p+"write_bytes", float64(was.WriteSectors*sector), float64(is.WriteSectors*sector), seconds)
		a.rate(cur.at, p+"reads", float64(was.ReadIOs), float64(is.ReadIOs), seconds)
		a.rate(cur.at, p+"writes", float64(was.WriteIOs), float64(is.WriteIOs), seconds)
		if seconds > 0 {
			a.emit(cur.at, p+"busy_percent", min(100, float64(is.IOsTotalTicks-was.IOsTotalTicks)/10/seconds))
		}
	}
}

func partition(device string) bool {
	last := device[len(device)-1]
	if last < '0' || last > '9' {
		return false
	}
	if strings.HasPrefix(device, "nvme") || strings.HasPrefix(device, "mmcblk") {
		i := strings.LastIndexByte(device, 'p')
		if i < 0 {
			return false
		}
		_, err := strconv.Atoi(device[i+1:])
		return err == nil
	}
	return strings.HasPrefix(device, "sd") || strings.HasPrefix(device, "vd") || strings.HasPrefix(device, "xvd") || strings.HasPrefix(device, "hd")
}

// rate emits a counter's growth per second; a counter that went back was reset.
func (a *Agent) rate(at time.Time, name string, was, is, seconds float64) {
	if seconds > 0 && is >= was {
		a.emit(at, name, (is-was)/seconds)
	}
}
