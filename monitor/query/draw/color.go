package draw

import (
	"fmt"
	"math"
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

// dark tells whether white is easier to read on it than black.
func (c color) dark() bool { return int(c.r)*3+int(c.g)*6+int(c.b) < 1280 }

// contrast is that of the Web Content Accessibility Guidelines 2, from 1 to 21.
func (c color) contrast(d color) float64 {
	a, b := c.luminance(), d.luminance()
	return (math.Max(a, b) + 0.05) / (math.Min(a, b) + 0.05)
}

func (c color) luminance() float64 {
	linear := func(part uint8) float64 {
		v := float64(part) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.r) + 0.7152*linear(c.g) + 0.0722*linear(c.b)
}

// mix is the colour a share of the way from c to d.
func (c color) mix(d color, share float64) color {
	part := func(a, b uint8) uint8 { return uint8(float64(a) + (float64(b)-float64(a))*share + 0.5) }
	return color{part(c.r, d.r), part(c.g, d.g), part(c.b, d.b), 255}
}

// palette tells neighbours apart also for colour-blind eyes, on light and dark.
func palette() []string {
	return []string{"3b6fd4", "e08a1e", "2a9d6f", "d1495b", "8456c9", "1f9bb5", "b8860b", "c2559d", "6b8e23", "6c7a89"}
}

// template is the background and the foreground of a template; empty is the
// default. Those of Graphite that are dark stay dark.
func template(name string) (background, foreground string) {
	switch name {
	case "dark", "noc", "alphas":
		return "1b1f27", ""
	case "solarized-dark":
		return "002b36", "93a1a1"
	case "solarized-light":
		return "fdf6e3", "586e75"
	}
	return "", ""
}

// named tells that a colour is one of the names, which Graphite does not define to
// the digit.
func named(s string) bool { return strings.ContainsAny(strings.ToLower(s), "ghijklmnopqrstuvwxyz") }

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
