package secret

import (
	"bytes"
	"io"
	"slices"
)

// Mask returns a function that hides the given secrets in what is written
// through it. A secret that spans several writes is hidden too: the end of a
// write that may be a secret's beginning is kept until it is clear, so the
// writer must be closed (which does not close the one below). Secrets of less
// than four bytes are not looked for, they are in every text.
func Mask(secrets []string) func(io.Writer) io.Writer {
	var needles [][]byte
	for _, s := range secrets {
		for line := range bytes.Lines([]byte(s)) { // logs are read by line
			if line = bytes.TrimSpace(line); len(line) >= 4 {
				needles = append(needles, line)
			}
		}
	}
	// Longer ones first, or a short one would uncover the rest of a longer one.
	slices.SortFunc(needles, func(a, b []byte) int { return len(b) - len(a) })
	return func(w io.Writer) io.Writer { return &mask{out: w, needles: needles} }
}

type mask struct {
	out     io.Writer
	needles [][]byte
	kept    []byte
}

// Write implements io.Writer; it may hold the end of p back.
func (m *mask) Write(p []byte) (int, error) {
	if len(m.needles) == 0 {
		return m.out.Write(p)
	}
	data := append(m.kept, p...)
	out := make([]byte, 0, len(data))
	i := 0
scan:
	for i < len(data) {
		for _, n := range m.needles {
			if bytes.HasPrefix(data[i:], n) {
				out = append(out, hidden...)
				i += len(n)
				continue scan
			}
			// What follows could become a longer secret: wait for the next write.
			if rest := data[i:]; len(rest) < len(n) && bytes.HasPrefix(n, rest) {
				break scan
			}
		}
		out = append(out, data[i])
		i++
	}
	m.kept = append([]byte(nil), data[i:]...)
	if _, err := m.out.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what was held back: the text ended before it became a secret.
func (m *mask) Close() error {
	kept := m.kept
	m.kept = nil
	for _, n := range m.needles { // a shorter secret may stand where a longer one was expected
		kept = bytes.ReplaceAll(kept, n, []byte(hidden))
	}
	_, err := m.out.Write(kept)
	return err
}
