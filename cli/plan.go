package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"steer/base/fault"
)

// hostFlags are those that say which hosts.
func hostFlags(cmd *cobra.Command, h *HostArgs) {
	f := cmd.Flags()
	f.StringVarP(&h.Definitions, "definitions", "d", ".", "folder with roles/ and hosts.yaml")
	f.StringVar(&h.Address, "host", "", "one host with the given roles: local, ssh://USER@NAME:PORT, docker://CONTAINER or command:PROGRAM")
	f.StringToStringVarP(&h.With, "param", "p", nil, "parameter of the given roles, as NAME=VALUE")
	f.StringSliceVarP(&h.Limit, "limit", "l", nil, "only these hosts or groups of hosts.yaml; * and ? stand for any text and any letter")
	f.StringVar(&h.Key, "key", "", "age key file for secrets/ENVIRONMENT/NAME.age")
	f.StringVar(&h.Environment, "environment", "", "environment whose secrets are used")
	cmd.RegisterFlagCompletionFunc("host", cobra.FixedCompletions([]string{"local", "ssh://", "docker://", "command:"}, cobra.ShellCompDirectiveNoSpace|cobra.ShellCompDirectiveNoFileComp))
}

func waveFlags(cmd *cobra.Command, c *ConvergeArgs) {
	f := cmd.Flags()
	f.StringSliceVarP(&c.Tags, "tags", "t", nil, "only resources with one of these tags")
	f.IntVar(&c.Parallel, "parallel", 10, "hosts at a time")
	f.StringVar(&c.StateDir, "state", "", "folder where the host remembers what was done (default /var/lib/steer-host)")
}

const exits = `

Exit codes: 0 done, 1 error, 2 wrong usage; with --detailed-exitcode 0 nothing to
change, 1 error, 2 changes.`

func (s *session) plan() *cobra.Command {
	var h HostArgs
	var c ConvergeArgs
	var out string
	var detailed bool
	cmd := &cobra.Command{
		Use: "plan [ROLE…]", Short: "Show what would change on hosts",
		Long: `Compares hosts with their roles and shows every difference; it changes nothing.
Without roles, all hosts of hosts.yaml; with roles, this machine or --host.` + exits,
		Example: "steer plan web -p port=8080            # this machine\nsteer plan --limit 'web-*' --out change.plan",
		RunE: func(cmd *cobra.Command, args []string) error {
			h.Roles = args
			if out != "" {
				if !isPlanFile(out) {
					return fault.Usage(fmt.Errorf("--out %s: the name needs a dot or a slash, so that it is no role (like %[1]s.plan)", out))
				}
				if err := s.Infra.Storable(h); err != nil {
					return err
				}
			}
			p, err := s.compare(cmd.Context(), h, c)
			if err != nil {
				return err
			}
			if out != "" {
				if err := p.write(out); err != nil {
					return err
				}
				fmt.Fprintf(s.Stderr, "Written to %s; steer apply %s does exactly this.\n", out, out)
			}
			return p.end(detailed)
		},
	}
	hostFlags(cmd, &h)
	waveFlags(cmd, &c)
	cmd.Flags().StringVar(&out, "out", "", "file to keep the plan in, for steer apply")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "end with 2 when something would change")
	return cmd
}

func (s *session) apply() *cobra.Command {
	var h HostArgs
	var c ConvergeArgs
	var yes, detailed bool
	cmd := &cobra.Command{
		Use: "apply [ROLE…|PLAN-FILE]", Short: "Make hosts what their roles say",
		Long: `Shows what would change, asks, and changes it. With the file of a plan it does what
was planned, and refuses when a host is no longer as it was then.
Without roles, all hosts of hosts.yaml; with roles, this machine or --host.` + exits,
		Example: "steer apply web -p port=8080\nsteer apply --limit web --serial 1 --max-fail 0 --yes\nsteer apply change.plan",
		RunE: func(cmd *cobra.Command, args []string) error {
			saved, err := readPlan(args)
			if err != nil {
				return err
			}
			if saved != nil {
				for _, name := range []string{"definitions", "host", "param", "limit", "key", "environment", "tags", "state"} {
					if cmd.Flags().Changed(name) {
						return fault.Usage(fmt.Errorf("--%s: %s says what is done, and where (plan again, or leave the flag out)", name, args[0]))
					}
				}
				h, c.Tags, c.StateDir = saved.Args, saved.Tags, saved.StateDir
			} else {
				h.Roles = args
			}
			if saved != nil || !yes {
				p, err := s.compare(cmd.Context(), h, c)
				if err != nil {
					return err
				}
				if saved != nil {
					if err := saved.same(p); err != nil {
						return err
					}
				}
				if p.changes() == 0 {
					return p.end(detailed)
				}
				if saved == nil {
					if err := s.agree("Apply these changes?", "give --yes, or a file of steer plan --out"); err != nil {
						return err
					}
				}
			}
			c.Apply, c.By = true, who(s)
			p, err := s.converge(cmd.Context(), "Done", h, c)
			if err != nil {
				return err
			}
			return p.end(detailed)
		},
	}
	hostFlags(cmd, &h)
	waveFlags(cmd, &c)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringVar(&c.Serial, "serial", "", "hosts of a wave, as a number or a share like 25%; the next wave waits for it")
	guardFlag(cmd, &c.Guard)
	cmd.Flags().IntVar(&c.MaxFail, "max-fail", 0, "failed hosts that are borne before the next wave (-1: any number)")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "end with 2 when something was changed")
	return cmd
}

// agree asks on a terminal; elsewhere nobody is there who could answer.
func (s *session) agree(question, instead string) error {
	in, ok := s.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return fault.New(fault.Invalid, "nobody is at a terminal to agree (%s)", instead)
	}
	fmt.Fprintf(s.Stderr, "%s [y/N] ", question)
	var answer string
	fmt.Fscanln(in, &answer)
	if a := strings.ToLower(answer); a != "y" && a != "yes" {
		return fault.New(fault.Conflict, "nothing was changed")
	}
	return nil
}

func who(s *session) string {
	name := cmp.Or(s.Env("SUDO_USER"), s.Env("USER"))
	if u, err := user.Current(); name == "" && err == nil {
		name = u.Username
	}
	return name
}

// planned is what hosts would change, or changed.
type planned struct {
	Args     HostArgs          `json:"args"`
	Tags     []string          `json:"tags,omitempty"`
	StateDir string            `json:"state,omitempty"`
	Made     time.Time         `json:"made"`
	Changes  map[string]string `json:"changes"` // HOST REF → digest of what changes
	results  []HostResult
}

func (s *session) compare(ctx context.Context, h HostArgs, c ConvergeArgs) (*planned, error) {
	c.Apply, c.MaxFail, c.Serial = false, -1, ""
	return s.converge(ctx, "Plan", h, c)
}

func (s *session) converge(ctx context.Context, title string, h HostArgs, c ConvergeArgs) (*planned, error) {
	p := &planned{Args: h, Tags: c.Tags, StateDir: c.StateDir, Made: time.Now().UTC(), Changes: map[string]string{}}
	w, err := s.hostWriter()
	if err != nil {
		return nil, err
	}
	results, err := s.Infra.Converge(ctx, h, c, func(e HostEvent) {
		if e.Status == "planned" {
			b, _ := json.Marshal([]any{e.Action, e.Fields})
			sum := sha256.Sum256(b)
			p.Changes[e.Host+" "+e.Ref] = hex.EncodeToString(sum[:8])
		}
		w.event(e)
	})
	if err != nil {
		return nil, err
	}
	sortResults(results)
	p.results = results
	if c.Apply {
		return p, w.recap(results, title+": %d added, %d changed, %d destroyed", "run")
	}
	return p, w.recap(results, title+": %d to add, %d to change, %d to destroy", "to run")
}

func (p *planned) changes() int {
	n := 0
	for _, r := range p.results {
		n += r.Counts["planned"] + r.Counts["changed"]
	}
	return n
}

// end is the exit code that the results mean.
func (p *planned) end(detailed bool) error {
	for _, r := range p.results {
		if r.Failed {
			return exitCode(fault.ExitError)
		}
	}
	if detailed && p.changes() > 0 {
		return exitCode(2)
	}
	return nil
}

func (p *planned) write(file string) error {
	b, err := json.MarshalIndent(p, "", " ")
	if err == nil {
		err = os.WriteFile(file, append(b, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return nil
}

// isPlanFile tells whether a word names the file of a plan; names of roles have neither
// dots nor slashes.
func isPlanFile(word string) bool { return strings.ContainsAny(word, "./") }

// readPlan reads the file of a plan, when that is what the one argument names.
func readPlan(args []string) (*planned, error) {
	if i := slices.IndexFunc(args, isPlanFile); i < 0 {
		return nil, nil
	} else if len(args) > 1 {
		return nil, fault.Usage(fmt.Errorf("%s is the file of a plan, which is applied alone", args[i]))
	}
	b, err := os.ReadFile(args[0])
	if err != nil {
		return nil, fault.New(fault.NotFound, "read the plan: %w", err)
	}
	var p planned
	if err := json.Unmarshal(b, &p); err != nil || p.Changes == nil {
		return nil, fault.New(fault.Invalid, "%s is no plan (steer plan --out makes one)", args[0])
	}
	return &p, nil
}

// same refuses when what would change now is not what was planned.
func (p *planned) same(now *planned) error {
	var moved []string
	for key, digest := range p.Changes {
		if now.Changes[key] != digest {
			moved = append(moved, key)
		}
	}
	for key := range now.Changes {
		if _, ok := p.Changes[key]; !ok {
			moved = append(moved, key)
		}
	}
	if len(moved) == 0 {
		return nil
	}
	slices.Sort(moved)
	more := ""
	if len(moved) > 5 {
		more = fmt.Sprintf(" and %d more", len(moved)-5)
		moved = moved[:5]
	}
	return fault.New(fault.Conflict, "since the plan of %s, what would change is not the same: %s%s (look at what is shown above, and plan again)", p.Made.Format(time.DateTime), strings.Join(moved, ", "), more)
}
