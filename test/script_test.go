package test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"steer/base/metric"
	"steer/monitor/store"
	"steer/monitor/store/whisper"
)

// TestScripts runs scripts/*.txtar: what people type, and what they get. In a
// script "steer" is the built program; "server" starts one on free ports, whose
// address and token are $URL and $TOKEN, and which the commands find by
// $STEER_DATA. "http STATUS PATH [FILE]" asks it with the token, and posts FILE.
// "wsp FILE N" writes a Whisper file of N minutes up to now, with the values 1 to N.
func TestScripts(t *testing.T) {
	steer := program(t, "steer")
	testscript.Run(t, testscript.Params{
		Dir:                 "scripts",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(steer)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("STEER_DATA", filepath.Join(env.WorkDir, "data"))
			env.Values["t"] = t
			return os.Mkdir(filepath.Join(env.WorkDir, "home"), 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"steer":  runSteer,
			"server": runServer,
			"http":   runHTTP,
			"wsp":    runWsp,
		},
	})
}

// runSteer is "exec steer", shorter.
func runSteer(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("steer", args...)
	if err != nil {
		ts.Logf("[%v]\n", err)
	}
	if neg && err == nil {
		ts.Fatalf("steer %s: it succeeded", strings.Join(args, " "))
	}
	if !neg && err != nil {
		ts.Fatalf("steer %s: %v", strings.Join(args, " "), err)
	}
	if err != nil && !strings.Contains(err.Error(), "exit status 1") && !strings.Contains(err.Error(), "exit status 2") {
		ts.Fatalf("steer %s ended with %v", strings.Join(args, " "), err)
	}
}

// runServer starts a server for the rest of the script.
func runServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("! server makes no sense")
	}
	t, ok := ts.Value("t").(*testing.T)
	if !ok {
		ts.Fatalf("no test around the script")
	}
	p := launch(t, ts.Getenv("STEER_DATA"), args...)
	ts.Defer(func() {
		p.kill()
		sweep(p.data)
	})
	for range waits(patience) {
		select {
		case <-p.gone:
			ts.Fatalf("the server ended: %v\n%s", p.how, p.output())
		default:
		}
		if p.ready() == nil {
			ts.Setenv("URL", p.url)
			ts.Setenv("TOKEN", p.token)
			for _, v := range gitEnv(p.url, p.token) {
				name, value, _ := strings.Cut(v, "=")
				ts.Setenv(name, value)
			}
			return
		}
	}
	ts.Fatalf("the server is not ready:\n%s", p.output())
}

// runHTTP asks the server and prints its answer.
func runHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: http STATUS PATH [FILE]")
	}
	method, body := http.MethodGet, ""
	if len(args) == 3 {
		method, body = http.MethodPost, ts.ReadFile(args[2])
	}
	req, err := http.NewRequest(method, ts.Getenv("URL")+args[1], strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+ts.Getenv("TOKEN"))
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	_, err = io.Copy(ts.Stdout(), res.Body)
	ts.Check(err)
	if strconv.Itoa(res.StatusCode) != args[0] {
		ts.Fatalf("%s %s: %s, want %s", method, args[1], res.Status, args[0])
	}
}

// runWsp writes a Whisper file.
func runWsp(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: wsp FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	minutes := metric.Series{Step: 60, Start: (time.Now().Unix()/60 - int64(n) + 1) * 60}
	for i := range n {
		minutes.Values = append(minutes.Values, float64(i+1))
	}
	var b bytes.Buffer
	ts.Check(whisper.Encode(&b, store.Retention{Archives: []store.Archive{{Step: 60, Keep: 86400}}}, []metric.Series{minutes}))
	path := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	ts.Check(os.WriteFile(path, b.Bytes(), 0o644))
}
