package main

import (
	"fmt"
	"strconv"

	"steer/test/bench/values"
)

// workload is what is sent to every system: series x points, a value of every
// series at each step. Each hundred series are a host, as an agent reports it.
type workload struct {
	name   string // a, b, million
	series int
	points int
	step   int64 // seconds
	start  int64 // of the first point, seconds since 1970, a multiple of step
	seed   uint64
	conns  int // host h is sent over connection h % conns
}

func (w *workload) total() int         { return w.series * w.points }
func (w *workload) end() int64         { return w.at(w.points - 1) }
func (w *workload) at(p int) int64     { return w.start + int64(p)*w.step }
func (w *workload) hosts() int         { return (w.series + perHost - 1) / perHost }
func (w *workload) seriesOf(h int) int { return min(perHost, w.series-h*perHost) }

// host is the prefix of a host's names, without the dot.
func (w *workload) host(h int) string {
	site := [...]string{"frankfurt1", "dublin2"}[h%2]
	role := [...]string{"frontend", "database", "checkout", "indexer"}[h/2%4]
	return fmt.Sprintf("servers.%s.%s-%05d", site, role, h)
}

// sequences are the values of a host's series, from the first point on.
func (w *workload) sequences(h int, all []metric) []values.Sequence {
	list := make([]values.Sequence, w.seriesOf(h))
	for m := range list {
		list[m] = values.New(all[m].kind, w.seed+uint64(h*perHost+m))
	}
	return list
}

// metric is one of the things that a host reports.
type metric struct {
	name string
	kind values.Kind
}

const perHost = 100

// metrics are the perHost things that every host reports.
func metrics() []metric {
	var all []metric
	add := func(k values.Kind, prefix string, names ...string) {
		for _, n := range names {
			all = append(all, metric{prefix + n, k})
		}
	}
	for core := range 8 {
		prefix := "cpu." + strconv.Itoa(core) + "."
		add(values.Percent, prefix, "idle", "user", "system")
		add(values.Blip, prefix, "iowait")
	}
	add(values.Amount, "memory.", "used", "free", "cached", "buffers", "slab")
	add(values.Still, "swap.", "used")
	add(values.Walk, "load.", "shortterm", "midterm", "longterm")
	for _, d := range []string{"sda", "sdb", "nvme0n1", "nvme1n1"} {
		add(values.Counter, "disk."+d+".", "read_bytes", "write_bytes", "reads", "writes")
		add(values.Percent, "disk."+d+".", "util_percent")
	}
	for _, f := range []string{"root", "var", "home"} {
		add(values.Amount, "filesystem."+f+".", "used_bytes")
		add(values.Walk, "filesystem."+f+".", "used_percent")
		add(values.Still, "filesystem."+f+".", "total_bytes", "inodes_free")
	}
	for _, i := range []string{"eth0", "eth1"} {
		add(values.Counter, "interface."+i+".", "rx_bytes", "tx_bytes", "rx_packets", "tx_packets")
		add(values.Still, "interface."+i+".", "rx_errors", "tx_errors")
	}
	add(values.Temperature, "sensors.", "cpu0.temperature", "cpu1.temperature", "board.temperature", "inlet.temperature")
	for _, page := range []string{"index", "search", "item"} {
		add(values.Timer, "http."+page+".", "mean", "upper_90")
	}
	add(values.Level, "", "tcp.established", "tcp.time_wait", "processes.running", "processes.blocked")
	add(values.Still, "", "kernel.boot_time")
	return all
}
