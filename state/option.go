package state

import (
	"github.com/cairnstream/cairn/codec"
)

// Option is a choice about one state.
type Option func(*options)

// options is what a state's options chose.
type options struct {
	namespace part
	lifetimes *Lifetimes // nil without a TTL
	ttl       TTL
}

// part is a part of a sub-key, or a value: its schema and size.
type part struct {
	schema, lineage string
	size            int
}

func partOf[T any](c codec.Codec[T]) part { return part{c.Schema(), c.Lineage(), c.Size()} }

// Namespaced makes a state have not one value, map or list per key, but any number,
// each in a namespace, such as a window. c encodes the namespaces, in a form in
// which none begins with another: codec.Ordered or codec.Fixed. The handle's In
// chooses one.
func Namespaced[N any](c codec.Codec[N]) Option {
	return func(o *options) { o.namespace = partOf(c) }
}

// WithTTL makes the entries of a state expire. An entry here is a value, an entry
// of a map or an element of a list: each has its own time.
func WithTTL(l *Lifetimes, ttl TTL) Option {
	return func(o *options) {
		if ttl.After > 0 {
			o.lifetimes, o.ttl = l, ttl
		}
	}
}

func collect(opts []Option) (o options) {
	for _, set := range opts {
		set(&o)
	}
	return o
}

// define makes the definition of a state whose sub-keys are the namespace and
// then sub, if it has one.
func (o *options) define(name, kind string, sub, value part) Definition {
	d := Definition{Name: name, Kind: kind, TTL: o.ttl.After, ValueSize: value.size}
	schema := Schema{Value: value.schema, TTL: o.lifetimes != nil}
	lineage := Schema{Value: value.lineage, TTL: schema.TTL}
	if schema.TTL {
		d.Stamp = o.lifetimes.now()
		if value.size != Variable {
			d.ValueSize += stampSize
		}
	}
	for _, p := range []part{o.namespace, sub} {
		if p.schema == "" {
			continue
		}
		schema.Subs, lineage.Subs = append(schema.Subs, p.schema), append(lineage.Subs, p.lineage)
		if p.size == Variable || d.SubSize == Variable {
			d.SubSize = Variable
		} else {
			d.SubSize += p.size
		}
	}
	d.Schema, d.Lineage = schema.String(), lineage.String()
	return d
}
