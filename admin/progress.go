package admin

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// progress is one line on a terminal that says what takes so long. Elsewhere
// it is silent.
type progress struct {
	w     io.Writer // nil: silent
	shown bool
}

func newProgress(w io.Writer) *progress {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &progress{w: w}
	}
	return &progress{}
}

// eraseLine goes back to the line's beginning and clears it.
const eraseLine = "\r\x1b[K"

func (p *progress) say(text string) {
	if p.w != nil {
		p.shown = true
		fmt.Fprint(p.w, eraseLine+text+" …")
	}
}

// bytes returns a function that says how far a work over many bytes is.
func (p *progress) bytes(what string) func(done, total int64) {
	return func(done, total int64) { p.say(fmt.Sprintf("%s %s of %s", what, bytesText(done), bytesText(total))) }
}

// end removes the line.
func (p *progress) end() {
	if p.shown {
		p.shown = false
		fmt.Fprint(p.w, eraseLine)
	}
}
