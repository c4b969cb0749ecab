package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"steer/test/bench/server"
)

// carbon is Graphite's carbon-cache, writing as fast as it can.
type carbon struct{ whisper }

func (carbon) Name() string          { return "carbon" }
func (carbon) Find() (string, error) { return server.Debian("carbon-cache", "graphite-carbon") }

func (carbon) Command(ctx context.Context, dir string, a server.Addresses, step int64) (*exec.Cmd, error) {
	if _, err := whisperSchemas(dir, step); err != nil {
		return nil, err
	}
	_, line, _ := net.SplitHostPort(a.Graphite)
	_, query, _ := net.SplitHostPort(a.HTTP)
	_, pickle, _ := net.SplitHostPort(a.More)
	conf := fmt.Sprintf(`[cache]
STORAGE_DIR = %[1]s
LOCAL_DATA_DIR = %[1]s/whisper
CONF_DIR = %[1]s
LOG_DIR = %[1]s
PID_DIR = %[1]s
USER =
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = %[2]s
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = %[3]s
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = %[4]s
MAX_CACHE_SIZE = inf
MAX_UPDATES_PER_SECOND = inf
MAX_CREATES_PER_MINUTE = inf
WHISPER_SPARSE_CREATE = True
WHISPER_FALLOCATE_CREATE = False
LOG_UPDATES = False
LOG_CREATES = False
CARBON_METRIC_INTERVAL = 0
ENABLE_TAGS = False
`, dir, line, query, pickle)
	path := filepath.Join(dir, "carbon.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, "carbon-cache", "--config="+path, "--pidfile="+filepath.Join(dir, "pid"), "--logfile=-", "--nodaemon", "start"), nil
}
