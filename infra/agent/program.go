package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"steer/base/fault"
)

// program is a file of this program, and its SHA-256.
type program struct {
	path string
	once sync.Once
	sum  string
	err  error
}

func (p *program) digest() (string, error) {
	p.once.Do(func() {
		if p.sum, p.err = sum(p.path); p.err != nil {
			p.err = fmt.Errorf("read this program: %w", p.err)
		}
	})
	return p.sum, p.err
}

func sum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Program opens the program of a digest, for a host that lacks it. The server has one.
func (r *Registry) Program(digest string) (*os.File, error) {
	have, err := r.program.digest()
	if err != nil {
		return nil, err
	}
	if digest != have {
		return nil, fault.New(fault.NotFound, "the server has no program with the digest %.16s…, its own is %.16s…", digest, have)
	}
	f, err := os.Open(r.program.path)
	if err != nil {
		return nil, fmt.Errorf("read this program: %w", err)
	}
	return f, nil
}

// largestProgram bounds what a server can put on a host's disk.
const largestProgram = 512 << 20

// obtain returns the path of the program with a digest: this one, one that was
// fetched earlier, or one that is fetched now.
func (a *Agent) obtain(ctx context.Context, digest string) (string, error) {
	if len(digest) != sha256.Size*2 {
		return "", fault.New(fault.Invalid, "the server names no program")
	}
	if own, err := a.program.digest(); err == nil && own == digest {
		return a.program.path, nil
	}
	a.fetching.Lock()
	defer a.fetching.Unlock()
	// As a visit by SSH names it, see package host: both find what the other put there.
	path := filepath.Join(a.o.Dir, "bin", "steer-"+digest[:16])
	if have, err := sum(path); err == nil && have == digest {
		return path, nil
	}
	if err := a.fetch(ctx, digest, path); err != nil {
		return "", fmt.Errorf("get the server's program: %w", err)
	}
	return path, nil
}

// fetch puts the program there, whole and tried, or not at all.
func (a *Agent) fetch(ctx context.Context, digest, path string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, preparing)
	defer cancel()
	res, err := a.ask(ctx, http.MethodGet, "/api/v1/hosts/program?digest="+url.QueryEscape(digest), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "steer-new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(res.Body, largestProgram+1))
	if err = errors.Join(err, f.Chmod(0o700), f.Sync(), f.Close()); err != nil {
		return err
	}
	if have := hex.EncodeToString(h.Sum(nil)); n > largestProgram || have != digest {
		return fault.New(fault.Invalid, "what came has the digest %.16s… and not %.16s…", have, digest)
	}
	if err := try(ctx, f.Name()); err != nil {
		return err
	}
	removeOld(path)
	return os.Rename(f.Name(), path)
}

// removeOld removes programs of servers from long ago, as visits by SSH do.
func removeOld(path string) {
	all, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "steer-*"))
	for _, name := range all {
		if info, err := os.Lstat(name); err == nil && name != path && time.Since(info.ModTime()) > 30*24*time.Hour {
			os.Remove(name)
		}
	}
}

// try finds out whether a program runs on this host and knows how to serve: with
// nothing to do it ends at once.
func try(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, path, command).CombinedOutput(); err != nil {
		return fault.New(fault.Invalid, "it does not run here (is the processor of another kind?): %w %.200s", err, out)
	}
	return nil
}

// Install puts a program at a path, in one step.
func Install(program, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("install the agent: %w", err)
	}
	beside := path + ".new"
	os.Remove(beside)
	// What is in the same folder is ours: it needs no second place on the disk.
	if filepath.Dir(program) == filepath.Dir(path) && os.Link(program, beside) == nil {
		return os.Rename(beside, path)
	}
	in, err := os.Open(program)
	if err != nil {
		return fmt.Errorf("install the agent: %w", err)
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(path), "agent-new-")
	if err != nil {
		return fmt.Errorf("install the agent: %w", err)
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(0o700), out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		os.Remove(out.Name())
		return fmt.Errorf("install the agent: %w", err)
	}
	return nil
}
