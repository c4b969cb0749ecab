package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// Agent is what the commands of a host that comes by itself work with. They run on
// that host.
type Agent struct {
	Dir    string // of hosts
	Join   func(ctx context.Context, j JoinArgs) (Joined, error)
	Run    func(ctx context.Context, dir, version string) error
	Status func(dir string) (AgentStatus, error)
	Leave  func(ctx context.Context, dir string, force bool) error
}

// JoinArgs say where a host joins.
type JoinArgs struct {
	Dir, URL, Token string
	CA              string // file
}

// Joined is a host that has joined.
type Joined struct {
	Host    string `json:"host"`
	Server  string `json:"server"`
	Program string `json:"program"` // of the agent
	Dir     string `json:"dir"`
	Started bool   `json:"started"` // by systemd
}

// AgentStatus is how the agent of this host is.
type AgentStatus struct {
	Host      string    `json:"host"`
	Server    string    `json:"server"`
	Version   string    `json:"version"`
	Connected time.Time `json:"connected,omitzero"`
	Contact   time.Time `json:"contact"`
	Error     string    `json:"error,omitempty"`
	Watch     string    `json:"watch,omitempty"`
	Paused    bool      `json:"paused"`
	Alone     time.Time `json:"alone,omitzero"`
}

func (s *session) agent() *cobra.Command {
	dir := s.Infra.Agent.Dir
	cmd := &cobra.Command{Use: "agent", Short: "Let this host come to a server by itself", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.PersistentFlags().StringVar(&dir, "dir", dir, "folder of this host's identity and state")
	var ca string
	join := &cobra.Command{
		Use: "join URL TOKEN", Short: "Join a server, with a token of 'steer host invite'", Args: exactly("the server's address and a token", 2),
		Long: `Gets an identity of its own for this host, installs this program as the agent, and
starts it. From then on the host keeps a connection to the server, over which the
server works on it; the server needs no way to the host.`,
		Example: "  steer agent join https://steer.example:8080 join_…",
		RunE: func(cmd *cobra.Command, args []string) error {
			if u, err := url.Parse(args[0]); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
				s.progress("Over http:// others on the way can read the token and everything after it: use https:// outside of networks of your own.")
			}
			j, err := s.Infra.Agent.Join(cmd.Context(), JoinArgs{Dir: dir, URL: args[0], Token: args[1], CA: ca})
			if err != nil {
				return err
			}
			return s.show(j, func(w io.Writer) {
				fmt.Fprintf(w, "Joined %s as %s.\n", j.Server, j.Host)
				if j.Started {
					fmt.Fprintln(w, "The agent runs, and starts with the host (steer-agent.service).")
				} else {
					fmt.Fprintf(w, "systemd does not run this host: let something start '%s agent run --dir %s', and again when it ends.\n", j.Program, j.Dir)
				}
			})
		},
	}
	join.Flags().StringVar(&ca, "ca", "", "file with who signs the server's certificate (PEM); default: those that this system trusts")
	var force bool
	leave := &cobra.Command{
		Use: "leave", Short: "Leave the server: end this host's identity and its agent", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.Infra.Agent.Leave(cmd.Context(), dir, force); err != nil {
				return err
			}
			s.progress("Left. What was made on this host stays.")
			return nil
		},
	}
	leave.Flags().BoolVar(&force, "force", false, "also when the server does not answer")
	cmd.AddCommand(join, leave,
		&cobra.Command{Use: "run", Short: "Run the agent in the foreground", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return s.Infra.Agent.Run(cmd.Context(), dir, s.Version) }},
		&cobra.Command{Use: "status", Short: "Show how the agent of this host is", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				a, err := s.Infra.Agent.Status(dir)
				if err != nil {
					return err
				}
				return s.show(a, func(w io.Writer) {
					row(w, "host", a.Host)
					row(w, "server", a.Server)
					if a.Connected.IsZero() {
						row(w, "connected", "no, last contact "+ago(a.Contact))
						row(w, "because", a.Error)
					} else {
						row(w, "connected", "since "+clock(a.Connected))
					}
					row(w, "version", a.Version)
					if a.Watch != "" {
						row(w, "drift", "is not wholly watched: "+a.Watch)
					}
					if a.Paused {
						row(w, "paused", "does not converge by itself")
					}
					row(w, "converged alone", a.Alone)
				})
			}})
	return cmd
}

func loopback(name string) bool {
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

func (s *session) hostInvite() *cobra.Command {
	var lasts time.Duration
	cmd := &cobra.Command{
		Use: "invite NAME", Short: "Let a host join the server by itself", Args: exactly("a name for the host", 1),
		Long: "Makes a token with which one host can join, once: on it, run the command that is printed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			i, err := c.InviteHost(cmd.Context(), args[0], lasts.String())
			if err != nil {
				return err
			}
			s.progress("Good once, until %s; shown only now. On the host, as root, where this program is:", clock(i.Expires))
			if local(c.Server()) {
				s.progress("(instead of %s write where the host reaches the server: that address is this machine only)", c.Server())
			}
			return s.show(i, func(w io.Writer) { fmt.Fprintf(w, "steer agent join %s %s\n", c.Server(), i.Token) })
		},
	}
	cmd.Flags().DurationVar(&lasts, "for", time.Hour, "how long the invitation is good")
	return cmd
}

// local tells whether an address is one that only this machine reaches.
func local(server string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func (s *session) hostRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "End the identity of a host that joined", Args: exactly("the name of the host", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			if err := c.RevokeHost(cmd.Context(), args[0]); err != nil {
				return err
			}
			s.progress("Revoked. Its connections are closed; what is on the host stays as it is.")
			return nil
		},
	}
}

func (s *session) hostAgents() *cobra.Command {
	return &cobra.Command{
		Use: "agents", Short: "List the hosts that come by themselves", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			all, err := c.HostAgents(cmd.Context())
			if err != nil {
				return err
			}
			return s.show(all, func(w io.Writer) {
				row(w, "HOST", "CONNECTED", "SEEN", "VERSION", "JOINED", "INVITED BY")
				for _, i := range all {
					connected := "no"
					if i.Connected {
						connected = "yes"
					}
					row(w, i.Host, connected, ago(i.Seen), i.Version, i.Joined, i.Creator)
				}
			})
		},
	}
}
