package git

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// SetHook makes the repository run command before it accepts a push, however
// the push comes. The command finds the folder of the repository in STEER_REPO,
// opens it with FromHook, reads lines "OLD NEW REF", and refuses by a non-zero
// exit code; what it prints to stderr reaches the person who pushes. An empty
// command removes the hook.
func (r *Repo) SetHook(command []string) error {
	file := filepath.Join(r.dir, "hooks", "pre-receive")
	if len(command) == 0 {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove hook: %w", err)
		}
		return nil
	}
	script := []byte("#!/bin/sh\n# Written by Steer, and again when it differs.\nSTEER_REPO=" + quote(r.dir) + "\nexport STEER_REPO\nexec")
	for _, word := range command {
		script = append(script, " "+quote(word)...)
	}
	script = append(script, '\n')
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, script) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("write hook: %w", err)
	}
	// In one step, so that no push meets half a script.
	temp, err := os.CreateTemp(filepath.Dir(file), ".new-")
	if err != nil {
		return fmt.Errorf("write hook: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(script)
	if err := errors.Join(err, temp.Chmod(0o700), temp.Close()); err != nil {
		return fmt.Errorf("write hook: %w", err)
	}
	if err := os.Rename(temp.Name(), file); err != nil {
		return fmt.Errorf("write hook: %w", err)
	}
	return nil
}

// quote makes one word for the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// FromHook opens the repository that a hook runs in. It sees the objects of the
// push, which belong to the repository only once the push is accepted.
func FromHook() (*Repo, error) {
	dir := os.Getenv("GIT_DIR")
	if dir == "" {
		return nil, errors.New("GIT_DIR is not set: this is to be run by git as a hook")
	}
	r, err := Open(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"} {
		if v, ok := os.LookupEnv(name); ok {
			r.env = append(r.env, name+"="+v)
		}
	}
	return r, nil
}
