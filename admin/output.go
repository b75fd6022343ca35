package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// printJSON writes v as one indented JSON document.
func (t *tree) printJSON(v any) error {
	enc := json.NewEncoder(t.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table prints rows under a header, whose words are the columns: those that
// begin with > are numbers, aligned at the right.
func table(w io.Writer, header string, rows [][]string) error {
	names := strings.Fields(header)
	right := make([]bool, len(names))
	for i, n := range names {
		names[i], right[i] = strings.CutPrefix(n, ">")
	}
	rows = append([][]string{names}, rows...)
	widths := make([]int, len(names))
	for _, r := range rows {
		for i := range r {
			r[i] = oneLine(r[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(r[i]))
		}
	}
	for _, r := range rows {
		if _, err := fmt.Fprintln(w, tableLine(r, widths, right)); err != nil {
			return err
		}
	}
	return nil
}

func tableLine(cells []string, widths []int, right []bool) string {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteString("  ")
		}
		width := widths[i]
		if !right[i] {
			width = -width
		}
		fmt.Fprintf(&b, "%*s", width, c) // pads by characters, not bytes
	}
	return strings.TrimRight(b.String(), " ")
}

// oneLine is the first line of a text that may have more.
func oneLine(s string) string {
	first, _, more := strings.Cut(s, "\n")
	if more {
		return first + " …"
	}
	return first
}

func bytesText(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1024 && unit < 4 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTP"[unit])
}

// agoText tells how long ago a Unix time in milliseconds was, in its two
// largest units.
func agoText(unixMs int64) string {
	if unixMs == 0 {
		return "-"
	}
	d := max(0, time.Since(time.UnixMilli(unixMs)))
	day := 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%dd%dh ago", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm ago", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds ago", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds ago", d/time.Second)
}

// timeText is a moment in this machine's time zone.
func timeText(unixMs int64) string {
	if unixMs == 0 {
		return "-"
	}
	return time.UnixMilli(unixMs).Format("2006-01-02 15:04:05.000")
}

// msText is a time in milliseconds, or in seconds if it is long.
func msText(ms float64) string {
	if ms >= 10_000 {
		return fmt.Sprintf("%.1f s", ms/1000)
	}
	return fmt.Sprintf("%.1f ms", ms)
}

// rateText is a number per second.
func rateText(perSecond float64) string {
	if perSecond > 0 && perSecond < 10 {
		return fmt.Sprintf("%.1f/s", perSecond)
	}
	return countText(int64(perSecond+0.5)) + "/s"
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return countText(n) + " " + noun + "s"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// countText groups digits by thousands: 508,239.
func countText(n int64) string {
	s := fmt.Sprint(n)
	digits := strings.TrimPrefix(s, "-")
	sign := s[:len(s)-len(digits)]
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
