package inspect

import (
	"errors"
	"fmt"
	"time"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/snapshot"
	"github.com/cairnstream/cairn/state"
)

// ErrSubKeys is returned for more sub-keys than the entries of a state have.
var ErrSubKeys = errors.New("too many sub-keys")

// Printer turns an operator's entries into values for people, and text into keys.
// What has no schema is shown as bytes.
type Printer struct {
	// Raw makes all bytes come as they are: for what does not decode.
	Raw bool

	key    *codec.Dyn // nil: bytes
	states map[string]*layout
}

// Printed is an entry for people. Values are those of codec.Dyn.
type Printed struct {
	Key   any
	State string
	// Sub is what finds the entry within its state: nil for a value without
	// a namespace; a codec.List if there is a namespace and a map's key.
	Sub any
	// Value is nil for a timer.
	Value any
	// LastUse is when an entry of a state with a TTL was used last.
	LastUse time.Time
}

// layout is what the bytes of a state's entries mean.
type layout struct {
	subs   []*codec.Dyn
	value  *codec.Dyn // nil: bytes
	ttl    bool
	timers bool
}

// NewPrinter returns the printer of an operator. A schema that does not parse, of a
// later version of cairn perhaps, is an error that names it.
func NewPrinter(o *Operator) (*Printer, error) {
	p := &Printer{states: map[string]*layout{}}
	if o.KeySchema == "" {
		return p, nil
	}
	var err error
	if p.key, err = codec.Dynamic(o.KeySchema); err != nil {
		return nil, fmt.Errorf("operator %s: key: %w", o.UID, err)
	}
	return p, nil
}

// Print returns what an entry says. Bytes that do not decode are state.ErrCorrupt.
func (p *Printer) Print(e Entry) (Printed, error) {
	out := Printed{State: e.State.Name}
	l, err := p.layout(e.State)
	if err == nil {
		out.Key, err = p.Key(e.Key)
	}
	if err == nil {
		err = l.print(&out, e.Sub, e.Value)
	}
	if err != nil {
		return Printed{}, fmt.Errorf("state %q, key 0x%x: %w", e.State.Name, e.Key, err)
	}
	return out, nil
}

// Key returns an encoded key.
func (p *Printer) Key(key []byte) (any, error) {
	if p.key == nil || p.Raw {
		return rawBytes(key), nil
	}
	return whole(p.key, key, "key")
}

// EncodeKey returns the encoding of a key that a person wrote: see codec.Dyn.Encode.
// A raw key is hex digits after 0x, or text. What is no such key is codec.ErrText, and
// the message says what is.
func (p *Printer) EncodeKey(text string) ([]byte, error) {
	if p.key == nil || p.Raw {
		return encodeRaw(text)
	}
	return p.key.Encode(nil, text)
}

// EncodeSub returns the encoding of the front of a sub-key of a state: of the
// namespace, of the map's key, or of both.
func (p *Printer) EncodeSub(s *snapshot.State, texts []string) ([]byte, error) {
	l, err := p.layout(s)
	if err != nil {
		return nil, err
	}
	if len(texts) > len(l.subs) {
		return nil, fmt.Errorf("state %q: %w: %d given, and an entry of this %s state has %d", s.Name, ErrSubKeys, len(texts), s.Kind, len(l.subs))
	}
	var sub []byte
	for i, text := range texts {
		if sub, err = l.subs[i].Encode(sub, text); err != nil {
			return nil, fmt.Errorf("state %q: sub-key %w", s.Name, err)
		}
	}
	return sub, nil
}

func (p *Printer) layout(s *snapshot.State) (*layout, error) {
	if p.Raw {
		return &layout{}, nil
	}
	id := s.Name + "\n" + s.Kind + "\n" + s.Schema
	if l, ok := p.states[id]; ok {
		return l, nil
	}
	l, err := newLayout(s)
	if err != nil {
		return nil, err
	}
	p.states[id] = l
	return l, nil
}

func newLayout(s *snapshot.State) (*layout, error) {
	switch {
	case s.Kind == "timers":
		return &layout{timers: true}, nil
	case s.Schema == "":
		return &layout{}, nil
	}
	schema, err := state.ParseSchema(s.Schema)
	if err != nil {
		return nil, err
	}
	l := &layout{ttl: schema.TTL}
	for _, text := range schema.Subs {
		sub, err := codec.Dynamic(text)
		if err != nil {
			return nil, err
		}
		l.subs = append(l.subs, sub)
	}
	l.value, err = codec.Dynamic(schema.Value)
	return l, err
}

// print decodes the sub-key and the value.
func (l *layout) print(out *Printed, sub, value []byte) (err error) {
	if l.timers {
		return printTimer(out, sub)
	}
	if out.Sub, err = l.sub(sub); err != nil {
		return err
	}
	if l.ttl {
		at, rest, ok := state.Stamp(value)
		if !ok {
			return fmt.Errorf("%w: value 0x%x has no time in front", state.ErrCorrupt, value)
		}
		out.LastUse, value = time.UnixMilli(at).UTC(), rest
	}
	if l.value == nil {
		out.Value = rawBytes(value)
		return nil
	}
	out.Value, err = whole(l.value, value, "value")
	return err
}

// printTimer shows the time of a timer as its sub-key, with its tag if it has one.
func printTimer(out *Printed, sub []byte) error {
	at, tag, ok := state.SplitTimer(sub)
	if !ok {
		return fmt.Errorf("%w: 0x%x is no timer", state.ErrCorrupt, sub)
	}
	out.Sub = time.UnixMilli(at).UTC()
	if len(tag) > 0 {
		out.Sub = codec.List{out.Sub, rawBytes(tag)}
	}
	return nil
}

// sub decodes a sub-key: its parts lie one behind the other.
func (l *layout) sub(sub []byte) (any, error) {
	var parts codec.List
	rest := sub
	for _, d := range l.subs {
		v, n, err := d.Decode(rest)
		if err != nil {
			return nil, fmt.Errorf("%w: sub-key 0x%x: %w", state.ErrCorrupt, sub, err)
		}
		parts, rest = append(parts, v), rest[n:]
	}
	if len(rest) > 0 && len(l.subs) > 0 {
		return nil, fmt.Errorf("%w: sub-key 0x%x: %d bytes too many", state.ErrCorrupt, sub, len(rest))
	}
	if len(rest) > 0 {
		parts = append(parts, rawBytes(rest))
	}
	switch len(parts) {
	case 0:
		return nil, nil
	case 1:
		return parts[0], nil
	}
	return parts, nil
}

// whole decodes all of b.
func whole(d *codec.Dyn, b []byte, what string) (any, error) {
	v, n, err := d.Decode(b)
	if err == nil && n != len(b) {
		err = fmt.Errorf("%d bytes too many", len(b)-n)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s 0x%x: %w", state.ErrCorrupt, what, b, err)
	}
	return v, nil
}

func rawBytes(b []byte) codec.Bytes { return append(codec.Bytes{}, b...) }
