package codec

import (
	"fmt"
	"slices"
	"strings"
)

// Transcoder returns a function that appends to dst what src, one whole encoding
// by schema from, becomes by schema to. The two may differ by form and in these ways:
//
//   - fields of structs are added, and begin with their zero value; are removed;
//     come in another order; are renamed, if to has their former name
//     (see Codec.Lineage);
//   - integers and floats grow wider, so that every value fits.
//
// Keys of maps lose and get no fields. Anything else is ErrIncompatible, with the path to the field: "field Price: int64 can't become string".
// Bytes that do not decode are ErrCorrupt. One goroutine at a time uses the function.
func Transcoder(from, to string) (func(dst, src []byte) ([]byte, error), error) {
	f, t, err := parseBoth(from, to)
	if err != nil {
		return nil, err
	}
	m := mover{}
	move, err := m.move(f.root, t.root, "")
	if err != nil {
		return nil, err
	}
	d := &decoder{alias: true}
	return func(dst, src []byte) ([]byte, error) {
		*d = decoder{src: src, alias: true}
		dst, err := move(d, dst)
		if err != nil || d.pos != len(src) {
			return dst, fmt.Errorf("convert %s: %w", from, ErrCorrupt)
		}
		return dst, nil
	}, nil
}

// Identical tells whether the encodings by one schema are those by the other: they
// differ at most in the names of fields. It is for keys, which can not lose a field or
// get one, so that a field of another name is a renamed one.
func Identical(from, to string) bool {
	f, t, err := parseBoth(from, to)
	return err == nil && f.form == t.form && identical(f.root, t.root)
}

func parseBoth(from, to string) (f, t *Schema, err error) {
	if f, err = ParseSchema(from); err != nil {
		return nil, nil, err
	}
	t, err = ParseSchema(to)
	return f, t, err
}

func identical(from, to *shape) bool {
	if from == nil || to == nil {
		return from == to
	}
	if from.kind != to.kind || from.length != to.length || len(from.fields) != len(to.fields) {
		return false
	}
	for i, f := range to.fields {
		if !identical(from.fields[i].shape, f.shape) {
			return false
		}
	}
	return identical(from.key, to.key) && identical(from.elem, to.elem)
}

// source is the number of the field of from that becomes f, or -1: the one with
// its name, else with the newest of its former names.
func source(from *shape, f field) int {
	for _, name := range append([]string{f.name}, f.former...) {
		if i := slices.IndexFunc(from.fields, func(g field) bool { return g.name == name }); i >= 0 {
			return i
		}
	}
	return -1
}

// move takes a value off the front of d and appends what becomes of it.
type move func(d *decoder, dst []byte) ([]byte, error)

// mover makes moves; it shares the memory that they need meanwhile.
type mover struct{ cell cell }

// move makes the move of one type to another. path is the way to it.
func (m *mover) move(from, to *shape, path string) (move, error) {
	switch {
	case from.leaf != nil && to.leaf != nil && widens(from.kind, to.kind):
		return m.basic(from, to), nil
	case from.kind != to.kind || from.leaf != nil || from.length != to.length:
		return nil, refuse(path, from, to)
	case from.kind == kStruct:
		return m.structure(from, to, path)
	case from.kind == kMap:
		return m.mapping(from, to, path)
	case from.kind == kPointer:
		return m.pointer(from, to, path)
	}
	elem, err := m.move(from.elem, to.elem, path+"[]")
	if err != nil {
		return nil, err
	}
	return moveElems(from, elem), nil
}

func refuse(path string, from, to *shape) error {
	if path == "" {
		return fmt.Errorf("%w: %v can't become %v", ErrIncompatible, from, to)
	}
	return fmt.Errorf("%w: field %s: %v can't become %v", ErrIncompatible, strings.TrimPrefix(path, "."), from, to)
}

func (m *mover) basic(from, to *shape) move {
	return func(d *decoder, dst []byte) ([]byte, error) {
		if err := m.cell.decode(d, from); err != nil {
			return dst, err
		}
		m.cell.widen(from.kind, to.kind)
		return m.cell.append(dst, to), nil
	}
}

// fieldMove is how a field comes about: by a move of field number from, or as
// zero if that is -1.
type fieldMove struct {
	from int
	move move
	zero []byte
}

func (m *mover) structure(from, to *shape, path string) (move, error) {
	var moves []fieldMove
	for _, f := range to.fields {
		i := source(from, f)
		if i < 0 {
			moves = append(moves, fieldMove{from: -1, zero: appendZero(nil, f.shape)})
			continue
		}
		mv, err := m.move(from.fields[i].shape, f.shape, path+"."+f.name)
		if err != nil {
			return nil, err
		}
		moves = append(moves, fieldMove{from: i, move: mv})
	}
	var starts []int // of the old fields
	return func(d *decoder, dst []byte) (_ []byte, err error) {
		starts = starts[:0]
		for _, f := range from.fields {
			starts = append(starts, d.pos)
			if err := m.skip(d, f.shape); err != nil {
				return dst, err
			}
		}
		end := d.pos
		for _, f := range moves {
			if f.from < 0 {
				dst = append(dst, f.zero...)
				continue
			}
			d.pos = starts[f.from]
			if dst, err = f.move(d, dst); err != nil {
				return dst, err
			}
		}
		d.pos = end
		return dst, nil
	}, nil
}

func (m *mover) pointer(from, to *shape, path string) (move, error) {
	elem, err := m.move(from.elem, to.elem, path)
	if err != nil {
		return nil, err
	}
	return func(d *decoder, dst []byte) ([]byte, error) {
		var set bool
		if err := d.bool(&set); err != nil || !set {
			return append(dst, 0), err
		}
		return elem(d, append(dst, 1))
	}, nil
}

// moveElems moves an array's or slice's elements.
func moveElems(from *shape, elem move) move {
	return func(d *decoder, dst []byte) (_ []byte, err error) {
		n := from.length
		if from.kind == kSlice {
			var isNil bool
			if n, isNil, err = d.count(from.elem.min); err != nil {
				return dst, err
			}
			dst = appendCount(dst, n, isNil)
		}
		for range n {
			if dst, err = elem(d, dst); err != nil {
				return dst, err
			}
		}
		return dst, nil
	}
}

// mapping moves a map. Keys keep apart what they told apart; wider ones may sort
// otherwise.
func (m *mover) mapping(from, to *shape, path string) (move, error) {
	key, err := m.mapKey(from.key, to.key, path+"[key]")
	if err != nil {
		return nil, err
	}
	value, err := m.move(from.elem, to.elem, path+"[]")
	if err != nil {
		return nil, err
	}
	return func(d *decoder, dst []byte) ([]byte, error) {
		n, isNil, err := d.count(from.key.min + from.elem.min)
		if err != nil {
			return dst, err
		}
		var w mapWriter
		for range n {
			w.begin()
			if w.buf, err = key(d, w.buf); err != nil {
				return dst, err
			}
			w.endKey()
			if w.buf, err = value(d, w.buf); err != nil {
				return dst, err
			}
			w.end()
		}
		return w.append(dst, isNil), nil
	}, nil
}

// mapKey moves a map's key. One that is laid out as before only has other names,
// with or without a tag: see Identical.
func (m *mover) mapKey(from, to *shape, path string) (move, error) {
	if !identical(from, to) {
		if lossy(from, to) {
			return nil, refuse(path, from, to)
		}
		return m.move(from, to, path)
	}
	return func(d *decoder, dst []byte) ([]byte, error) {
		start := d.pos
		err := m.skip(d, from)
		return append(dst, d.src[start:d.pos]...), err
	}, nil
}
