// Package cli is the command line: one file per command. Commands speak to a
// server through api/client; what runs in this process (the server itself, the
// checks of files) is handed in by main.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"steer/api/client"
	"steer/base/fault"
)

// Program is what main hands in.
type Program struct {
	Version string
	// Serve runs the server until ctx ends.
	Serve func(ctx context.Context, s ServeArgs) error
	// Template is a new definitions repository, by path.
	Template func() map[string][]byte
	// Validate checks a definitions repository or a service's steer.yaml.
	Validate func(path string) (summary string, err error)
	// ConfigDefault prints server.yaml with every key.
	ConfigDefault func() []byte
	// ConfigCheck reads server.yaml with the same sources as serve.
	ConfigCheck func(s ServeArgs) error
	// ResetToken replaces the admin's token in the data folder of a server that does
	// not run, and returns the file with the new one.
	ResetToken func(ctx context.Context, s ServeArgs) (file string, err error)
	// Restore unpacks the archive of a backup into a folder that is absent or empty,
	// and checks it; tell gets the name of each file as it begins.
	Restore func(ctx context.Context, in io.Reader, dir string, tell func(name string)) (client.BackupSummary, error)
	// Hook runs as Git's pre-receive hook of the definitions repository.
	Hook func(ctx context.Context, in io.Reader, out io.Writer) error
	// Pack builds the service in dir and writes what it needs as a tar.gz with its
	// steer.yaml.
	Pack func(ctx context.Context, dir, service string, archive, progress io.Writer) error
	// Reference is the generated reference by file name, without the commands.
	Reference func() (map[string][]byte, error)
	// Infra is for the commands about hosts.
	Infra Infra
	// Examples holds the sample service and its definitions, for the tour.
	Examples fs.FS

	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Env            func(string) string
}

// ServeArgs is where the server's configuration comes from.
type ServeArgs struct {
	Data string   // folder with all state
	File string   // server.yaml; "" is DATA/server.yaml if that exists
	Set  []string // key=value
	Env  []string
	Out  io.Writer
}

// session is one invocation of the program.
type session struct {
	*Program
	server, token, data, output string
	noColor                     bool
}

// Main runs one command line and returns the exit code.
func Main(ctx context.Context, p Program, args []string) int {
	s := &session{Program: &p}
	root := s.root()
	root.SetArgs(args)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return fault.ExitOK
	}
	var exit exitCode
	if errors.As(err, &exit) {
		return int(exit)
	}
	fmt.Fprintf(p.Stderr, "steer: %s\n", strings.TrimRight(err.Error(), "\n"))
	if code := fault.Exit(err); code != fault.ExitUsage {
		return code
	}
	fmt.Fprintf(p.Stderr, "See '%s --help'.\n", cmd.CommandPath())
	return fault.ExitUsage
}

// exitCode ends the program with a code that is an answer, not an error.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func (s *session) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "steer",
		Short: "Build, deploy, watch and improve a web service",
		Long: `Steer carries the whole loop of running a web service: commit, build, artifact,
deploy, run, measure, compare, act, learn.

Exit codes: 0 done, 1 error, 2 wrong usage.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				hint := ""
				if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
					hint = fmt.Sprintf(" (did you mean %q?)", near[0])
				}
				return fmt.Errorf("unknown command %q%s", args[0], hint)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fault.Usage(err) })
	f := root.PersistentFlags()
	f.StringVar(&s.server, "server", "", "address of the server (default $STEER_SERVER, the one of --data, or http://127.0.0.1:8080)")
	f.StringVar(&s.token, "token", "", "access token (default $STEER_TOKEN, or DATA/admin.token for the server of --data)")
	f.StringVar(&s.data, "data", s.defaultData(), "data folder of a server on this machine")
	f.StringVarP(&s.output, "output", "o", "table", "table, json or yaml")
	f.BoolVar(&s.noColor, "no-color", s.Env("NO_COLOR") != "", "plain text")
	root.AddGroup(&cobra.Group{ID: "start", Title: "Start:"}, &cobra.Group{ID: "change", Title: "Change:"},
		&cobra.Group{ID: "hosts", Title: "Hosts:"},
		&cobra.Group{ID: "look", Title: "Look:"}, &cobra.Group{ID: "keep", Title: "Keep:"})
	root.SetHelpCommandGroupID("keep")
	root.SetCompletionCommandGroupID("keep")
	group := func(id string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	group("start", s.serve(), s.tour(), s.init(), s.validate())
	group("change", s.deploy(), s.rollback(), s.approve(), s.reject(), s.retry(), s.pin(), s.unpin(), s.hold(), s.release(), s.ack())
	group("hosts", s.plan(), s.apply(), s.drift(), s.test(), s.hosts(), s.fleet(), s.agent(), s.roles(), s.bake())
	group("look", s.status(), s.history(), s.runs(), s.logs(), s.incident(), s.why(), s.events(), s.query(), s.flow(), s.signs(), s.checks(), s.artifact())
	group("keep", s.registry(), s.backup(), s.restore(), s.store(), s.imports(), s.exports(), s.config(), s.tokens(), s.secrets(), s.version())
	root.AddCommand(s.hook(), s.docs(), s.hostRun(), s.nodeKeeper(), s.hostGuard(), s.enter())
	root.InitDefaultCompletionCmd("completion")
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Args = cobra.NoArgs // a shell that it does not know is an error
		completion.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	usageErrors(root)
	return root
}

// usageErrors marks every error about arguments as wrong usage.
func usageErrors(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return fault.Usage(err)
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		usageErrors(c)
	}
}

// defaultData is $STEER_DATA, /var/lib/steer for root, or a folder of the user.
func (s *session) defaultData() string {
	if d := s.Env("STEER_DATA"); d != "" {
		return d
	}
	if os.Geteuid() == 0 {
		return "/var/lib/steer"
	}
	if d := s.Env("XDG_DATA_HOME"); d != "" {
		return filepath.Join(d, "steer")
	}
	return filepath.Join(s.Env("HOME"), ".local", "share", "steer")
}

// client finds the server and the token: flags before environment before what a
// server on this machine left in its data folder.
func (s *session) client() (*client.Client, error) {
	server, token := s.server, s.token
	if server == "" {
		server = s.Env("STEER_SERVER")
	}
	if token == "" {
		token = s.Env("STEER_TOKEN")
	}
	here := ""
	b, err := os.ReadFile(filepath.Join(s.data, "server.url"))
	if errors.Is(err, fs.ErrPermission) && token == "" {
		return nil, noToken(err)
	} else if err == nil {
		here = strings.TrimSpace(string(b))
	}
	server = cmp.Or(server, here, "http://127.0.0.1:8080")
	// The token of the data folder is for the server on it, and for no other.
	if token == "" && server == here {
		b, err := os.ReadFile(filepath.Join(s.data, "admin.token"))
		if errors.Is(err, fs.ErrPermission) {
			return nil, noToken(err)
		} else if err == nil {
			token = strings.TrimSpace(string(b))
		}
	}
	return client.New(server, token)
}

// noToken tells who may not look into a server's data folder what to do instead.
func noToken(err error) error {
	return fault.New(fault.Denied, "find the server and a token: %w (be the user that the server runs as, or give --server and a token with --token or STEER_TOKEN)", err)
}
