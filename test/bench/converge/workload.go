package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strings"
)

// workload is what a host shall be.
type workload struct {
	dir                   string
	files, folders, users int
	packages              []string
}

func (w *workload) resources() int { return w.files + w.folders + w.users + len(w.packages) }

func (w *workload) folder(i int) string { return fmt.Sprintf("%s/d%02d", w.dir, i%w.folders) }
func (w *workload) file(i int) string   { return fmt.Sprintf("%s/f%03d.conf", w.folder(i), i) }
func (w *workload) user(i int) string   { return fmt.Sprintf("steerbench%d", i+1) }

// content is 1 KiB of plain words that no format has to escape.
func (w *workload) content(i int) string {
	return strings.Repeat(fmt.Sprintf("setting%05d = %013d\n", i, i*7919), 36)[:1023] + "\n"
}

// check compares the host with the workload.
func (w *workload) check() error {
	for i := range w.files {
		b, err := os.ReadFile(w.file(i))
		if err != nil {
			return err
		}
		if string(b) != w.content(i) {
			return fmt.Errorf("%s has other bytes than declared", w.file(i))
		}
	}
	for i := range w.folders {
		if st, err := os.Stat(w.folder(i)); err != nil || !st.IsDir() {
			return fmt.Errorf("%s is no folder: %w", w.folder(i), err)
		}
	}
	for i := range w.users {
		if _, err := user.Lookup(w.user(i)); err != nil {
			return err
		}
	}
	return nil
}

// floor is check with the least that a program has to read.
func (w *workload) floor() error {
	for i := range w.files {
		if b, err := os.ReadFile(w.file(i)); err != nil || string(b) != w.content(i) {
			return fmt.Errorf("%s is not as declared: %w", w.file(i), err)
		}
	}
	for i := range w.folders {
		if _, err := os.Stat(w.folder(i)); err != nil {
			return err
		}
	}
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	if err := have(passwd, "", ":", w.users, w.user); err != nil || len(w.packages) == 0 {
		return err
	}
	status, err := os.ReadFile("/var/lib/dpkg/status")
	if err != nil {
		return err
	}
	return have(status, "Package: ", "", len(w.packages), func(i int) string { return w.packages[i] })
}

// have looks for names in the lines of a file that have prefix; a name ends at end.
func have(file []byte, prefix, end string, n int, name func(int) string) error {
	there := map[string]bool{}
	for line := range bytes.Lines(file) {
		if rest, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte(prefix)); ok {
			if end != "" {
				rest, _, _ = bytes.Cut(rest, []byte(end))
			}
			there[string(rest)] = true
		}
	}
	for i := range n {
		if !there[name(i)] {
			return fmt.Errorf("there is no %s", name(i))
		}
	}
	return nil
}

// free makes sure that no user is removed that was there before.
func (w *workload) free() error {
	for i := range w.users {
		if _, err := user.Lookup(w.user(i)); err == nil {
			return fmt.Errorf("there is a user %s already (remove it with userdel)", w.user(i))
		}
	}
	return nil
}

// remove takes everything away again.
func (w *workload) remove() error {
	err := os.RemoveAll(w.dir)
	for i := range w.users {
		if _, missing := user.Lookup(w.user(i)); missing != nil {
			continue
		}
		if out, err2 := exec.Command("userdel", w.user(i)).CombinedOutput(); err2 != nil {
			err = errors.Join(err, fmt.Errorf("remove user %s: %w: %s", w.user(i), err2, out))
		}
	}
	return err
}

// automatic lists the packages that apt would remove when nothing needs them: who
// declares one, like Steer, takes that mark away, and the bench puts it back.
func automatic(packages []string) ([]string, error) {
	if _, missing := exec.LookPath("apt-mark"); missing != nil || len(packages) == 0 {
		return nil, nil
	}
	out, err := exec.Command("apt-mark", append([]string{"showauto"}, packages...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("ask apt-mark which packages are automatic: %w", err)
	}
	return strings.Fields(string(out)), nil
}

func markAutomatic(packages []string) error {
	if len(packages) == 0 {
		return nil
	}
	if out, err := exec.Command("apt-mark", append([]string{"auto"}, packages...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("mark %s as automatic again: %w: %s", strings.Join(packages, ", "), err, out)
	}
	return nil
}
