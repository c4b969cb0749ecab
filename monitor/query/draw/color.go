package draw

import (
	"fmt"
	"strconv"
	"strings"
)

// color has its parts in 0 to 255; a is the opacity.
type color struct{ r, g, b, a uint8 }

func (c color) faded(alpha float64) color {
	c.a = uint8(float64(c.a)*alpha + 0.5)
	return c
}

func (c color) hex() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

// mix is the colour a share of the way from c to d.
func (c color) mix(d color, share float64) color {
	part := func(a, b uint8) uint8 { return uint8(float64(a) + (float64(b)-float64(a))*share + 0.5) }
	return color{part(c.r, d.r), part(c.g, d.g), part(c.b, d.b), 255}
}

// palette tells neighbours apart also for colour-blind eyes, on light and dark.
func palette() []string {
	return []string{"3b6fd4", "e08a1e", "2a9d6f", "d1495b", "8456c9", "1f9bb5", "b8860b", "c2559d", "6b8e23", "6c7a89"}
}

func parseColor(s string) (color, bool) {
	switch strings.ToLower(s) {
	case "black":
		return color{0, 0, 0, 255}, true
	case "white":
		return color{255, 255, 255, 255}, true
	case "blue":
		return color{100, 100, 255, 255}, true
	case "green":
		return color{0, 200, 0, 255}, true
	case "red":
		return color{200, 0, 50, 255}, true
	case "yellow":
		return color{255, 255, 0, 255}, true
	case "orange":
		return color{255, 165, 0, 255}, true
	case "purple":
		return color{200, 100, 255, 255}, true
	case "brown":
		return color{150, 100, 50, 255}, true
	case "cyan":
		return color{0, 150, 150, 255}, true
	case "aqua":
		return color{0, 150, 150, 255}, true
	case "gray", "grey":
		return color{175, 175, 175, 255}, true
	case "magenta":
		return color{255, 0, 255, 255}, true
	case "pink":
		return color{255, 100, 100, 255}, true
	case "gold":
		return color{200, 200, 0, 255}, true
	case "rose":
		return color{200, 150, 200, 255}, true
	case "darkblue":
		return color{0, 0, 255, 255}, true
	case "darkgreen":
		return color{0, 255, 0, 255}, true
	case "darkred":
		return color{255, 0, 0, 255}, true
	case "darkgray", "darkgrey":
		return color{111, 111, 111, 255}, true
	case "transparent":
		return color{}, true
	}
	s = strings.TrimPrefix(s, "#")
	if len(s) == 3 {
		s = string([]byte{s[0], s[0], s[1], s[1], s[2], s[2]})
	}
	if len(s) != 6 && len(s) != 8 {
		return color{}, false
	}
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		return color{}, false
	}
	if len(s) == 6 {
		n = n<<8 | 0xff
	}
	return color{uint8(n >> 24), uint8(n >> 16), uint8(n >> 8), uint8(n)}, true
}
