package app_test

import (
	"path/filepath"
	"strings"
	"testing"

	"steer/app"
)

func TestConfigurationErrors(t *testing.T) {
	data := t.TempDir()
	file := filepath.Join(data, "server.yaml")
	for _, c := range []struct {
		file     string
		set, env string
		want     string
	}{
		{set: "lisen=1", want: `--set lisen=…: unknown key (did you mean "listen"?)`},
		{set: "log.level=loud", want: `--set log.level=…: "loud" is unknown (use debug, info, warn or error)`},
		{set: "tls.cert=/x", want: "tls.key: is missing, and cert is given (they belong together)"},
		{env: "STEER_LOG_LEVEL=loud", want: `environment STEER_LOG_LEVEL: log.level: "loud" is unknown (use debug, info, warn or error)`},
		{env: "STEER_LISEN=1", want: `environment STEER_LISEN: no configuration key has this name (did you mean "STEER_LISTEN"?)`},
		{set: "store.driver=influx", want: `--set store.driver=…: "influx" is unknown (use disk or prometheus)`},
		{set: "store.driver=prometheus", want: "store.prometheus.url: is missing, and driver is prometheus"},
		{set: "store.sync=never", want: "--set store.sync=…: "},
		{set: "store.prometheus.url=victoria:8428", want: `--set store.prometheus.url=…: "victoria:8428" is no address (write http://HOST:PORT)`},
		{set: "store.prometheus.url=http://me:secret@victoria", want: "store.prometheus.url=…: a password does not belong into an address (use username and password_file)"},
		{file: "store:\n  prometheus:\n    username: me\n", want: file + ":2:3: store.prometheus.password_file: is missing, and username is given"},
		{file: "store: {prometheus: {ahead: 48h}}", want: file + ":1:29: store.prometheus.ahead: is more than 24h"},
		{file: "listen: 127.0.0.1:0\nlog:\n  format: xml\n", want: file + `:3:11: log.format: "xml" is unknown (use text or json)`},
		{file: "tls: {key: /x}\n", want: file + ":1:1: tls.cert: is missing, and key is given (they belong together)"},
	} {
		write(t, file, c.file)
		a := app.Args{Data: data}
		if c.set != "" {
			a.Set = []string{c.set}
		}
		if c.env != "" {
			a.Env = []string{c.env}
		}
		if c.file == "" {
			a.Data = t.TempDir()
		}
		_, err := app.Load(a)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.HasPrefix(err.Error(), ":") {
			t.Errorf("%+v: %v\nwant %s", c, err, c.want)
		}
	}
	// The commands' own variables are no configuration.
	if _, err := app.Load(app.Args{Data: data + "/none", Env: []string{"STEER_TOKEN=x", "STEER_SERVER=y", "STEER_DATA=z", "STEER_WEB=w"}}); err != nil {
		t.Error(err)
	}
}
