package tour

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	red, green, dim, bold, reset = "\x1b[31m", "\x1b[32m", "\x1b[2m", "\x1b[1m", "\x1b[0m"
	clearLine                    = "\r\x1b[K"
)

// screen prints the tour: numbered steps, and under each the commands, what came
// of them and when. On a terminal the last line also tells what is waited for.
type screen struct {
	out    io.Writer
	live   bool // a terminal: lines may be redrawn
	colour bool
	now    func() time.Time

	mu      sync.Mutex
	start   time.Time
	step    int
	waiting string
	since   time.Time // when the waiting began
	drawn   bool      // the waiting line stands on the terminal
	frame   int
}

func newScreen(out io.Writer, live, colour bool) *screen {
	return &screen{out: out, live: live, colour: colour, now: time.Now, start: time.Now()}
}

// stepf begins the next step.
func (s *screen) stepf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step++
	s.print("\n%s", s.paint(bold, fmt.Sprintf("%2d  %s", s.step, fmt.Sprintf(format, args...))))
}

// say explains what comes, in the words of the step.
func (s *screen) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(text) {
		s.print("    %s", strings.TrimRight(line, "\n"))
	}
}

// command shows what is about to run.
func (s *screen) command(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.print("          %s", s.paint(dim, "$ "+text))
}

// output shows what a command printed.
func (s *screen) output(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(text) {
		s.print("          %s", strings.TrimRight(line, " \n"))
	}
}

// okf says what was verified.
func (s *screen) okf(format string, args ...any) { s.mark(green, "✓", format, args...) }

// badf says what went wrong, on purpose or not.
func (s *screen) badf(format string, args ...any) { s.mark(red, "✗", format, args...) }

// notef says what was seen on the way.
func (s *screen) notef(format string, args ...any) { s.mark(dim, "·", format, args...) }

func (s *screen) mark(colour, sign, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = ""
	first, rest, more := strings.Cut(fmt.Sprintf(format, args...), "\n")
	s.print("%s  %s %s", s.paint(dim, s.elapsed()), s.paint(colour, sign), first)
	if more {
		for line := range strings.Lines(rest) {
			s.print("            %s", strings.TrimRight(line, "\n"))
		}
	}
}

// waitf says what is waited for, on a terminal only: elsewhere what comes of it
// is enough.
func (s *screen) waitf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if text != s.waiting {
		s.waiting, s.since = text, s.now()
	}
	s.draw()
}

// animate redraws the waiting line until ctx ends.
func (s *screen) animate(ctx context.Context) {
	if !s.live {
		return
	}
	tick := time.NewTicker(120 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.mu.Lock()
			s.waiting = ""
			s.erase()
			s.mu.Unlock()
			return
		case <-tick.C:
			s.mu.Lock()
			s.frame++
			s.draw()
			s.mu.Unlock()
		}
	}
}

var frames = [...]string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

func (s *screen) draw() {
	if !s.live || s.waiting == "" {
		return
	}
	took := s.now().Sub(s.since).Round(time.Second)
	fmt.Fprintf(s.out, "%s%s  %s %s %s", clearLine, s.paint(dim, s.elapsed()), frames[s.frame%len(frames)], s.waiting, s.paint(dim, took.String()))
	s.drawn = true
}

func (s *screen) erase() {
	if s.drawn {
		fmt.Fprint(s.out, clearLine)
		s.drawn = false
	}
}

func (s *screen) print(format string, args ...any) {
	s.erase()
	fmt.Fprintf(s.out, format+"\n", args...)
	s.draw()
}

// elapsed is the time since the tour began, in a column of 7.
func (s *screen) elapsed() string { return fmt.Sprintf("%6.1fs", s.now().Sub(s.start).Seconds()) }

func (s *screen) paint(colour, text string) string {
	if !s.colour {
		return text
	}
	return colour + text + reset
}
