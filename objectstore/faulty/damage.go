package faulty

import (
	"bytes"
	"errors"
	"io"
)

// damage returns what a struck read brings. Data is the caller's own.
func (a *Active) damage(data []byte) []byte {
	if a == nil || len(data) == 0 {
		return data
	}
	switch a.rule.Fault {
	case Flip:
		data[len(data)/2] ^= 0x10
	case Truncate:
		data = data[:len(data)-1]
	}
	return data
}

// damageStream reads the stream whole: a test's objects fit in memory.
func (a *Active) damageStream(r io.ReadCloser) (io.ReadCloser, error) {
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(a.damage(data))), nil
}
