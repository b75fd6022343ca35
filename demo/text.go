package demo

import (
	"fmt"
	"strings"
)

func msText(ms *int64) string {
	if ms == nil {
		return "(not measured)"
	}
	return fmt.Sprintf("%d ms", *ms)
}

func floatText(ms *float64) string {
	if ms == nil {
		return "(not measured)"
	}
	return fmt.Sprintf("%.1f ms", *ms)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// countText groups digits by thousands.
func countText(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
