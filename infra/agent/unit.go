package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Unit is the agent's, for systemd.
const (
	Unit     = "steer-agent.service"
	unitFile = "/etc/systemd/system/" + Unit
)

// KillMode: a run that the server began is finished also when the agent ends.
const unitText = `[Unit]
Description=Steer agent: lets the server at %s look after this host
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=%s agent run --dir %s
KillMode=process
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
`

// Program is where the agent is started from.
func Program(dir string) string { return filepath.Join(dir, "bin", "agent") }

// Start installs this program, the file self, as the agent. With service it starts it
// when systemd runs this host; else it says false.
func Start(ctx context.Context, i Identity, dir, self string, service bool) (bool, error) {
	path := Program(dir)
	if err := Install(self, path); err != nil {
		return false, err
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil || !service {
		return false, nil
	}
	if err := os.WriteFile(unitFile, fmt.Appendf(nil, unitText, i.URL, path, dir), 0o644); err != nil {
		return false, fmt.Errorf("install the unit of the agent: %w", err)
	}
	for _, args := range [][]string{{"daemon-reload"}, {"enable", Unit}, {"restart", Unit}} {
		if err := systemctl(ctx, args...); err != nil {
			return false, err
		}
	}
	return true, nil
}

// stop stops and removes the unit of the agent of a folder, if there is one.
func stop(ctx context.Context, dir string) error {
	b, err := os.ReadFile(unitFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !strings.Contains(string(b), " --dir "+dir+"\n") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop the agent: %w", err)
	}
	if err := systemctl(ctx, "disable", "--now", Unit); err != nil {
		return err
	}
	if err := os.Remove(unitFile); err != nil {
		return fmt.Errorf("remove the unit of the agent: %w", err)
	}
	return systemctl(ctx, "daemon-reload")
}

func systemctl(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", args[0], err, out)
	}
	return nil
}
