package index

import (
	"cmp"
	"context"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"unsafe"

	"steer/base/metric"
)

// node is a place in the tree of names. Its children stand in a sorted slice
// rather than in a map: a million leaves take 24 bytes each.
type node struct {
	children []child // by part
	leaf     bool
}

type child struct {
	part string // aliases a name
	at   *node
}

// bare is the node of every leaf without children; it never changes.
var bare = node{leaf: true}

// Compare orders names as the tree does: by node, the shorter path first.
func Compare(a, b string) int {
	i, n := 0, min(len(a), len(b))
	for ; i+8 <= n; i += 8 { // names have long prefixes in common
		if d := word(a[i:]) ^ word(b[i:]); d != 0 {
			i += bits.TrailingZeros64(d) / 8
			break
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	if i == n {
		return cmp.Compare(len(a), len(b))
	}
	x, y := a[i], b[i]
	if (x == '.' || y == '.') && strings.IndexByte(a[:i], ';') < 0 { // tags are one text
		if x == '.' {
			return -1
		}
		return 1
	}
	return cmp.Compare(x, y)
}

// word is the first eight bytes, the first one lowest.
func word(s string) uint64 {
	return binary.LittleEndian.Uint64(unsafe.Slice(unsafe.StringData(s), 8))
}

// cutNode takes the first node off; tags stay with the node before them.
func cutNode(name string) (first, rest string, more bool) {
	i := strings.IndexAny(name, ".;")
	if i < 0 || name[i] == ';' {
		return name, "", false
	}
	return name[:i], name[i+1:], true
}

// merge adds names, which are sorted by Compare, what stands before the offset
// being the path of n.
func (n *node) merge(names []string, offset int) {
	for len(names) > 0 && len(names[0]) < offset { // the path itself ends here
		n.leaf = true
		names = names[1:]
	}
	if len(names) == 0 {
		return
	}
	type group struct {
		part  string
		names []string
	}
	var groups []group
	fresh, known := 0, 0
	for len(names) > 0 {
		part, _, _ := cutNode(names[0][offset:])
		end := 1
		for end < len(names) {
			if other, _, _ := cutNode(names[end][offset:]); other != part {
				break
			}
			end++
		}
		groups = append(groups, group{part, names[:end]})
		names = names[end:]
		for known < len(n.children) && n.children[known].part < part {
			known++
		}
		if known == len(n.children) || n.children[known].part != part {
			fresh++
		}
	}
	if fresh > 0 {
		old := n.children
		n.children = make([]child, 0, len(old)+fresh)
		for _, g := range groups {
			for len(old) > 0 && old[0].part < g.part {
				n.children = append(n.children, old[0])
				old = old[1:]
			}
			if len(old) == 0 || old[0].part != g.part {
				n.children = append(n.children, child{part: g.part})
			}
		}
		n.children = append(n.children, old...)
	}
	at := 0
	for _, g := range groups {
		for n.children[at].part != g.part {
			at++
		}
		c := &n.children[at]
		below := offset + len(g.part) + 1
		if last := g.names[len(g.names)-1]; len(last) < below { // only the path itself
			if c.at == nil {
				c.at = &bare
			} else if c.at != &bare {
				c.at.leaf = true
			}
			continue
		}
		if c.at == nil || c.at == &bare {
			c.at = &node{leaf: c.at == &bare}
		}
		c.at.merge(g.names, below)
	}
}

// child is the node of one part, or nil.
func (n *node) child(part string) *node {
	i, ok := slices.BinarySearchFunc(n.children, part, func(c child, part string) int { return cmp.Compare(c.part, part) })
	if !ok {
		return nil
	}
	return n.children[i].at
}

// starting are the children whose part starts with prefix.
func (n *node) starting(prefix string) []child {
	if prefix == "" {
		return n.children
	}
	i, _ := slices.BinarySearchFunc(n.children, prefix, func(c child, prefix string) int { return cmp.Compare(c.part, prefix) })
	all := n.children[i:]
	end, _ := slices.BinarySearchFunc(all, prefix, func(c child, prefix string) int {
		if strings.HasPrefix(c.part, prefix) {
			return -1
		}
		return 1
	})
	return all[:end]
}

// search is one walk of the tree.
type search struct {
	ctx   context.Context
	deep  bool // the same node can be found in several ways
	steps int
	seen  map[visit]bool
	found []metric.Match
}

type visit struct {
	at *node

	left int
}

// step notices now and then that nobody waits for the answer any more.
func (s *search) step() error {
	if s.steps++; s.steps%4096 == 0 {
		return s.ctx.Err()
	}
	return nil
}

func (s *search) walk(at *node, path string, globs []glob) error {
	if err := s.step(); err != nil {
		return err
	}
	if len(globs) == 0 {
		if len(at.children) > 0 {
			s.found = append(s.found, metric.Match{Path: path})
		}
		if at.leaf {
			s.found = append(s.found, metric.Match{Path: path, Leaf: true})
		}
		return nil
	}
	if s.deep && at != &bare {
		v := visit{at: at, left: len(globs)}
		if s.seen[v] {
			return nil
		}
		if s.seen == nil {
			s.seen = map[visit]bool{}
		}
		s.seen[v] = true
	}
	g := globs[0]
	if g.any {
		if err := s.walk(at, path, globs[1:]); err != nil {
			return err
		}
		for _, c := range at.children {
			if err := s.walk(c.at, join(path, c.part), globs); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range g.literals {
		if c := at.child(name); c != nil {
			if err := s.walk(c, join(path, name), globs[1:]); err != nil {
				return err
			}
		}
	}
	if len(g.wild) == 0 {
		return nil
	}
	for _, c := range at.starting(g.prefix) {
		if err := s.step(); err != nil {
			return err
		}
		if _, known := slices.BinarySearch(g.literals, c.part); known || !slices.ContainsFunc(g.wild, func(w string) bool { return w == "*" || match(w, c.part) }) {
			continue
		}
		if err := s.walk(c.at, join(path, c.part), globs[1:]); err != nil {
			return err
		}
	}
	return nil
}

// leaves hands every name below a node to take until it says stop.
func (n *node) leaves(path string, take func(name string) bool) bool {
	if n.leaf && !take(path) {
		return false
	}
	for _, c := range n.children {
		if !c.at.leaves(join(path, c.part), take) {
			return false
		}
	}
	return true
}

// each hands every name below a node to take, in the order of Compare. The bytes
// are valid during the call.
func (n *node) each(path []byte, take func(name []byte)) []byte {
	if n.leaf {
		take(path)
	}
	for _, c := range n.children {
		length := len(path)
		if length > 0 {
			path = append(path, '.')
		}
		path = c.at.each(append(path, c.part...), take)[:length]
	}
	return path
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
