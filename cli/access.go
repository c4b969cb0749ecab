package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"steer/base/fault"
	"steer/base/id"
)

func (s *session) tokens() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Give and take access", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var role string
	var environments []string
	create := &cobra.Command{
		Use: "create NAME", Short: "Give access to a person or program", Args: exactly("the person's or program's name", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			t, err := c.CreateToken(cmd.Context(), args[0], role, environments)
			if err != nil {
				return err
			}
			s.progress("The token is shown only now:")
			return s.show(t, func(w io.Writer) { fmt.Fprintln(w, t.Token) })
		},
	}
	create.Flags().StringVar(&role, "role", "developer", "viewer, developer, operator or admin")
	create.Flags().StringSliceVar(&environments, "environment", nil, "only there; elsewhere it may look")
	cmd.AddCommand(create,
		&cobra.Command{Use: "list", Short: "Who has access", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			tokens, err := c.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			return s.show(tokens, func(w io.Writer) {
				row(w, "NAME", "ROLE", "ENVIRONMENTS", "CREATED", "BY", "USED")
				for _, t := range tokens {
					row(w, t.Name, t.Role, everywhere(t.Environments), t.Created, t.Creator, t.Used)
				}
			})
		}},
		&cobra.Command{Use: "revoke NAME", Short: "Take access away", Args: exactly("the token's name", 1), RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			if err := c.RevokeToken(cmd.Context(), args[0]); err != nil {
				return err
			}
			s.progress("Revoked.")
			return nil
		}},
		s.resetToken())
	return cmd
}

// everywhere names the environments of a token.
func everywhere(environments []id.Environment) string {
	if len(environments) == 0 {
		return "all"
	}
	names := make([]string, len(environments))
	for i, e := range environments {
		names[i] = string(e)
	}
	return strings.Join(names, ",")
}

func (s *session) resetToken() *cobra.Command {
	var args ServeArgs
	cmd := &cobra.Command{
		Use: "reset", Short: "Replace the lost token of admin, on the server's machine",
		Long: `Make a new token of admin in the data folder of a server that does not run; the
old one and its sessions end. For when the token is lost and no other admin can
make one. It takes the user that the server runs as.`,
		Example: "  steer token reset --data /srv/steer",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := s.ResetToken(cmd.Context(), s.serveArgs(args))
			if err != nil {
				return err
			}
			token, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			s.progress("The new token of admin, also in %s:", file)
			_, err = s.Stdout.Write(token)
			return err
		},
	}
	s.serveFlags(cmd, &args)
	return cmd
}

func (s *session) secrets() *cobra.Command {
	cmd := &cobra.Command{Use: "secret", Short: "Encrypt secrets for the definitions", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(&cobra.Command{
		Use:   "encrypt NAME environment=ENVIRONMENT",
		Short: "Encrypt a secret from standard input, and print the file for it",
		Long: `Encrypt what comes on standard input, so that only the server can read it, and
print the file that holds it. The file belongs into the definitions, at
secrets/ENVIRONMENT/NAME.age. A service gets it as an environment variable:

  run:
    env: {DB_PASSWORD: "secret:NAME"}

The secret itself does not leave this machine.`,
		Example: `  steer secret encrypt db-password environment=production > secrets/production/db-password.age`,
		Args:    exactly("NAME environment=ENVIRONMENT", 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			got, err := pairs(args[1:], "environment")
			if err != nil {
				return err
			}
			if err := need(got, "environment"); err != nil {
				return err
			}
			name, err := id.Parse[string]("secret", args[0])
			if err != nil {
				return fault.Usage(err)
			}
			environment, err := id.Parse[id.Environment]("environment", got["environment"])
			if err != nil {
				return fault.Usage(err)
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			plain, err := s.readSecret()
			if err != nil {
				return err
			}
			file, err := c.Encrypt(cmd.Context(), plain)
			if err != nil {
				return err
			}
			s.progress("Commit this to the definitions as secrets/%s/%s.age; \"secret:%s\" in run.env of a steer.yaml is its value.", environment, name, name)
			_, err = s.Stdout.Write(file)
			return err
		},
	})
	return cmd
}

// readSecret reads standard input, on a terminal one line that is not shown.
func (s *session) readSecret() ([]byte, error) {
	var plain []byte
	var err error
	if f, ok := s.Stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(s.Stderr, "Secret: ")
		plain, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(s.Stderr)
	} else {
		plain, err = io.ReadAll(io.LimitReader(s.Stdin, 1<<20))
	}
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	if len(bytes.TrimSpace(plain)) == 0 {
		return nil, fault.Usage(fmt.Errorf("there is no secret on standard input"))
	}
	return plain, nil
}
