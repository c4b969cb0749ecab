package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"steer/base/fault"
)

func (s *session) serve() *cobra.Command {
	var args ServeArgs
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server until SIGTERM or Ctrl-C; then it finishes what is in flight.

All state is in the data folder. The first start writes the admin token to
DATA/admin.token and prints it once. Any key of server.yaml can be given as
--set a.b=value or as STEER_A_B; 'steer config default' lists them.`,
		Example: `  steer serve --data /srv/steer
  steer serve --set listen=0.0.0.0:8080 --set receive.graphite.tcp=0.0.0.0:2003`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.Serve(cmd.Context(), s.serveArgs(args))
		},
	}
	s.serveFlags(cmd, &args)
	return cmd
}

func (s *session) serveFlags(cmd *cobra.Command, args *ServeArgs) {
	cmd.Flags().StringVar(&args.File, "config", "", "server.yaml (default DATA/server.yaml if it exists)")
	cmd.Flags().StringArrayVar(&args.Set, "set", nil, "key=value; may be repeated")
}

func (s *session) serveArgs(args ServeArgs) ServeArgs {
	args.Data, args.Env, args.Out = s.data, os.Environ(), s.Stdout
	return args
}

func (s *session) config() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Show and check the server's configuration", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(&cobra.Command{
		Use: "default", Short: "Print server.yaml with every key, its default and its meaning", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := s.Stdout.Write(s.ConfigDefault())
			return err
		},
	})
	var args ServeArgs
	check := &cobra.Command{
		Use: "check", Short: "Check server.yaml, the environment and --set without starting", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := s.ConfigCheck(s.serveArgs(args)); err != nil {
				return err
			}
			s.progress("The configuration is fine.")
			return nil
		},
	}
	s.serveFlags(check, &args)
	cmd.AddCommand(check)
	return cmd
}

func (s *session) init() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Write a new definitions repository with comments",
		Long: `Write a new definitions repository: environments, services, teams, hosts with a role, a
check and a dashboard, with comments that say what goes where. DIR must be empty or absent.`,
		Args: exactly("a folder to write to", 1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := args[0]
			if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
				return fault.New(fault.Conflict, "init %s: the folder is not empty (choose a new one)", dir)
			}
			files := s.Template()
			names := make([]string, 0, len(files))
			for name := range files {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				path := filepath.Join(dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return fmt.Errorf("init %s: %w", dir, err)
				}
				if err := os.WriteFile(path, files[name], 0o644); err != nil {
					return fmt.Errorf("init %s: %w", dir, err)
				}
				fmt.Fprintln(s.Stdout, path)
			}
			s.progress("Next: change them, run 'steer validate %s', commit and push to SERVER/git/definitions.git.", dir)
			return nil
		},
	}
}

func (s *session) validate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate [PATH]",
		Short: "Check a definitions repository or a service's steer.yaml",
		Long: `Check the files that a push would be checked for. PATH is a folder with
environments.yaml, hosts.yaml or roles/ (a definitions repository), a folder with
steer.yaml (a service), or a steer.yaml; default: this folder. Every error names
file, line and column.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := "."
			if len(args) == 1 {
				path = args[0]
			}
			summary, err := s.Validate(path)
			if err != nil {
				return err
			}
			fmt.Fprintln(s.Stdout, summary)
			return nil
		},
	}
}

func (s *session) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(s.Stdout, "steer", s.Version)
			return err
		},
	}
}

// hook is what Git calls before it takes a push to the definitions repository.
func (s *session) hook() *cobra.Command {
	return &cobra.Command{
		Use: "hook", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.Hook(cmd.Context(), s.Stdin, s.Stderr); err != nil {
				return exitCode(fault.ExitError) // the hook has told the pusher why
			}
			return nil
		},
	}
}

// exactly wants n arguments and says what they are.
func exactly(what string, n int) cobra.PositionalArgs { return between(what, n, n) }

// between is exactly with a range.
func between(what string, least, most int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("missing: %s", what)
		case len(args) > most:
			return fmt.Errorf("too many arguments: %s", strings.Join(args[most:], " "))
		}
		return nil
	}
}
