package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"steer/base/metric"
	"steer/monitor/store"
	"steer/monitor/store/whisper"
	"steer/test/bench/server"
)

// graphiteWeb is Graphite's own web application on Whisper files.
type graphiteWeb struct{ python string }

// webServer serves the application from one process, a thread for each connection.
const webServer = `
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from django.core.wsgi import get_wsgi_application

class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

class Handler(WSGIRequestHandler):
    def log_message(self, *args):
        pass

host, port = sys.argv[1].split(":")
make_server(host, int(port), get_wsgi_application(), Server, Handler).serve_forever()
`

func (graphiteWeb) Name() string { return "graphite-web" }

func (g graphiteWeb) Find() (string, error) {
	const script = `
import django, whisper, graphite.render
from importlib.metadata import PackageNotFoundError, version
try:
    print(version("graphite-web"))
except PackageNotFoundError:
    print("version unknown")
`
	out, err := exec.Command(g.python, "-c", script).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := lines[len(lines)-1]
	if err != nil {
		return "", fmt.Errorf("%w: %s (name a Python that has it with -python, and where it is with PYTHONPATH)", err, last)
	}
	return last, nil
}

func (g graphiteWeb) Command(ctx context.Context, dir string, a server.Addresses) (*exec.Cmd, error) {
	settings := fmt.Sprintf("SECRET_KEY = 'bench'\nSTORAGE_DIR = LOG_DIR = %[1]q\nWHISPER_DIR = %[2]q\nINDEX_FILE = %[3]q\n"+
		"CARBONLINK_HOSTS = []\nSTORAGE_FINDERS = ('graphite.finders.standard.StandardFinder',)\n"+
		"FIND_CACHE_DURATION = DEFAULT_CACHE_DURATION = 0\nFETCH_TIMEOUT = FIND_TIMEOUT = 600\n",
		dir, filepath.Join(dir, "whisper"), filepath.Join(dir, "index"))
	if _, err := writeFile(dir, "bench_settings.py", settings); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, g.python, "-c", webServer, a.HTTP)
	cmd.Env = append(os.Environ(), "DJANGO_SETTINGS_MODULE=graphite.settings", "GRAPHITE_SETTINGS_MODULE=bench_settings",
		"PYTHONPATH="+dir+":"+os.Getenv("PYTHONPATH"))
	return cmd, nil
}

func (graphiteWeb) Ready(ctx context.Context, base string) error { return other{}.Ready(ctx, base) }

// Write makes the files that carbon would have made: two days at 10 s.
func (graphiteWeb) Write(dir string, d *data) error {
	r := store.Retention{Archives: []store.Archive{{Step: step, Keep: 2 * 86400}}, XFilesFactor: 0.5}
	column := metric.Series{Start: d.start, Step: step, Values: make([]float64, d.points)}
	for i, name := range d.names {
		path, err := whisper.Path(name)
		if err != nil {
			return err
		}
		path = filepath.Join(dir, "whisper", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		for p := range column.Values {
			column.Values[p] = d.value(i, p)
		}
		var b bytes.Buffer
		if err := whisper.Encode(&b, r, []metric.Series{column}); err != nil {
			return err
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
