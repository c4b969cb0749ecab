package edit

import (
	"context"
	"fmt"
	"strings"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// Block is a part of a file between two lines that mark it.
type Block struct {
	Edit       `yaml:",inline"`
	Name       string  `yaml:"name,omitempty" doc:"Tells several blocks in one file apart; it stands in the lines that mark the block." default:"block"`
	Content    *string `yaml:"content,omitempty" doc:"The lines, may be empty."`
	Comment    string  `yaml:"comment,omitempty" doc:"How a comment starts in this file." default:"#"`
	CommentEnd string  `yaml:"comment_end,omitempty" doc:"How a comment ends, where it does not end with the line, like -->."`
}

// BlockKind is the kind block.
func BlockKind() infra.Kind {
	return infra.Kind{
		Name: "block",
		Doc: "Lines in a file whose rest belongs to others, between two lines that mark them: comments that say BEGIN and END, steer, and the name of the block. " +
			"What is between these is replaced as a whole.",
		Key: "path",
		Example: `- block: /etc/hosts
  name: cluster
  content: |
    10.0.0.1 db1
    10.0.0.2 db2
`,
		New: func() infra.Resource { return &Block{} },
	}
}

// ID is the path with the name of the block.
func (b *Block) ID() string { return b.Path + ":" + b.Name }

// Check looks at the declaration.
func (b *Block) Check() error {
	switch {
	case b.Content == nil && b.State != place.Absent:
		return fmt.Errorf("content: is missing (write the lines, or \"\" for none)")
	case strings.TrimSpace(b.Name) != b.Name || strings.ContainsAny(b.Name, "\r\n\x00"):
		return fmt.Errorf("name: %q is no name (write one word)", b.Name)
	case strings.TrimSpace(b.Comment) == "" || strings.ContainsAny(b.Comment+b.CommentEnd, "\r\n\x00"):
		return fmt.Errorf("comment: %q starts no comment", b.Comment)
	}
	for _, l := range b.lines() {
		if b.is(l, "BEGIN") || b.is(l, "END") {
			return fmt.Errorf("content: has a line that marks a block (leave it out, Steer writes it)")
		}
	}
	return nil
}

// Absent declares it away.
func (b *Block) Absent() infra.Resource {
	return &Block{Edit: Edit{Path: b.Path, State: place.Absent}, Name: b.Name, Comment: b.Comment, CommentEnd: b.CommentEnd}
}

// Diff compares.
func (b *Block) Diff(context.Context, *infra.Host) (infra.Diff, error) { return b.compare(b.change) }

// Apply writes the file.
func (b *Block) Apply(ctx context.Context, h *infra.Host, _ infra.Diff) error {
	return b.apply(ctx, h, b.change)
}

func (b *Block) mark(which string) string {
	return strings.TrimSpace(b.Comment + " " + which + " steer " + b.Name + " " + b.CommentEnd)
}

func (b *Block) is(line, which string) bool { return strings.TrimSpace(line) == b.mark(which) }

// change makes of a text one with the block, or without it.
func (b *Block) change(old string) (string, infra.Action, error) {
	all := lines(old)
	from, to := -1, -1
	for i, l := range all {
		switch {
		case b.is(l, "BEGIN") && from < 0:
			from = i
		case b.is(l, "END") && from >= 0 && to < 0:
			to = i
		case b.is(l, "BEGIN"), b.is(l, "END"):
			return "", "", b.broken(i)
		}
	}
	if from >= 0 && to < 0 {
		return "", "", b.broken(from)
	}
	if from < 0 && b.State == place.Absent {
		return old, infra.None, nil
	}
	if b.State == place.Absent {
		return strings.Join(append(all[:from:from], all[to+1:]...), ""), infra.Delete, nil
	}
	added := b.block(end(all))
	if from < 0 {
		return strings.Join(b.insert(all, added), ""), infra.Create, nil
	}
	if !strings.HasSuffix(all[to], "\n") {
		added[len(added)-1] = bare(added[len(added)-1])
	}
	return strings.Join(append(all[:from:from], append(added, all[to+1:]...)...), ""), infra.Update, nil
}

// lines are those of the content.
func (b *Block) lines() []string {
	if b.Content == nil {
		return nil
	}
	return lines(*b.Content)
}

// block is the block with its marks, each line with the end of the file's lines.
func (b *Block) block(end string) []string {
	all := []string{b.mark("BEGIN") + end}
	for _, l := range b.lines() {
		all = append(all, bare(l)+end)
	}
	return append(all, b.mark("END")+end)
}

func (b *Block) broken(line int) error {
	return fault.New(fault.Conflict, "%s:%d: there is not one BEGIN and after it one END of the block %s (put the lines that mark it right, or remove them)", b.Path, line+1, b.Name)
}
