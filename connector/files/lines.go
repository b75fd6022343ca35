package files

import "encoding/json"

// Lines is a source of the lines of text files, without their line breaks.
// A line longer than 1 MiB is a bad record.
func Lines(location string) *Source[string] {
	return &Source[string]{Location: location, format: openLines}
}

func openLines(s *Source[string], f *file, d splitData, from place) (cursor[string], error) {
	r := newRecords(f, from)
	r.blanks = true
	return newTextCursor(s, r, d, func(line []byte, row *string) error {
		*row = string(line)
		return nil
	}), nil
}

// JSONLines is a source of files that hold one JSON value a line, decoded as
// encoding/json does.
func JSONLines[T any](location string) *Source[T] {
	return &Source[T]{Location: location, format: openJSON[T]}
}

func openJSON[T any](s *Source[T], f *file, d splitData, from place) (cursor[T], error) {
	return newTextCursor(s, newRecords(f, from), d, func(line []byte, row *T) error {
		return json.Unmarshal(line, row)
	}), nil
}
