// Command converge measures how long Steer, Puppet and Ansible take to make this
// machine what is declared, and to see that it is so already: the same files of
// 1 KiB, folders, users and installed packages, one system after the other. The
// report, in Markdown, goes to standard output, progress to standard error.
//
// The floor is this program started again to read the same facts and nothing
// else: it compares the bytes of each file, stats the folders, and reads
// /etc/passwd and /var/lib/dpkg/status once. Runs of Steer after the first find what the
// role was compiled to beside the state, as runs on a machine of an operator do.
//
// Wall time is that of the command as users type it, CPU time the user and
// system time of it and of all children that it waited for. After each first run
// and after the last no-op the files, folders and users are looked at, and a no-op
// run that reports a change fails the bench. Peers that are not on PATH are skipped
// with a message. Ansible gets fewer files and folders; its figures are per resource.
//
// It makes and removes the users steerbench1 to steerbench5, and so needs root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"steer/test/bench/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	var w workload
	var steer, dir, only, packages string
	var runs, fewer int
	var bare bool
	f := flag.NewFlagSet("converge", flag.ContinueOnError)
	f.SetOutput(progress)
	f.StringVar(&steer, "steer", "bin/steer", "the steer to measure")
	f.StringVar(&only, "only", "steer,puppet,ansible", "systems to measure, in this order")
	f.IntVar(&w.files, "files", 500, "files of 1 KiB")
	f.IntVar(&w.folders, "directories", 20, "folders that they are in")
	f.IntVar(&w.users, "users", 5, "users")
	f.StringVar(&packages, "packages", "bash,coreutils,tar", "packages that are installed already")
	f.IntVar(&fewer, "ansible-files", 50, "files that Ansible gets, with as many folders as that is of all")
	f.IntVar(&runs, "runs", 7, "no-op runs of Steer and of the floor, of which the median counts")
	f.StringVar(&dir, "dir", os.TempDir(), "folder to make a folder in")
	f.BoolVar(&bare, "floor", false, "be the floor, in -dir")
	if err := f.Parse(args); err != nil {
		return err
	}
	w.packages = strings.FieldsFunc(packages, func(r rune) bool { return r == ',' })
	if w.files < 1 || w.folders < 1 || runs < 1 || fewer < 1 || w.users < 0 {
		return errors.New("-files, -directories, -runs and -ansible-files are at least 1")
	}
	if bare {
		w.dir = dir
		return w.floor()
	}
	if w.users > 0 && os.Geteuid() != 0 {
		return errors.New("users can be made by root only (run it as root, or with -users 0)")
	}
	if err := w.free(); err != nil {
		return err
	}
	marks, err := automatic(w.packages)
	if err != nil {
		return err
	}
	if dir, err = os.MkdirTemp(dir, "steer-bench-converge-"); err != nil {
		return err
	}
	w.dir = dir + "/host"
	// Also after an interrupt, which ends ctx and what runs.
	defer func() { err = errors.Join(err, w.remove(), markAutomatic(marks), os.RemoveAll(dir)) }()
	fmt.Fprintln(out, server.Machine())
	b := &bench{work: dir, steer: steer, runs: runs, progress: progress}
	for name := range strings.SplitSeq(only, ",") {
		s, err := b.named(name)
		if err != nil {
			return err
		}
		if _, err := exec.LookPath(s.program); err != nil {
			fmt.Fprintf(out, "%s is skipped: %v\n", name, err)
			continue
		}
		mine := w
		if name == "ansible" && fewer < w.files {
			mine.files, mine.folders = fewer, max(1, w.folders*fewer/w.files)
		}
		if err := b.measure(ctx, s, &mine); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(b.results) == 0 {
		return errors.New("none of the systems is here")
	}
	b.write(out)
	return nil
}
