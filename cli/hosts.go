package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"steer/base/fault"
)

func (s *session) hosts() *cobra.Command {
	cmd := &cobra.Command{Use: "host", Short: "List, make, stop, start, roll back, rebuild and destroy hosts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(s.hostList(), s.hostFacts(), s.hostInvite(), s.hostAgents(), s.hostRevoke(), s.hostGenerations(), s.hostRollback(),
		s.hostMake("create", "Make hosts that do not exist yet, and converge them", false),
		s.hostMake("stop", "Stop hosts, in order", false), s.hostFail(),
		s.hostMake("start", "Start hosts again, however they were stopped, and converge them", false),
		s.hostMake("rebuild", "Destroy hosts, make them again and converge them", true),
		s.hostMake("destroy", "Destroy hosts, with everything on them but their volumes", true))
	return cmd
}

func (s *session) hostList() *cobra.Command {
	var h HostArgs
	cmd := &cobra.Command{
		Use: "list", Short: "List the hosts of hosts.yaml", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := s.Infra.Hosts(cmd.Context(), h)
			if err != nil {
				return err
			}
			return s.show(all, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(w, "There are no hosts (describe them in hosts.yaml).")
					return
				}
				row(w, "HOST", "GROUP", "ROLES", "OWNER", "ADDRESS")
				for _, i := range all {
					row(w, i.Host, i.Group, strings.Join(i.Roles, ", "), i.Owner, i.Address)
				}
			})
		},
	}
	hostFlags(cmd, &h)
	return cmd
}

func (s *session) hostFacts() *cobra.Command {
	var h HostArgs
	cmd := &cobra.Command{
		Use: "facts", Short: "Show what templates of roles see as .host", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := s.Infra.Facts(cmd.Context(), h)
			if err == nil {
				_, err = s.Stdout.Write(append(b, '\n'))
			}
			return err
		},
	}
	hostFlags(cmd, &h)
	return cmd
}

func (s *session) hostMake(what, short string, destroys bool) *cobra.Command {
	var h HostArgs
	var yes bool
	cmd := &cobra.Command{
		Use: what + " HOST…", Short: short,
		Long: short + ".\nHosts are names or groups of hosts.yaml, whose make: says how they are made; * and ? work.",
		Args: namedHosts,
		RunE: func(cmd *cobra.Command, args []string) error {
			h.Limit = args
			if destroys && !yes {
				all, err := s.Infra.Hosts(cmd.Context(), h)
				if err != nil {
					return err
				}
				var names []string
				for _, i := range all {
					names = append(names, i.Host)
				}
				if err := s.agree("Destroy "+strings.Join(names, ", ")+"?", "give --yes"); err != nil {
					return err
				}
			}
			return s.makeHosts(cmd.Context(), h, what)
		},
	}
	hostFlags(cmd, &h)
	cmd.Flags().Lookup("limit").Hidden = true
	if destroys {
		cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	}
	return cmd
}

func namedHosts(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("name at least one host of hosts.yaml")
	}
	return nil
}

func (s *session) makeHosts(ctx context.Context, h HostArgs, what string) error {
	w, err := s.hostWriter()
	if err != nil {
		return err
	}
	results, err := s.Infra.Make(ctx, h, what, w.event)
	if err != nil {
		return err
	}
	sortResults(results)
	if err := w.recap(results, "", ""); err != nil {
		return err
	}
	return (&planned{results: results}).end(false)
}

// failures are what hosts can be made to suffer.
func failures() []string { return []string{"kill", "freeze", "cut"} }

const failHelp = `--how kill switches hosts off like a power cut, freeze keeps them from doing anything,
cut takes their network away while they go on. start undoes each.`

func (s *session) hostFail() *cobra.Command {
	var h HostArgs
	how := ""
	cmd := &cobra.Command{
		Use: "fail HOST…", Short: "Make hosts fail, to see that the service goes on", Args: namedHosts,
		Long:    "Make hosts fail, to see that the service goes on without them.\n" + failHelp,
		Example: "steer host fail web-1 --how kill\nsteer test host lb\nsteer host start web-1",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := knownFailure(how); err != nil {
				return err
			}
			h.Limit = args
			return s.makeHosts(cmd.Context(), h, how)
		},
	}
	hostFlags(cmd, &h)
	cmd.Flags().Lookup("limit").Hidden = true
	howFlag(cmd, &how)
	return cmd
}

func howFlag(cmd *cobra.Command, how *string) {
	cmd.Flags().StringVar(how, "how", "kill", strings.Join(failures(), ", "))
	cmd.RegisterFlagCompletionFunc("how", cobra.FixedCompletions(failures(), cobra.ShellCompDirectiveNoFileComp))
}

func knownFailure(how string) error {
	if !slices.Contains(failures(), how) {
		return fault.Usage(fmt.Errorf("--how %q: write %s", how, strings.Join(failures(), ", ")))
	}
	return nil
}

// hostRun is this program on the other side of a conversation between hosts.
func (s *session) hostRun() *cobra.Command {
	return &cobra.Command{Use: "host-run", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.Infra.Side(cmd.Context(), s.Stdin, s.Stdout) }}
}

// nodeKeeper is this program as it keeps nodes of services running on a host.
func (s *session) nodeKeeper() *cobra.Command {
	return &cobra.Command{Use: "node-keeper SETTINGS", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.Infra.Keep(cmd.Context(), args[0]) }}
}

func (s *session) test() *cobra.Command {
	cmd := &cobra.Command{Use: "test", Short: "Test roles and hosts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(s.testHost(), s.testRole(), s.testAdd())
	return cmd
}

const formatHelp = "text, json, junit, tap, nagios, prometheus or rspecish"

func (s *session) testHost() *cobra.Command {
	var h HostArgs
	format := "text"
	cmd := &cobra.Command{
		Use: "host [ROLE…]", Short: "Run the tests of roles on live hosts",
		Long:    "Runs the tests of the roles of all hosts of hosts.yaml; with roles, of those, on this machine or --host.\nExit codes: 0 when nothing failed, else 1; with --format nagios those of its plugins.",
		Example: "steer test host web\nsteer test host --limit web --format junit > tests.xml",
		RunE: func(cmd *cobra.Command, args []string) error {
			h.Roles = args
			code, err := s.Infra.Verify(cmd.Context(), h, format, s.Stdout)
			if err == nil && code != 0 {
				return exitCode(code)
			}
			return err
		},
	}
	hostFlags(cmd, &h)
	cmd.Flags().StringVar(&format, "format", format, formatHelp)
	return cmd
}

func (s *session) testRole() *cobra.Command {
	t := RoleTest{Format: "text"}
	cmd := &cobra.Command{
		Use: "role ROLE", Short: "Test a role in a host made for it", Args: exactly("a role", 1),
		Long: `Makes a throw-away container, applies the role, runs its tests, applies it again,
which must change nothing, and destroys the container.`,
		Example: "steer test role web -p port=8080 --image debian:12",
		RunE: func(cmd *cobra.Command, args []string) error {
			t.Role = args[0]
			ok, err := s.Infra.TestRole(cmd.Context(), t, s.Stdout)
			if err == nil && !ok {
				return exitCode(fault.ExitError)
			}
			return err
		},
	}
	hostFlags(cmd, &t.HostArgs)
	for _, name := range []string{"host", "limit"} {
		cmd.Flags().Lookup(name).Hidden = true
	}
	cmd.Flags().StringVar(&t.Image, "image", "debian:12", "image of the container")
	cmd.Flags().BoolVar(&t.Systemd, "systemd", false, "start systemd in it; the image has to contain it")
	cmd.Flags().BoolVar(&t.Keep, "keep", false, "leave the container, to look around in it")
	cmd.Flags().StringVar(&t.Format, "format", t.Format, formatHelp)
	return cmd
}

func (s *session) testAdd() *cobra.Command {
	var into string
	cmd := &cobra.Command{
		Use: "add KIND NAME", Short: "Write a test of what is on this host", Args: exactly("a kind and a name, like service nginx", 2),
		Long:    "Prints the YAML of a test that holds on this host now, with only what stays the same while it is well.",
		Example: "steer test add service nginx\nsteer test add port 80 >> tests.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := s.Infra.AddTest(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			if into == "" {
				_, err = s.Stdout.Write(b)
				return err
			}
			f, err := os.OpenFile(into, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
			if err != nil {
				return fmt.Errorf("write the test: %w", err)
			}
			if _, err := f.Write(b); err != nil {
				f.Close()
				return fmt.Errorf("write the test: %w", err)
			}
			return f.Close()
		},
	}
	cmd.Flags().StringVar(&into, "append", "", "file to append it to")
	return cmd
}

func (s *session) roles() *cobra.Command {
	var h HostArgs
	cmd := &cobra.Command{
		Use: "roles [ROLE…]", Short: "Describe roles: what hosts of theirs are",
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := s.Infra.Roles(h, args)
			if err == nil {
				_, err = s.Stdout.Write(b)
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&h.Definitions, "definitions", "d", ".", "folder with roles/")
	return cmd
}
