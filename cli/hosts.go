package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"steer/base/fault"
)

func (s *session) hosts() *cobra.Command {
	cmd := &cobra.Command{Use: "host", Short: "List, make, stop, start, roll back, rebuild and destroy hosts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(s.hostList(), s.hostDescribe(), s.hostFacts(), s.hostInvite(), s.hostAgents(), s.hostRevoke(), s.hostGenerations(), s.hostRollback(),
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
		Use: "list [HOST…]", Short: "List the hosts of hosts.yaml",
		Long: `Lists the hosts of hosts.yaml, or those of them that are named, and how those are that Steer
makes: runs, stopped, frozen, cut off, not made. Of the others only a visit tells: steer plan.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := h.named(args); err != nil {
				return err
			}
			all, err := s.Infra.Hosts(cmd.Context(), h)
			if err != nil {
				return err
			}
			return s.show(all, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(w, "There are no hosts (describe them in hosts.yaml).")
					return
				}
				row(w, "HOST", "GROUP", "ROLES", "OWNER", "ADDRESS", "STATE")
				for _, i := range all {
					row(w, i.Host, i.Group, strings.Join(i.Roles, ", "), i.Owner, i.Address, i.State)
				}
			})
		},
	}
	someHosts(cmd, &h)
	cmd.Flags().Lookup("host").Hidden = true
	return cmd
}

func (s *session) hostDescribe() *cobra.Command {
	var h HostArgs
	cmd := &cobra.Command{
		Use: "describe [HOST…]", Short: "Describe hosts: what they are for, whose, and how they are kept",
		Long: "Describes the hosts of hosts.yaml, or those of them that are named, as pages in Markdown for people who read no definitions. steer roles does it for roles.",
		RunE: func(_ *cobra.Command, args []string) error {
			h.Limit = args
			b, err := s.Infra.Describe(h)
			if err != nil {
				return err
			}
			if len(b) == 0 {
				s.progress("There are no hosts (describe them in hosts.yaml).")
			}
			_, err = s.Stdout.Write(b)
			return err
		},
	}
	cmd.Flags().StringVarP(&h.Definitions, "definitions", "d", ".", "folder with roles/ and hosts.yaml")
	return cmd
}

func (s *session) hostFacts() *cobra.Command {
	var h HostArgs
	cmd := &cobra.Command{
		Use: "facts [HOST…]", Short: "Show what templates of roles see as .host",
		Long: "Shows what templates of roles see as .host, as JSON; of several hosts, one object after the other.\n" + whichHosts,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := h.named(args); err != nil {
				return err
			}
			b, err := s.Infra.Facts(cmd.Context(), h)
			if len(b) > 0 {
				if _, wrong := s.Stdout.Write(append(b, '\n')); err == nil {
					err = wrong
				}
			}
			return err
		},
	}
	someHosts(cmd, &h)
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

func testFlags(cmd *cobra.Command, t *TestArgs) {
	cmd.Flags().StringVar(&t.Format, "format", "text", "text, json, junit, tap, nagios, prometheus or rspecish")
	cmd.Flags().DurationVar(&t.Retry, "retry-timeout", 0, "how long tests are repeated until they pass, also those that say no retry:, up to 1h")
}

// testForm checks how tests are run and told; -o json is --format json.
func (s *session) testForm(cmd *cobra.Command, t *TestArgs) error {
	if s.output == "json" && !cmd.Flags().Changed("format") {
		t.Format = "json"
	} else if s.output != "table" {
		return fault.Usage(fmt.Errorf("-o %s: use --format, which knows more forms", s.output))
	}
	if t.Retry < 0 || t.Retry > time.Hour {
		return fault.Usage(fmt.Errorf("--retry-timeout %s: write a time from 0s to 1h", t.Retry))
	}
	return nil
}

func (s *session) testHost() *cobra.Command {
	var h HostArgs
	var t TestArgs
	cmd := &cobra.Command{
		Use: "host [ROLE…]", Short: "Run the tests of roles on live hosts",
		Long:    "Runs the tests of the roles of all hosts of hosts.yaml; with roles, of those, on this machine or --host.\nExit codes: 0 when nothing failed, else 1; with --format nagios those of its plugins.",
		Example: "steer test host web\nsteer test host --limit web --format junit > tests.xml",
		RunE: func(cmd *cobra.Command, args []string) error {
			h.Roles = args
			if err := s.testForm(cmd, &t); err != nil {
				return err
			}
			code, err := s.Infra.Verify(cmd.Context(), h, t, s.Stdout)
			if err == nil && code != 0 {
				return exitCode(code)
			}
			return err
		},
	}
	hostFlags(cmd, &h)
	testFlags(cmd, &t)
	return cmd
}

func (s *session) testRole() *cobra.Command {
	var t RoleTest
	cmd := &cobra.Command{
		Use: "role ROLE", Short: "Test a role in a host made for it", Args: exactly("a role", 1),
		Long: `Makes a throw-away container, applies the role, runs its tests, applies it again,
which must change nothing, and destroys the container.`,
		Example: "steer test role web -p port=8080 --image debian:12",
		RunE: func(cmd *cobra.Command, args []string) error {
			t.Role = args[0]
			if err := s.testForm(cmd, &t.TestArgs); err != nil {
				return err
			}
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
	testFlags(cmd, &t.TestArgs)
	return cmd
}

func (s *session) testAdd() *cobra.Command {
	var h HostArgs
	var into string
	cmd := &cobra.Command{
		Use: "add KIND NAME", Short: "Write a test of what is on a host", Args: exactly("a kind and a name, like service nginx", 2),
		Long: `Prints the YAML of a test that holds on a host now, with only what stays the same while it is well.
The host is this machine, --host, or the one of hosts.yaml that --limit names. With --append the test
is added to the tests of a role.`,
		Example: "steer test add service nginx\nsteer test add port 80 --host ssh://root@web1 --append roles/web/role.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := h.named(nil); err != nil {
				return err
			}
			b, err := s.Infra.AddTest(cmd.Context(), h, args[0], args[1])
			if err != nil {
				return err
			}
			if into == "" {
				_, err = s.Stdout.Write(b)
				return err
			}
			return s.appendTest(into, b)
		},
	}
	someHosts(cmd, &h)
	cmd.Flags().StringVar(&into, "append", "", "file of a role to whose tests it is added")
	return cmd
}

// appendTest writes a file anew with one more test in it.
func (s *session) appendTest(into string, test []byte) error {
	text, err := os.ReadFile(into)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("add the test: %w", err)
	}
	if text, err = s.Infra.AppendTest(into, text, test); err == nil {
		err = os.WriteFile(into, text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("add the test: %w", err)
	}
	fmt.Fprintf(s.Stderr, "Added to %s.\n", into)
	return nil
}

func (s *session) roles() *cobra.Command {
	var h HostArgs
	cmd := &cobra.Command{
		Use: "roles [ROLE…]", Short: "Describe roles: what hosts of theirs are",
		Long: "Describes roles, all of them without names, as pages in Markdown for people who read no definitions:\nwhat a role is for, its hosts, parameters, resources, tests and checks.",
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := s.Infra.Roles(h, args)
			if err == nil && len(b) == 0 {
				s.progress("There are no roles (write roles/NAME.yaml; steer init writes one to start from).")
			}
			if err == nil {
				_, err = s.Stdout.Write(b)
			}
			return err
		},
	}
	cmd.Flags().StringVarP(&h.Definitions, "definitions", "d", ".", "folder with roles/")
	return cmd
}
