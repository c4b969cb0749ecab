package secret

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
)

// Shorter texts are not masked: they appear by chance, and a log full of masks
// tells nothing.
const shortest = 4

// Mask returns a function that puts a filter before a log: it replaces each secret
// by "(sensitive)", also one that is split over several writes, and each line of one
// that has several; those of less than four bytes are left. For the splits the filter
// holds back what may be the beginning of a secret until the next write; it is an
// io.Closer, and Close writes the rest (it does not close the log).
func Mask(secrets []string) func(io.Writer) io.Writer {
	var all [][]byte
	add := func(s string) {
		if len(s) >= shortest {
			all = append(all, []byte(s))
		}
	}
	for _, s := range secrets {
		add(s)
		for line := range strings.Lines(s) { // logs may show one line of it
			add(strings.TrimSpace(line))
		}
	}
	var first [256]bool
	longest := 0
	for _, s := range all {
		first[s[0]] = true
		longest = max(longest, len(s))
	}
	return func(w io.Writer) io.Writer { return &mask{to: w, secrets: all, first: &first, longest: longest} }
}

type mask struct {
	mu      sync.Mutex
	to      io.Writer
	secrets [][]byte
	first   *[256]bool // the bytes that secrets begin with
	longest int

	held   []byte // may be the beginning of a secret
	masked int    // bytes at the start of held that belong to a secret already replaced
}

// Write passes p on, masked. It reports all of p as written when the log took what
// was not held back.
func (m *mask) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = append(m.held, p...)
	if err := m.pass(len(m.held) - m.beginning()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close writes what is held back.
func (m *mask) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pass(len(m.held))
}

// beginning is the length of the longest end of held that may be the beginning of
// a secret.
func (m *mask) beginning() int {
	for n := min(m.longest-1, len(m.held)); n > 0; n-- {
		end := m.held[len(m.held)-n:]
		if m.first[end[0]] && slices.ContainsFunc(m.secrets, func(s []byte) bool { return len(s) > n && bytes.HasPrefix(s, end) }) {
			return n
		}
	}
	return 0
}

// pass writes the first n bytes of held. Secrets that overlap get one mask.
func (m *mask) pass(n int) error {
	var out []byte
	end := m.masked // of the secret that is being replaced
	for i := range n {
		if m.first[m.held[i]] {
			for _, s := range m.secrets {
				if i+len(s) > end && bytes.HasPrefix(m.held[i:], s) {
					if i >= end {
						out = append(out, hidden...)
					}
					end = i + len(s)
				}
			}
		}
		if i >= end {
			out = append(out, m.held[i])
		}
	}
	m.masked = max(0, end-n)
	m.held = append(m.held[:0], m.held[n:]...)
	if len(out) == 0 {
		return nil
	}
	_, err := m.to.Write(out)
	return err
}
