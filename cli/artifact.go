package cli

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"steer/api/client"
	"steer/base/fault"
)

func (s *session) artifact() *cobra.Command {
	var file, out string
	cmd := &cobra.Command{
		Use: "artifact SERVICE [VERSION]", Short: "What was built of a version, and its files",
		Long: `Show what was built of a version, by default of the latest, and the files that can be
fetched of it: the only file of an artifact as it was built (a jar, gem or wheel),
packages for hosts, and all of it as tar.gz. With --out, fetch the first of them, or
the one that --file names.`,
		Example: "  steer artifact shop\n  steer artifact shop b12 --out shop.jar\n  steer artifact shop b12 --file shop_0.12_amd64.deb --out .",
		Args:    oneOrTwo("a service, and perhaps a version like b12 (see 'steer runs')"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			a, err := c.Artifact(cmd.Context(), args[0], append(args, "latest")[1])
			if err != nil {
				return err
			}
			if out == "" && file == "" {
				return s.show(a, func(w io.Writer) { artifactTable(w, a) })
			}
			for _, f := range a.Files {
				if file == "" || f.Name == file {
					in, err := c.ArtifactFile(cmd.Context(), string(a.Service), string(a.Version), f.Name)
					if err != nil {
						return err
					}
					defer in.Close()
					return s.fetched(in, f.Name, f.Digest, out)
				}
			}
			return fault.New(fault.NotFound, "artifact %s %s has no file %q ('steer artifact %s %s' lists them)", a.Service, a.Version, file, a.Service, a.Version)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file or folder to write to, or - for standard output")
	cmd.Flags().StringVar(&file, "file", "", "which file")
	return cmd
}

// fetched writes a file where the person wants it, if it is what its digest says.
func (s *session) fetched(in io.Reader, name, digest, out string) error {
	sum := sha256.New()
	checked := func(w io.Writer) error {
		if _, err := io.Copy(io.MultiWriter(w, sum), in); err != nil {
			return fmt.Errorf("fetch %s: %w", name, err)
		}
		if got := fmt.Sprintf("sha256:%x", sum.Sum(nil)); got != digest {
			return fault.New(fault.Internal, "fetch %s: its digest is %s, but should be %s (something on the way changed it)", name, got, digest)
		}
		return nil
	}
	if out == "-" {
		return checked(s.Stdout)
	}
	if i, err := os.Stat(out); out == "" || err == nil && i.IsDir() {
		out = filepath.Join(out, filepath.Base(name))
	}
	tmp, err := os.CreateTemp(filepath.Dir(out), ".fetched-*")
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "write %s: there is no folder %s (make it, or name another with --out)", out, filepath.Dir(out))
	} else if err != nil {
		return fmt.Errorf("write %s: %w", out, err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if err := checked(tmp); err != nil {
		return err
	}
	if err := tmp.Chmod(0o644); err != nil {
		return fmt.Errorf("write %s: %w", out, err)
	}
	if err := os.Rename(tmp.Name(), out); err != nil {
		return fmt.Errorf("write %s: %w", out, err)
	}
	s.progress("Wrote %s, %s.", out, digest)
	return nil
}

func artifactTable(w io.Writer, a client.Artifact) {
	row(w, "SERVICE", "VERSION", "COMMIT", "BUILT", "RUN")
	row(w, a.Service, a.Version, fmt.Sprintf("%.8s", a.Commit), a.Created.Local().Format("2006-01-02 15:04"), a.Run)
	fmt.Fprintln(w)
	row(w, "FILE", "KIND", "BYTES", "DIGEST")
	for _, f := range a.Files {
		row(w, f.Name, f.Kind, f.Size, f.Digest)
	}
}
