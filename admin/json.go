package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// object is a JSON object with its members in order, for documents that
// scripts read: every field of an answer is there, also when it is zero; a list
// is never null; numbers are numbers, 64-bit ones too (protojson would make
// them strings).
type object []member

type member struct {
	key   string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	members := make([][]byte, len(o))
	for i, m := range o {
		key, err := marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := marshal(m.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.key, err)
		}
		members[i] = slices.Concat(key, []byte(":"), value)
	}
	return slices.Concat([]byte("{"), bytes.Join(members, []byte(",")), []byte("}")), nil
}

// marshal is json.Marshal that leaves "->" alone.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// with replaces a member, or adds it at the end.
func (o object) with(key string, value any) object {
	for i := range o {
		if o[i].key == key {
			o[i].value = value
			return o
		}
	}
	return append(o, member{key, value})
}

// view is a message as JSON: its fields in the order of the protocol, under
// the protocol's names. A message that is not set is null, bytes are text.
func view(m proto.Message) object {
	return messageView(m.ProtoReflect())
}

func messageView(m protoreflect.Message) object {
	fields := m.Descriptor().Fields()
	o := make(object, 0, fields.Len())
	for i := range fields.Len() {
		f := fields.Get(i)
		o = append(o, member{string(f.Name()), fieldView(f, m.Get(f))})
	}
	return o
}

func fieldView(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	if !f.IsList() {
		return valueView(f, v)
	}
	list := make([]any, v.List().Len())
	for i := range list {
		list[i] = valueView(f, v.List().Get(i))
	}
	return list
}

func valueView(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch f.Kind() {
	case protoreflect.MessageKind:
		if !v.Message().IsValid() {
			return nil
		}
		return messageView(v.Message())
	case protoreflect.BytesKind:
		return string(v.Bytes())
	}
	return v.Interface()
}

// rawJSON is b as JSON inside a larger document, or null.
func rawJSON(b []byte) json.RawMessage {
	if !json.Valid(b) {
		return json.RawMessage("null")
	}
	return b
}
