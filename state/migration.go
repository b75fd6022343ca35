package state

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cairnstream/cairn/codec"
)

// Migration returns what turns a value of a state as it was stored into one as it
// is registered now, appended to dst. Values evolve as codec.Transcoder says, and a TTL may
// come or go. Kind and sub-keys stay: they decide what an entry is.
// The error is ErrIncompatible and names the state and the field, what is stored and what
// was asked for.
//
// All of the state's entries count as changed afterwards, also if only names are
// others: a later restore must find them under the names of today, since it may come
// with a program that no longer knows the former ones.
func Migration(old, new Definition) (func(dst, value []byte) ([]byte, error), error) {
	convert, err := migration(old, new)
	if err != nil {
		return nil, fmt.Errorf("state %q: %w (stored as %s of %s, asked for as %s of %s)", new.Name, err, old.Kind, old.Schema, new.Kind, new.Schema)
	}
	return convert, nil
}

// Fits tells why what is stored as old can't become what is registered as new: the error of a
// store's Register, without one.
func Fits(old, new Definition) error {
	if old.Kind == new.Kind && old.Schema == new.Schema {
		return nil
	}
	_, err := Migration(old, new)
	return err
}

func migration(old, new Definition) (func(dst, value []byte) ([]byte, error), error) {
	if old.Kind != new.Kind {
		return nil, fmt.Errorf("%w: a %s state can't become a %s state", ErrIncompatible, old.Kind, new.Kind)
	}
	from, to, err := parseSchemas(old, new)
	if err != nil {
		return nil, fmt.Errorf("%w: %q can't become %q: %w", ErrIncompatible, old.Schema, new.Schema, err)
	}
	if !slices.EqualFunc(from.Subs, to.Subs, codec.Identical) {
		return nil, fmt.Errorf("%w: its keys %v can't become %v: give the state another name", ErrIncompatible, from.Subs, to.Subs)
	}
	value, err := codec.Transcoder(from.Value, to.Value)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIncompatible, err)
	}
	return restamp(value, from.TTL, to.TTL, new.Stamp), nil
}

func parseSchemas(old, new Definition) (from, to Schema, err error) {
	if from, err = ParseSchema(old.Schema); err != nil {
		return from, to, err
	}
	if new.Lineage == "" {
		new.Lineage = new.Schema
	}
	to, err = ParseSchema(new.Lineage)
	return from, to, err
}

// restamp wraps the conversion of a value with that of the time in front of it. A
// value that had none was used at stamp.
func restamp(value func(dst, src []byte) ([]byte, error), had, has bool, stamp int64) func(dst, src []byte) ([]byte, error) {
	return func(dst, src []byte) ([]byte, error) {
		at := stamp
		if had {
			var ok bool
			if at, src, ok = Stamp(src); !ok {
				return dst, fmt.Errorf("%w: a value without its time", ErrCorrupt)
			}
		}
		if has {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(at))
		}
		dst, err := value(dst, src)
		if err != nil {
			return dst, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return dst, nil
	}
}
