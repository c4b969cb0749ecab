package cli

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

// grid lines up the cells of neighbouring lines, which tabs divide. Unlike
// text/tabwriter it does not count the colours.
type grid struct {
	bytes.Buffer
	out io.Writer
}

// Flush writes what was collected.
func (g *grid) Flush() error {
	var lined strings.Builder
	var block [][]string
	end := func() {
		var widths []int
		for _, cells := range block {
			for i, c := range cells[:len(cells)-1] {
				if i == len(widths) {
					widths = append(widths, 0)
				}
				widths[i] = max(widths[i], width(c))
			}
		}
		for _, cells := range block {
			for i, c := range cells {
				lined.WriteString(c)
				if i < len(cells)-1 {
					lined.WriteString(strings.Repeat(" ", widths[i]-width(c)+2))
				}
			}
			lined.WriteByte('\n')
		}
		block = nil
	}
	for line := range strings.Lines(g.String()) {
		line = strings.TrimSuffix(line, "\n")
		if cells := strings.Split(line, "\t"); len(cells) > 1 {
			block = append(block, cells)
			continue
		}
		end()
		lined.WriteString(line + "\n")
	}
	end()
	_, err := io.WriteString(g.out, lined.String())
	return err
}

// width is how many characters text shows.
func width(text string) int {
	for _, code := range []string{red, yellow, green, dim, bold, reset} {
		text = strings.ReplaceAll(text, code, "")
	}
	return utf8.RuneCountInString(text)
}
