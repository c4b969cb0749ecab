package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecondStartIsRefused(t *testing.T) {
	p := serve(t, t.TempDir())
	second := launch(t, p.data)
	os.WriteFile(p.data+"/server.url", []byte(p.url+"\n"), 0o644) // launch takes it away
	<-second.gone
	if code := second.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	out := second.output()
	for _, want := range []string{"in use by another steer", p.data, "--data"} {
		if !strings.Contains(out, want) {
			t.Errorf("the refusal does not say %q:\n%s", want, out)
		}
	}
	if err := p.ready(); err != nil {
		t.Errorf("the first server is no longer ready: %v", err)
	}
	// After a kill -9 nothing stands in the way.
	p.kill()
	serve(t, p.data)
}

func TestTermDrains(t *testing.T) {
	p := serve(t, t.TempDir())
	s := newShop(t, p)
	mark := filepath.Join(t.TempDir(), "under-way")
	p.run(s.push(manifest{env: fmt.Sprintf("{SLOW: 1500ms, MARK: %q}", mark)}).ID, "passed")
	address := p.shopAddress()
	p.answers(address, "v1")

	type answer struct {
		body string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		body, err := get(address + "/slow")
		got <- answer{body, err}
	}()
	until(t, "the request is under way", func() error {
		_, err := os.Stat(mark)
		return err
	})
	if err := p.stop(); err != nil {
		t.Errorf("after SIGTERM it ended with %v, want exit code 0", err)
	}
	if a := <-got; a.err != nil || a.body != "v1" {
		t.Errorf("the request that was under way got %q, %v", a.body, a.err)
	}
	if _, err := http.Get(address); err == nil {
		t.Error("something still answers at the shop's address")
	}
	if left := running(p.data); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	// And it comes back as it was.
	p = serve(t, p.data)
	p.answers(address, "v1")
}
