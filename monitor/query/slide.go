package query

// exactSums adds the values of every window up anew, first to last, so that
// nothing of one window is carried into the next; eight windows side by side,
// since one alone would wait for each addition. A window with a null, or with
// infinities of both signs, is left to slow.
func exactSums(column []float64, size int, mean bool, out []float64, slow func(window []float64) float64) {
	divisor := 1.0
	if mean {
		divisor = float64(size)
	}
	windows := column[1:] // the first value is in no window
	i := 0
	for ; i+8 <= len(out); i += 8 {
		var a, b, c, d, e, f, g, h float64
		for w := windows[i : i+size+7]; len(w) >= 8; w = w[1:] {
			a += w[0]
			b += w[1]
			c += w[2]
			d += w[3]
			e += w[4]
			f += w[5]
			g += w[6]
			h += w[7]
		}
		o := out[i : i+8]
		o[0], o[1], o[2], o[3] = a/divisor, b/divisor, c/divisor, d/divisor
		o[4], o[5], o[6], o[7] = e/divisor, f/divisor, g/divisor, h/divisor
	}
	for ; i < len(out); i++ {
		s := 0.0
		for _, v := range windows[i : i+size] {
			s += v
		}
		out[i] = s / divisor
	}
	for i, v := range out {
		if v != v {
			out[i] = slow(windows[i : i+size])
		}
	}
}
