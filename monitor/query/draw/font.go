package draw

import (
	"fmt"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
)

// fonts measures texts, for both canvases, and draws them for one. It is for one
// chart: faces are not safe for concurrent use.
type fonts struct {
	regular, bold *opentype.Font
	faces         map[faceKey]font.Face
}

type faceKey struct {
	size float64
	bold bool
}

func newFonts() (*fonts, error) {
	regular, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("read the built-in font: %w", err)
	}
	bold, err := opentype.Parse(gobold.TTF)
	if err != nil {
		return nil, fmt.Errorf("read the built-in bold font: %w", err)
	}
	return &fonts{regular, bold, map[faceKey]font.Face{}}, nil
}

func (f *fonts) face(size float64, bold bool) font.Face {
	k := faceKey{size, bold}
	if f.faces[k] == nil {
		src := f.regular
		if bold {
			src = f.bold
		}
		face, err := opentype.NewFace(src, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
		if err != nil {
			panic("BUG: the built-in font has no size " + fmt.Sprint(size))
		}
		f.faces[k] = face
	}
	return f.faces[k]
}

// width of a text in pixels.
func (f *fonts) width(s string, size float64, bold bool) float64 {
	return float64(font.MeasureString(f.face(size, bold), s)) / 64
}

// fit cuts a text to a width. The end of a metric name tells more than its
// middle, so what is cut is in the middle.
func (f *fonts) fit(s string, size, room float64, bold bool) string {
	if f.width(s, size, bold) <= room {
		return s
	}
	r := []rune(s)
	low, high := 0, min(len(r), int(math.Max(room, 0))) // no letter is narrower than a pixel
	for low < high {
		n := (low + high + 1) / 2
		if f.width(cut(r, n), size, bold) <= room {
			low = n
		} else {
			high = n - 1
		}
	}
	return cut(r, low)
}

func cut(r []rune, n int) string {
	if n <= 0 {
		return "…"
	}
	return string(r[:n/2]) + "…" + string(r[len(r)-(n-n/2):])
}
