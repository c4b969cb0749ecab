package tour

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"steer/api/client"
)

// serve starts a server of the tour's own, on free ports.
func (t *tour) serve(ctx context.Context) (err error) {
	t.stepf("A server on free ports, with all its state in one folder")
	if err := os.WriteFile(t.path("schemas.conf"), []byte(schemas), 0o644); err != nil {
		return err
	}
	cache, err := t.shell.quietly(ctx, t.root, "go", "env", "GOCACHE")
	if err != nil {
		return err
	}
	args := []string{"serve", "--data", t.path("data")}
	for _, set := range []string{
		"listen=127.0.0.1:0",
		"receive.graphite.tcp=127.0.0.1:0", "receive.graphite.udp=127.0.0.1:0", "receive.statsd.udp=127.0.0.1:0",
		"aggregate.statsd.flush=2s", "store.schemas=" + t.path("schemas.conf"), "state.interval=1s",
		// The sample service is built with what this machine has, and from its cache.
		fmt.Sprintf("run.env={GOCACHE: '%s', GOFLAGS: -mod=mod, GOPROXY: 'off', GOTOOLCHAIN: local, CGO_ENABLED: '0'}", strings.TrimSpace(cache)),
	} {
		args = append(args, "--set", set)
	}
	t.command("steer serve --data " + t.path("data") + " --set listen=127.0.0.1:0 …")
	t.waitf("the server starts")
	t.server, err = startServer(ctx, t.Program, t.path("data"), t.path("server.log"), args, t.shell.env)
	if err != nil {
		return err
	}
	t.okf("%s is ready", t.server.url)
	if t.admin, err = client.New(t.server.url, t.server.token); err != nil {
		return err
	}
	token, err := t.shell.run(ctx, t.root, "steer", "token", "create", "ada", "--role", "operator")
	if err != nil {
		return err
	}
	token = strings.TrimSpace(token)
	t.shell.env = append(t.shell.env, login(t.server.url, token)...)
	t.shell.env = append(t.shell.env, "STEER_TOKEN="+token)
	if t.ada, err = client.New(t.server.url, token); err != nil {
		return err
	}
	if _, err := t.ada.Now(ctx); err != nil {
		return fmt.Errorf("ada cannot log in with the new token: %w", err)
	}
	t.okf("ada is an operator; what follows is done in her name")
	return nil
}

// define pushes environments, services and teams.
func (t *tour) define(ctx context.Context) (err error) {
	t.stepf("What should be: environments, services and teams, as YAML in Git")
	if t.receiver, err = startReceiver(); err != nil {
		return err
	}
	if _, err := t.shell.run(ctx, t.root, "git", "clone", "--quiet", t.server.url+"/git/definitions.git"); err != nil {
		return err
	}
	dir := t.path("definitions")
	files := map[string]string{"environments.yaml": environments, "services.yaml": services, "teams.yaml": teams(t.receiver.url)}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	t.output(strings.TrimSpace(environments[strings.Index(environments, "ci:"):]))
	sha, err := t.commit(ctx, dir, "The catalog: one node in ci, two in production")
	if err != nil {
		return err
	}
	if _, err := t.shell.run(ctx, dir, "git", "push", "--quiet", "origin", "HEAD:main"); err != nil {
		return err
	}
	err = t.until(ctx, "the definitions to be in force", func(ctx context.Context) (bool, error) {
		var got struct {
			Revision string `json:"revision"`
			Problem  string `json:"problem"`
		}
		if err := t.ada.Do(ctx, "GET", "/api/v1/definitions", nil, &got); err != nil {
			return false, err
		}
		if got.Problem != "" {
			return false, fmt.Errorf("the definitions are not in force: %s", got.Problem)
		}
		return got.Revision == sha, nil
	})
	if err != nil {
		return err
	}
	t.okf("checked, accepted and in force; one with a mistake would be refused with file, line and column")
	return nil
}

// commit records everything in a working copy and returns the commit.
func (t *tour) commit(ctx context.Context, dir, message string) (string, error) {
	if _, err := t.shell.run(ctx, dir, "git", "add", "--all"); err != nil {
		return "", err
	}
	if _, err := t.shell.run(ctx, dir, "git", "commit", "--quiet", "-m", message); err != nil {
		return "", err
	}
	sha, err := t.shell.quietly(ctx, dir, "git", "rev-parse", "HEAD")
	return strings.TrimSpace(sha), err
}

// firstCommit pushes the sample service and follows it to production.
func (t *tour) firstCommit(ctx context.Context) error {
	t.stepf("A service: the sample shop catalogue, pushed to a repository that Steer hosts")
	dir := t.path(sampleName)
	if err := unpack(t.Examples, sampleName, dir); err != nil {
		return err
	}
	if _, err := t.shell.run(ctx, dir, "git", "init", "--quiet", "-b", "main"); err != nil {
		return err
	}
	if err := t.push(ctx, "Shop catalogue: products and prices"); err != nil {
		return err
	}
	run, err := t.follow(ctx, t.commits[0])
	if err != nil {
		return err
	}
	return t.verifyDelivery(ctx, run)
}

// push commits everything in the sample service's folder and pushes it.
func (t *tour) push(ctx context.Context, message string) error {
	dir := t.path(sampleName)
	sha, err := t.commit(ctx, dir, message)
	if err != nil {
		return err
	}
	t.commits = append(t.commits, sha)
	_, err = t.shell.run(ctx, dir, "git", "push", "--quiet", t.server.url+"/git/"+sampleName+".git", "main")
	return err
}

// unpack writes a folder of the examples. Files that would be Go of Steer's own
// module carry the ending .txt there.
func unpack(from fs.FS, folder, dir string) error {
	if from == nil {
		return errors.New("the sample service is not part of this program")
	}
	return fs.WalkDir(from, folder, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read the sample service: %w", err)
		}
		to := filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(strings.TrimPrefix(name, folder), "/")))
		if e.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		content, err := fs.ReadFile(from, name)
		if err != nil {
			return fmt.Errorf("read the sample service: %w", err)
		}
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(content, []byte("#!")) {
			mode = 0o755 // embedding forgets it
		}
		return os.WriteFile(strings.TrimSuffix(to, ".txt"), content, mode)
	})
}

// openShop lets customers in.
func (t *tour) openShop(ctx context.Context) error {
	t.stepf("Customers")
	t.customers = startTraffic(t.address, pages, usualRate)
	t.command(fmt.Sprintf("curl %s%s   # %d clients, about %d requests a second together, from now on", t.address, pages[0], clients, usualRate))
	err := t.until(ctx, "the first answers", func(context.Context) (bool, error) {
		c := t.customers.counted()
		return c.answered >= usualRate, c.error()
	})
	if err != nil {
		return err
	}
	t.okf("the first are answered")
	var last float64
	err = t.until(ctx, "figures from the service", func(ctx context.Context) (ok bool, err error) {
		last, ok, err = t.newest(ctx, firstByte)
		return ok && last > 0, err
	})
	if err != nil {
		return err
	}
	t.okf("what the service measures arrives: %s is %.2f ms", firstByte, last)
	// A few points more, to see later what usual is.
	err = t.until(ctx, "a while of usual business", func(context.Context) (bool, error) {
		c := t.customers.counted()
		return t.now().Sub(t.customers.began) >= usual, c.error()
	})
	if err != nil {
		return err
	}
	c := t.customers.counted()
	t.okf("%d requests in %s, none failed, slowest %s", c.answered, usual, brief(c.slowest))
	return nil
}

// slowCommit pushes a change that its tests like and customers will not.
func (t *tour) slowCommit(ctx context.Context) error {
	t.stepf("A change that passes its tests, and is slow where it matters")
	if err := unpack(t.Examples, sampleName+"-slow", t.path(sampleName)); err != nil {
		return err
	}
	diff, err := t.shell.run(ctx, t.path(sampleName), "git", "diff", "--stat")
	if err != nil {
		return err
	}
	if strings.TrimSpace(diff) == "" {
		return errors.New("the slow change changes nothing")
	}
	t.output(diff)
	if err := t.push(ctx, "Prices: take the tax rates from the tax service"); err != nil {
		return err
	}
	run, err := t.follow(ctx, t.commits[1])
	if err != nil {
		return err
	}
	return t.served(ctx, run)
}
