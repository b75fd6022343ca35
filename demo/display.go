package demo

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// display shows a run: either a screen that is drawn again and again, or plain
// lines as things happen.
type display struct {
	out  io.Writer
	live bool

	mu    sync.Mutex
	lines int // of the last drawing
	log   []string
	began time.Time
}

// screenLog is how many of the latest happenings the live screen keeps in view.
const screenLog = 12

// newDisplay draws live if out is a terminal and nothing asks for plain text.
func newDisplay(out io.Writer, began time.Time) *display {
	d := &display{out: out, began: began}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && os.Getenv("CI") == "" {
		d.live = true
	}
	return d
}

// say adds a line of what happened.
func (d *display) say(format string, args ...any) {
	line := fmt.Sprintf("%6.2fs  %s", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.live {
		fmt.Fprintln(d.out, line)
		return
	}
	d.log = append(d.log, line)
	d.log = d.log[max(0, len(d.log)-screenLog):]
}

// draw replaces the screen's block with the frame, cut to the terminal.
func (d *display) draw(frame []string) {
	if !d.live {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	width, height := 100, 40
	if f, ok := d.out.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
			width, height = w, h
		}
	}
	frame = append(slices.Clone(frame), "")
	frame = append(frame, d.log...)
	frame = frame[:min(len(frame), height-1)]
	var b strings.Builder
	if d.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", d.lines)
	}
	for _, l := range frame {
		b.WriteString("\r\x1b[2K" + cut(l, width-1) + "\n")
	}
	b.WriteString("\x1b[J")
	d.lines = len(frame)
	io.WriteString(d.out, b.String())
}

// finish leaves the last drawing on the screen and prints below it from now on.
func (d *display) finish() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.live = false
}

// cut shortens a line to width cells; escape sequences take none.
func cut(line string, width int) string {
	cells, escape := 0, false
	for i, r := range line {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			if cells++; cells > width {
				return line[:i] + "\x1b[0m"
			}
		}
	}
	return line
}

const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
	plain  = "\x1b[0m"
)

// frame is the live screen: controllers, workers, records, checkpoints.
func (d *demo) frame() []string {
	var lines []string
	d.cluster.timeline.view(func(t *timeline) {
		lines = append(lines,
			fmt.Sprintf("%scairn demo%s  %s  job %s %s%s%s", bold, plain, clockText(time.Since(d.display.began)), t.job, statusColor(t.status), t.status, plain),
			"controllers  "+d.controllersLine(t),
			"workers      "+d.workersLine(t),
			"records      "+d.recordsLine(),
			"checkpoints  "+checkpointsLine(t))
	})
	return lines
}

func clockText(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }

func statusColor(status string) string {
	switch status {
	case "running", "finished":
		return green
	case "failed":
		return red
	}
	return yellow
}

func (d *demo) controllersLine(t *timeline) string {
	var parts []string
	for _, p := range d.cluster.controllers {
		switch {
		case !t.connected[p.Name]:
			parts = append(parts, red+p.Name+" down"+plain)
		case t.leader == p.Name:
			parts = append(parts, fmt.Sprintf("%s%s leads, term %d%s", green+bold, p.Name, t.term, plain))
		default:
			parts = append(parts, p.Name)
		}
	}
	return strings.Join(parts, "   ")
}

func (d *demo) workersLine(t *timeline) string {
	tasks := d.tasksByWorker()
	var parts []string
	for _, p := range d.cluster.workers {
		if t.workers[p.Name] != "connected" || p.PID() == 0 {
			parts = append(parts, red+p.Name+" down"+plain)
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %s%d subtasks%s", p.Name, dim, tasks[p.Name], plain))
	}
	return strings.Join(parts, "   ")
}

func (d *demo) recordsLine() string {
	eventTime, share, rate := d.progress()
	const width = 30
	filled := int(share * width)
	day := "-"
	if !eventTime.IsZero() {
		day = eventTime.Format("2 January 2006 15:04")
	}
	return fmt.Sprintf("%s%s%s%s  %s/s, flights of %s", cyan, strings.Repeat("━", filled), plain, dim+strings.Repeat("━", width-filled)+plain, countText(int64(rate)), day)
}

// checkpointsLine shows the last checkpoints as ticks: one that outlived its
// leader stands out.
func checkpointsLine(t *timeline) string {
	ids := make([]uint64, 0, len(t.checkpoints))
	for id := range t.checkpoints {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var ticks strings.Builder
	for _, id := range ids[max(0, len(ids)-40):] {
		switch k := t.checkpoints[id]; {
		case k.completed && k.endedTerm != k.begunTerm:
			ticks.WriteString(yellow + "◆" + plain)
		case k.completed:
			ticks.WriteString(green + "•" + plain)
		case k.aborted:
			ticks.WriteString(red + "x" + plain)
		default:
			ticks.WriteString("·")
		}
	}
	last := ""
	if k := t.checkpoints[t.lastDone]; k != nil && !k.begunAt.IsZero() {
		last = fmt.Sprintf("  last %d in %d ms", t.lastDone, k.endedAt.Sub(k.begunAt).Milliseconds())
	}
	return fmt.Sprintf("%d completed, %d failed%s  %s", t.completed, t.failed, last, ticks.String())
}
