package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steer/base/fault"
)

// BakeArgs say what is baked.
type BakeArgs struct {
	HostArgs
	From            string
	Packages        []string
	Mirror          string
	Out             string // file ending in .tar, or folder; empty: none
	RootFS          string
	Tags            []string
	Entrypoint, Cmd []string
	Env             []string
	Labels          map[string]string
	Cache           string
	CacheSize       int64 // bytes
	Fresh           bool
	WithSecrets     bool
	NoLogin         bool
	Test            bool
	TestOutput      io.Writer
}

// BakePart is the base of an image, or one of its layers.
type BakePart struct {
	Part   string        `json:"part"`
	Digest string        `json:"digest,omitempty"` // none: nothing changed
	Size   int64         `json:"size,omitempty"`   // compressed, bytes
	Files  int           `json:"files,omitempty"`
	Cached bool          `json:"cached"`
	Took   time.Duration `json:"took"` // nanoseconds
}

// BakeResult is what was baked.
type BakeResult struct {
	Image  string        `json:"image"`
	Digest string        `json:"digest"` // of the manifest
	ID     string        `json:"id"`     // what engines call the image
	RootFS string        `json:"rootfs,omitempty"`
	Hash   string        `json:"hash"`
	Size   int64         `json:"size"`
	Parts  int           `json:"parts"`
	Cached int           `json:"cached"`
	Took   time.Duration `json:"took"` // nanoseconds
}

func (s *session) bake() *cobra.Command {
	a := BakeArgs{From: "bookworm"}
	size, push := "10G", ""
	cmd := &cobra.Command{
		Use: "bake ROLE…", Short: "Make an image of roles",
		Long: `Applies roles to a root file system and writes an OCI image, without any engine. Each
resource, or run of small ones, becomes a layer that is kept: what did not change is
not done again. The same definitions and the same base give the same digests.

The image is a file when --out ends with .tar, which docker load, skopeo and crane take,
else a folder with an image layout. SOURCE_DATE_EPOCH says what no file is later than;
else it is the date of the base. Only root can bake.`,
		Example: "steer bake web -p port=8080 --tag shop:1 && docker load -i web.tar\nsteer bake web --from base.tar --rootfs web.tar.zst --test\nsteer bake web --push shop/web:1",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name at least one role")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			a.Roles = args
			var err error
			if a.CacheSize, err = bytesOf(size); err != nil {
				return err
			}
			if a.Cache == "" {
				if a.Cache, err = s.cacheFolder(); err != nil {
					return err
				}
			}
			if r := a.RootFS; r != "" && !strings.HasSuffix(r, ".tar") && !strings.HasSuffix(r, ".tar.gz") && !strings.HasSuffix(r, ".tar.zst") {
				return fault.Usage(fmt.Errorf("--rootfs %s: the name has to end with .tar, .tar.gz or .tar.zst", r))
			}
			var pushed func(context.Context) error
			out := a.Out
			if push != "" {
				var drop func()
				if pushed, drop, err = s.pushAfter(&a, push); err != nil {
					return err
				}
				defer drop()
			} else if a.Out == "" && a.RootFS == "" {
				a.Out = strings.Join(args, "-") + ".tar"
				out = a.Out
			}
			w, err := s.hostWriter()
			if err != nil {
				return err
			}
			a.TestOutput = s.Stderr
			r, err := s.Infra.Bake(cmd.Context(), a, func(e HostEvent) {
				if e.Status == "ok" {
					e.Status = "step" // what was left out
				}
				w.event(e)
			}, func(p BakePart) { s.baked(w, p) })
			if err != nil {
				return err
			}
			if pushed != nil {
				if err := pushed(cmd.Context()); err != nil {
					return err
				}
			}
			if s.output == "json" {
				w.json(r)
				return w.wrong
			}
			w.line(fmt.Sprintf("\n%s  %s  %s, %d of %d parts from the cache, in %s", s.paint(green, r.Image), r.Digest, bytesText(r.Size), r.Cached, r.Parts, r.Took.Round(time.Millisecond)))
			for _, l := range [][2]string{{"image written to", out}, {"root file system written to", a.RootFS}, {"image pushed as", push}} {
				if l[1] != "" {
					w.line(l[0] + " " + l[1])
				}
			}
			return w.wrong
		},
	}
	hostFlags(cmd, &a.HostArgs)
	for _, name := range []string{"host", "limit"} {
		cmd.Flags().Lookup(name).Hidden = true
	}
	f := cmd.Flags()
	f.StringVar(&a.From, "from", a.From, "base: a suite of Debian; an OCI layout, the file of one or of docker save; or a tar of a root file system")
	f.StringSliceVar(&a.Packages, "include", nil, "packages in a base of Debian, like systemd-sysv for hosts that boot")
	f.StringVar(&a.Mirror, "mirror", "", "mirror of Debian (default: that of apt here)")
	f.StringVar(&a.Out, "out", "", "file ending in .tar, or folder, for the image (default ROLE.tar, none with --rootfs or --push)")
	f.StringVar(&push, "push", "", "NAME:TAG that the image gets in the registry of the server")
	f.StringVar(&a.RootFS, "rootfs", "", "file ending in .tar, .tar.gz or .tar.zst for the whole root file system")
	f.StringSliceVar(&a.Tags, "tag", nil, "name of the image, like shop:1")
	f.StringArrayVar(&a.Entrypoint, "entrypoint", nil, "program that containers run; once for each word")
	f.StringArrayVar(&a.Cmd, "cmd", nil, "its arguments, or without --entrypoint the program; once for each word")
	f.StringArrayVar(&a.Env, "env", nil, "variable of containers, as NAME=VALUE")
	f.StringToStringVar(&a.Labels, "label", nil, "label of the image, as NAME=VALUE")
	f.StringVar(&a.Cache, "cache", "", "folder that keeps layers (default steer/bake in the user's cache)")
	f.StringVar(&size, "cache-size", size, "most that it may have; what was not used for longest goes")
	f.BoolVar(&a.Fresh, "fresh", false, "do everything anew, as after updates at the mirror")
	f.BoolVar(&a.WithSecrets, "with-secrets", false, "resources may put secrets into the image")
	f.BoolVar(&a.NoLogin, "no-login", false, "nobody can log in to hosts of the image, as login: false in hosts.yaml wants it")
	f.BoolVar(&a.Test, "test", false, "run the tests of the roles that can be run in an image; when one fails, nothing is written")
	return cmd
}

// pushAfter checks what can be checked before, and returns what pushes the image once
// it is baked; drop removes the folder that it is in when nobody asked for one.
func (s *session) pushAfter(a *BakeArgs, push string) (pushed func(context.Context) error, drop func(), err error) {
	name, tag, err := reference(push)
	if err != nil {
		return nil, nil, fmt.Errorf("--push: %w", err)
	}
	if strings.HasSuffix(a.Out, ".tar") {
		return nil, nil, fault.Usage(fmt.Errorf("--push needs the image as a folder: give one with --out, or leave --out away (%s)", a.Out))
	}
	c, err := s.client()
	if err != nil {
		return nil, nil, err
	}
	drop = func() {}
	if a.Out == "" {
		if a.Out, err = os.MkdirTemp("", "steer-bake-"); err != nil {
			return nil, nil, err
		}
		dir := a.Out
		drop = func() { os.RemoveAll(dir) }
	}
	return func(ctx context.Context) error {
		return c.PushLayout(ctx, a.Out, name, tag, func(digest string, size int64, sent bool) {
			if sent {
				s.progress("pushed %s %s", strings.TrimPrefix(digest, "sha256:")[:12], bytesText(size))
			}
		})
	}, drop, nil
}

// baked shows a part of an image.
func (s *session) baked(w *hostWriter, p BakePart) {
	if s.output == "json" {
		w.json(p)
		return
	}
	w.host = ""
	what := p.Part
	if len(what) > 60 {
		what = strings.ToValidUTF8(what[:59], "") + "…"
	}
	short, size := "nothing", ""
	if p.Digest != "" {
		short, size = strings.TrimPrefix(p.Digest, "sha256:")[:12], bytesText(p.Size)
	}
	from := p.Took.Round(time.Millisecond).String()
	if p.Cached {
		from = s.paint(dim, "cached")
	}
	w.line(fmt.Sprintf("%-60s  %-12s %9s  %s", safe(what), short, size, from))
}

// cacheFolder is steer/bake in the cache of the user.
func (s *session) cacheFolder() (string, error) {
	dir := cmp.Or(s.Env("XDG_CACHE_HOME"), filepath.Join(s.Env("HOME"), ".cache"))
	if !filepath.IsAbs(dir) {
		return "", fault.New(fault.Invalid, "there is no folder for the cache (give --cache)")
	}
	return filepath.Join(dir, "steer", "bake"), nil
}

// bytesOf reads sizes like 500M or 10G.
func bytesOf(text string) (int64, error) {
	unit := int64(1)
	number := text
	for suffix, u := range map[string]int64{"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40} {
		if n, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = n, u
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return 0, fault.Usage(fmt.Errorf("--cache-size %q: write a number of bytes, or like 500M or 10G", text))
	}
	return n * unit, nil
}

// enter is this program on its way into a root file system.
func (s *session) enter() *cobra.Command {
	return &cobra.Command{Use: "enter", Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			code, err := s.Infra.Enter(cmd.Context(), args)
			if err == nil && code != 0 {
				return exitCode(code)
			}
			return err
		}}
}
