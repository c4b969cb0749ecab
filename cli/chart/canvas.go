package chart

import "strings"

// canvas is a field of dots, and for each character the series that drew on it
// last. A braille character has two by four dots, a letter one.
type canvas struct {
	columns, rows int
	across, down  int // dots of a character
	dots          []uint8
	owner         []int
}

func newCanvas(columns, rows int, ascii bool) *canvas {
	c := &canvas{columns: columns, rows: rows, across: 2, down: 4, dots: make([]uint8, columns*rows), owner: make([]int, columns*rows)}
	if ascii {
		c.across, c.down = 1, 1
	}
	return c
}

func (c *canvas) width() int        { return c.columns * c.across }
func (c *canvas) height() int       { return c.rows * c.down }
func (c *canvas) row(dot int) int   { return dot / c.down }
func (c *canvas) cell(x, y int) int { return y/c.down*c.columns + x/c.across }

// set puts a dot; Unicode numbers those of a character down the columns, with the
// lowest row added later.
func (c *canvas) set(x, y, series int) {
	bits := [4][2]uint8{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}
	i := c.cell(x, y)
	c.dots[i] |= bits[y%c.down][x%c.across]
	c.owner[i] = series
}

// stroke is a straight line between two dots, after Bresenham.
func (c *canvas) stroke(x0, y0, x1, y1, series int) {
	dx, dy := x1-x0, y1-y0
	stepX, stepY := 1, 1
	if dx < 0 {
		dx, stepX = -dx, -1
	}
	if dy < 0 {
		dy, stepY = -dy, -1
	}
	off := dx - dy
	for {
		c.set(x0, y0, series)
		if x0 == x1 && y0 == y1 {
			return
		}
		twice := 2 * off
		if twice > -dy {
			off -= dy
			x0 += stepX
		}
		if twice < dx {
			off += dx
			y0 += stepY
		}
	}
}

// line is one row as text, neighbours of one series in one colour.
func (c *canvas) line(row int, p pen) string {
	var b, run strings.Builder
	last := -1
	flush := func() {
		if last >= 0 {
			b.WriteString(p.paint(p.hue(last), run.String()))
		} else {
			b.WriteString(run.String())
		}
		run.Reset()
	}
	for i := row * c.columns; i < (row+1)*c.columns; i++ {
		owner, letter := -1, " "
		if c.dots[i] != 0 {
			owner = c.owner[i]
			letter = string(rune(0x2800 + int(c.dots[i])))
			if p.ascii {
				letter = string(rune('a' + owner))
			}
		}
		if owner != last {
			flush()
			last = owner
		}
		run.WriteString(letter)
	}
	flush()
	return b.String()
}
