package codec

// lossy tells whether two values of from may become one of to: a field is gone.
func lossy(from, to *shape) bool {
	if from.kind == kStruct && to.kind == kStruct {
		kept := map[int]bool{}
		for _, f := range to.fields {
			i := source(from, f)
			if i >= 0 && lossy(from.fields[i].shape, f.shape) {
				return true
			}
			kept[i] = true
		}
		for i := range from.fields {
			if !kept[i] {
				return true
			}
		}
	}
	return from.kind == kArray && to.kind == kArray && lossy(from.elem, to.elem)
}

// skip takes a value off the front of d.
func (m *mover) skip(d *decoder, s *shape) (err error) {
	n := 1
	switch s.kind {
	case kStruct:
		for _, f := range s.fields {
			if err := m.skip(d, f.shape); err != nil {
				return err
			}
		}
		return nil
	case kPointer:
		var set bool
		if err := d.bool(&set); err != nil || !set {
			return err
		}
	case kArray:
		n = s.length
	case kSlice:
		n, _, err = d.count(s.elem.min)
	case kMap:
		n, _, err = d.count(s.key.min + s.elem.min)
	default:
		return m.cell.decode(d, s)
	}
	for i := 0; i < n && err == nil; i++ {
		if s.key != nil {
			err = m.skip(d, s.key)
		}
		if err == nil {
			err = m.skip(d, s.elem)
		}
	}
	return err
}

// appendZero appends the encoding of a type's zero value.
func appendZero(dst []byte, s *shape) []byte {
	switch s.kind {
	case kStruct:
		for _, f := range s.fields {
			dst = appendZero(dst, f.shape)
		}
		return dst
	case kArray:
		for range s.length {
			dst = appendZero(dst, s.elem)
		}
		return dst
	case kSlice, kPointer, kMap:
		return append(dst, 0)
	}
	return (&cell{}).append(dst, s)
}
