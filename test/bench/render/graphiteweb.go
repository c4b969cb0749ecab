package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"steer/test/bench/server"
)

// graphiteWeb is Graphite's own web application on Whisper files, one process
// with threads.
type graphiteWeb struct{ python string }

func (graphiteWeb) Name() string { return "graphite-web" }

func (g graphiteWeb) Find() (string, error) {
	out, err := exec.Command(g.python, "-c", "import graphite, gunicorn; print(graphite.__version__)").CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := lines[len(lines)-1]
	if strings.Contains(last, "__version__") {
		return "version unknown", nil
	}
	if err != nil {
		return "", errors.New(last + " (name a Python that has it with -python)")
	}
	return last, nil
}

func (g graphiteWeb) Command(ctx context.Context, dir string, a server.Addresses) (*exec.Cmd, error) {
	settings := fmt.Sprintf("SECRET_KEY = 'bench'\nALLOWED_HOSTS = ['127.0.0.1']\nLOG_DIR = %[1]q\nINDEX_FILE = %[2]q\nSTANDARD_DIRS = []\n"+
		"WHISPER_DIR = %[3]q\nFIND_CACHE_DURATION = 0\nDEFAULT_CACHE_DURATION = 0\nFETCH_TIMEOUT = 600\nFIND_TIMEOUT = 600\n",
		dir, filepath.Join(dir, "index"), filepath.Join(dir, "whisper"))
	if _, err := writeFile(dir, "local_settings.py", settings); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, g.python, "-m", "gunicorn", "--bind", a.HTTP, "--workers", "1", "--threads", "4",
		"--timeout", "600", "graphite.wsgi")
	cmd.Env = append(os.Environ(), "DJANGO_SETTINGS_MODULE=graphite.settings", "GRAPHITE_SETTINGS_MODULE=local_settings",
		"GRAPHITE_STORAGE_DIR="+dir, "GRAPHITE_CONF_DIR="+dir, "PYTHONPATH="+dir+":"+os.Getenv("PYTHONPATH"))
	return cmd, nil
}

func (graphiteWeb) Ready(ctx context.Context, base string) error { return other{}.Ready(ctx, base) }

// Write makes the files that carbon would have made: one archive of thirty days,
// a ring whose first place is that of its oldest point. See
// https://graphite.readthedocs.io/en/latest/whisper.html.
func (graphiteWeb) Write(dir string, d *data) error {
	const header, point = 28, 12
	const ring = 2 * 86400 / step
	u := binary.BigEndian
	for i, name := range d.names {
		path := filepath.Join(dir, "whisper", filepath.FromSlash(strings.ReplaceAll(name, ".", "/"))+".wsp")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		b := make([]byte, 0, header+ring*point)
		b = u.AppendUint32(b, 1) // average
		b = u.AppendUint32(b, ring*step)
		b = u.AppendUint32(b, math.Float32bits(0.5))
		for _, n := range []uint32{1, header, step, ring} { // archives, and the first one's offset, step and points
			b = u.AppendUint32(b, n)
		}
		for p := range d.points {
			b = u.AppendUint32(b, uint32(d.at(p)))
			b = u.AppendUint64(b, math.Float64bits(d.value(i, p)))
		}
		if err := os.WriteFile(path, b[:cap(b)], 0o644); err != nil {
			return err
		}
	}
	return nil
}
