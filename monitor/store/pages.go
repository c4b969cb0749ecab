package store

import "encoding/binary"

// pages is the memory for the recent points of a shard: pieces of one size, chained
// by number. The garbage collector sees a few large blocks without pointers, and
// what a flush frees the next points use again.
//
//	next u32, used u8, then used bytes
type pages struct {
	blocks [][]byte
	made   uint32 // pages in blocks; number 0 is never used
	free   uint32 // first of the chain of free pages, 0: none
	inUse  int64
}

const (
	pageSize  = 128
	pageHead  = 5
	blockBits = 9 // 512 pages, 64 KiB
)

func (p *pages) at(n uint32) []byte {
	return p.blocks[n>>blockBits][n&(1<<blockBits-1)*pageSize:][:pageSize]
}

// take returns the number of an empty page.
func (p *pages) take() uint32 {
	p.inUse++
	if n := p.free; n != 0 {
		b := p.at(n)
		p.free = binary.LittleEndian.Uint32(b)
		clear(b[:pageHead])
		return n
	}
	if p.made%(1<<blockBits) == 0 {
		p.blocks = append(p.blocks, make([]byte, pageSize<<blockBits))
		if p.made == 0 {
			p.made = 1
		}
	}
	p.made++
	return p.made - 1
}

// chain is a list of pages.
type chain struct{ head, tail uint32 } // 0: empty

// room returns n bytes at the end of a chain to write to.
func (p *pages) room(c *chain, n int) []byte {
	if c.head == 0 {
		c.head = p.take()
		c.tail = c.head
	}
	b := p.at(c.tail)
	if used := int(b[4]); pageHead+used+n <= pageSize {
		b[4] = byte(used + n)
		return b[pageHead+used:][:n]
	}
	next := p.take()
	binary.LittleEndian.PutUint32(p.at(c.tail), next)
	c.tail = next
	b = p.at(next)
	b[4] = byte(n)
	return b[pageHead:][:n]
}

// append appends what a chain holds to dst.
func (p *pages) append(dst []byte, c chain) []byte {
	for n := c.head; n != 0; {
		b := p.at(n)
		dst = append(dst, b[pageHead:][:b[4]]...)
		n = binary.LittleEndian.Uint32(b)
	}
	return dst
}

// release makes the pages of a chain free; who calls it lowers inUse.
func (p *pages) release(c chain) {
	if c.head == 0 {
		return
	}
	binary.LittleEndian.PutUint32(p.at(c.tail), p.free)
	p.free = c.head
}
