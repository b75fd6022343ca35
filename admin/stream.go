package admin

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// entryWriter shows entries as they come, however many.
type entryWriter interface {
	entry(v entryView) error
	// end is called once, after shown entries.
	end(shown int64) error
}

// streamTable is a table whose rows are not all known: its columns are as wide as
// the first rows need, and grow.
type streamTable struct {
	w       io.Writer
	names   []string
	widths  []int
	waiting [][]string
	begun   bool
}

// streamFirst is how many rows are looked at before the first is shown.
const streamFirst = 200

func newStreamTable(w io.Writer, header string) *streamTable {
	names := strings.Fields(header)
	return &streamTable{w: w, names: names, widths: make([]int, len(names))}
}

func (s *streamTable) row(cells []string) error {
	s.waiting = append(s.waiting, cells)
	if s.begun || len(s.waiting) >= streamFirst {
		return s.flush()
	}
	return nil
}

// flush writes the rows that wait; the header first.
func (s *streamTable) flush() error {
	if !s.begun {
		s.begun, s.waiting = true, append([][]string{s.names}, s.waiting...)
	}
	for _, r := range s.waiting {
		for i := range r {
			r[i] = oneLine(r[i])
			s.widths[i] = max(s.widths[i], utf8.RuneCountInString(r[i]))
		}
	}
	left := make([]bool, len(s.names))
	for _, r := range s.waiting {
		if _, err := fmt.Fprintln(s.w, tableLine(r, s.widths, left)); err != nil {
			return err
		}
	}
	s.waiting = s.waiting[:0]
	return nil
}

// entryTable shows entries for people.
type entryTable struct {
	*streamTable
	lastUse bool
}

func newEntryTable(w io.Writer, lastUse bool) *entryTable {
	header := "KEY STATE SUB-KEY VALUE"
	if lastUse {
		header += " LAST-USE"
	}
	return &entryTable{newStreamTable(w, header), lastUse}
}

func (t *entryTable) entry(v entryView) error { return t.row(v.cells(t.lastUse)) }

func (t *entryTable) end(int64) error { return t.flush() }

// entryJSON shows entries as one document.
type entryJSON struct{ *jsonStream }

func (j entryJSON) entry(v entryView) error { return j.item(v) }

func (j entryJSON) end(shown int64) error { return j.jsonStream.end(object{{"shown", shown}}) }

// jsonStream writes one JSON document with a long list in it, an item a line.
type jsonStream struct {
	w     io.Writer
	items int
}

// newJSONStream begins the document with the members of head, and then the list.
func newJSONStream(w io.Writer, head object, list string) (*jsonStream, error) {
	text, err := marshal(head.with(list, []int{}))
	if err != nil {
		return nil, err
	}
	_, err = w.Write(text[:len(text)-len("]}")])
	return &jsonStream{w: w}, err
}

func (s *jsonStream) item(v any) error {
	text, err := marshal(v)
	if err != nil {
		return err
	}
	separator := ",\n"
	if s.items == 0 {
		separator = "\n"
	}
	s.items++
	_, err = fmt.Fprintf(s.w, "%s%s", separator, text)
	return err
}

// end ends the list, and the document with the members of tail, of which there are some.
func (s *jsonStream) end(tail object) error {
	text, err := marshal(tail)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.w, "\n],%s\n", text[1:])
	return err
}
