package definitions

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"steer/base/git"
)

// ErrRefused is returned for a push that was refused with its reasons printed.
var ErrRefused = errors.New("the push is refused")

// CheckPush is the pre-receive hook of the repository: it reads lines
// "OLD NEW REF" from in, checks what mainline would become, and writes every
// mistake as a line to out, which git shows to the person. Other branches are
// free. It must run in the environment in which git runs hooks.
func CheckPush(ctx context.Context, in io.Reader, out io.Writer, check func(fs.FS) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // the person waits
	defer cancel()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 3 {
			return fmt.Errorf("check push: line %q is not OLD NEW REF", lines.Text())
		}
		if f[2] != "refs/heads/"+git.Mainline {
			continue
		}
		if strings.Trim(f[1], "0") == "" {
			fmt.Fprintf(out, "%s cannot be deleted: it says what should run\n", git.Mainline)
			return ErrRefused
		}
		repo, err := git.FromHook()
		if err != nil {
			return fmt.Errorf("check push: %w", err)
		}
		files, err := repo.Files(ctx, f[1])
		if err == nil {
			err = check(files)
		}
		if err != nil {
			report(out, err)
			return ErrRefused
		}
	}
	return lines.Err()
}

// report writes the mistakes, which begin with file, line and column, and then
// what they mean: the end of the text is what people see first.
func report(out io.Writer, err error) {
	const most = 50
	text := strings.Split(strings.TrimSpace(err.Error()), "\n")
	for i, line := range text {
		if i == most {
			fmt.Fprintf(out, "and %d more\n", len(text)-most)
			break
		}
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out, "Nothing was changed. Correct this, commit and push again.")
}
