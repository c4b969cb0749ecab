package receive

import "strconv"

// LineError says what is wrong with a line.
type LineError struct {
	Protocol string
	Line     string // at most 100 bytes of it
	Reason   string
}

// NewLineError copies the beginning of a line.
func NewLineError(protocol string, line []byte, reason string) *LineError {
	const most = 100
	text := string(line[:min(len(line), most)])
	if len(line) > most {
		text += "…"
	}
	return &LineError{protocol, text, reason}
}

func (e *LineError) Error() string {
	return e.Protocol + " line " + strconv.Quote(e.Line) + ": " + e.Reason
}
