package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"steer/api/client"
	"steer/base/fault"
)

func (s *session) registry() *cobra.Command {
	cmd := &cobra.Command{Use: "registry", Short: "Container images that were pushed or built", Args: cobra.NoArgs,
		Long: `Lists and deletes what the server's registry keeps. Images come in and out with docker,
skopeo, crane, oras and their like: the registry is the server's address, the user any
name, the password a token.`,
		Example: "  docker login 127.0.0.1:8080\n  docker push 127.0.0.1:8080/base/debian:1",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(
		&cobra.Command{Use: "list [NAME]", Short: "Repositories, or the tags of one, newest first", Args: cobra.MaximumNArgs(1),
			Example: "  steer registry list\n  steer registry list base/debian",
			RunE: func(cmd *cobra.Command, args []string) error {
				c, err := s.client()
				if err != nil {
					return err
				}
				if len(args) == 0 {
					return s.repositories(cmd.Context(), c)
				}
				return s.imageTags(cmd.Context(), c, args[0])
			}},
		&cobra.Command{Use: "delete NAME:TAG|NAME@DIGEST…", Short: "Delete images", Args: cobra.MinimumNArgs(1),
			Long: `Deletes tags. With the last tag of an image the image goes too, unless an index needs
it; NAME@DIGEST deletes an image with all its tags. What no image needs is removed from
the disk within a day or two. Versions that Steer built stay.`,
			Example: "  steer registry delete base/debian:1",
			RunE: func(cmd *cobra.Command, args []string) error {
				c, err := s.client()
				if err != nil {
					return err
				}
				for _, arg := range args {
					if err := s.deleteImage(cmd.Context(), c, arg); err != nil {
						return err
					}
				}
				return nil
			}},
	)
	return cmd
}

func (s *session) repositories(ctx context.Context, c *client.Client) error {
	all, err := c.Repositories(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.progress("There is no image yet.")
	}
	return s.show(all, func(w io.Writer) {
		row(w, "REPOSITORY", "TAGS", "IMAGES", "UPDATED")
		for _, r := range all {
			row(w, r.Name, r.Tags, r.Images, r.Updated)
		}
	})
}

func (s *session) imageTags(ctx context.Context, c *client.Client, name string) error {
	all, err := c.ImageTags(ctx, name)
	if err != nil {
		return err
	}
	return s.show(all, func(w io.Writer) {
		row(w, "TAG", "DIGEST", "SIZE", "TYPE", "UPDATED", "BY")
		for _, t := range all {
			by := string(t.Actor)
			if t.Built {
				by = "built by Steer"
			}
			row(w, t.Tag, t.Digest, bytesText(t.Size), t.Type, t.Updated, by)
		}
	})
}

// deleteImage deletes a tag, and the image with its last one.
func (s *session) deleteImage(ctx context.Context, c *client.Client, arg string) error {
	name, ref, digest := strings.Cut(arg, "@")
	if !digest {
		var err error
		if name, ref, err = reference(arg); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		tags, err := c.ImageTags(ctx, name)
		if err != nil {
			return err
		}
		of, others := "", 0
		for _, t := range tags {
			if t.Tag == ref {
				of = string(t.Digest)
			}
		}
		for _, t := range tags {
			if string(t.Digest) == of && t.Tag != ref {
				others++
			}
		}
		if of != "" && others == 0 {
			err := c.DeleteImage(ctx, name, of)
			if err == nil {
				s.progress("%s deleted.", arg)
				return nil
			}
			if fault.Of(err) == fault.Denied {
				return err
			}
		}
	}
	if err := c.DeleteImage(ctx, name, ref); err != nil {
		return err
	}
	s.progress("%s deleted.", arg)
	return nil
}

// reference reads NAME:TAG. A name with a host is one of another registry.
func reference(text string) (name, tag string, err error) {
	i := strings.LastIndex(text, ":")
	if i <= 0 || i == len(text)-1 || strings.Contains(text[i:], "/") {
		return "", "", fault.Usage(fmt.Errorf("%q: write NAME:TAG, like base/debian:1", text))
	}
	name, tag = text[:i], text[i+1:]
	if first, _, more := strings.Cut(name, "/"); more && (strings.ContainsAny(first, ":") || first == "localhost") {
		return "", "", fault.Usage(fmt.Errorf("%q: leave out %s; it goes to the server of this command (see --server), others are reached with crane or skopeo", text, first))
	}
	return name, tag, nil
}
