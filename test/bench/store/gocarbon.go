package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"steer/test/bench/server"
)

// goCarbon is go-graphite's carbon in Go, writing as fast as it can.
type goCarbon struct{ whisper }

func (goCarbon) Name() string { return "go-carbon" }

func (goCarbon) Find() (string, error) {
	out, err := exec.Command("go-carbon", "-version").Output()
	first, _, _ := strings.Cut(string(out), "\n")
	return first, err
}

func (goCarbon) Command(ctx context.Context, dir string, a server.Addresses, step int64) (*exec.Cmd, error) {
	schemas, err := whisperSchemas(dir, step)
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`[common]
user = ""
metric-endpoint = "local"
metric-interval = "24h0m0s"
max-cpu = %d
[whisper]
data-dir = %q
schemas-file = %q
workers = 2
sparse-create = true
[cache]
max-size = 0
[tcp]
listen = %q
[udp]
enabled = false
[pickle]
enabled = false
[carbonlink]
enabled = false
[grpc]
enabled = false
[[logging]]
logger = ""
file = "stderr"
level = "warn"
`, runtime.NumCPU(), filepath.Join(dir, "whisper"), schemas, a.Graphite)
	path := filepath.Join(dir, "go-carbon.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, "go-carbon", "-config", path), nil
}
