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
