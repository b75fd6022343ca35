package state

import (
	"bytes"
	"cmp"
)

// scan calls f for the values of the current key whose sub-keys begin with
// prefix, in ascending order, until it returns false or an error. rest is the
// sub-key behind the prefix. What has expired is passed over.
func (s *slot[T]) scan(prefix []byte, f func(rest []byte, v T) (bool, error)) error {
	var err error
	var read subKeys
	scanErr := s.store.Scan(s.handle, func(sub, value []byte) bool {
		rest, ok := bytes.CutPrefix(sub, prefix)
		if !ok {
			return bytes.Compare(sub, prefix) < 0 // others may follow, or none
		}
		alive, aliveErr := s.alive(value)
		if err = aliveErr; err != nil || !alive {
			return err == nil
		}
		if err = s.decode(value[s.front:]); err != nil {
			return false
		}
		if s.ttl.OnRead {
			read.add(sub, len(value))
		}
		more, ferr := f(rest, s.value)
		err = ferr
		return more && err == nil
	})
	for i := range read.ends {
		sub, size := read.at(i)
		scanErr = cmp.Or(scanErr, s.used(sub, size))
	}
	return cmp.Or(err, scanErr)
}

// count counts the values that scan would visit.
func (s *slot[T]) count(prefix []byte) int {
	n := 0
	_ = s.store.Scan(s.handle, func(sub, value []byte) bool { // EndBatch tells of an error
		if !bytes.HasPrefix(sub, prefix) {
			return bytes.Compare(sub, prefix) < 0
		}
		if alive, err := s.alive(value); alive && err == nil {
			n++
		}
		return true
	})
	return n
}

// clear removes all values whose sub-keys begin with prefix, expired ones too.
func (s *slot[T]) clear(prefix []byte) {
	var all subKeys
	_ = s.store.Scan(s.handle, func(sub, value []byte) bool { // EndBatch tells of an error
		if !bytes.HasPrefix(sub, prefix) {
			return bytes.Compare(sub, prefix) < 0
		}
		all.add(sub, len(value))
		return true
	})
	for i := range all.ends {
		sub, _ := all.at(i)
		s.remove(sub)
	}
}

// subKeys are sub-keys with the sizes of their values, kept while a scan goes on,
// during which the store can't be used.
type subKeys struct {
	bytes []byte
	ends  []int
	sizes []int
}

func (k *subKeys) add(sub []byte, size int) {
	k.bytes = append(k.bytes, sub...)
	k.ends, k.sizes = append(k.ends, len(k.bytes)), append(k.sizes, size)
}

func (k *subKeys) at(i int) (sub []byte, size int) {
	from := 0
	if i > 0 {
		from = k.ends[i-1]
	}
	return k.bytes[from:k.ends[i]], k.sizes[i]
}
