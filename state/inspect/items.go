package inspect

import (
	"fmt"

	"github.com/cairnstream/cairn/codec"
	"github.com/cairnstream/cairn/state"
)

// PrintItems returns the items of operator state, which have no key: those of a
// list with their numbers as sub-keys, those of broadcast state with their keys.
func PrintItems(items *Items, raw bool) ([]Printed, error) {
	decoders, err := itemDecoders(items, raw)
	values := make([]any, len(items.Items))
	for i, item := range items.Items {
		if err == nil && len(decoders) == 0 {
			values[i] = rawBytes(item)
		} else if err == nil {
			values[i], err = whole(decoders[i%len(decoders)], item, "item")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", items.Kind, items.Name, err)
	}
	var out []Printed
	if items.Kind == KindBroadcast {
		for i := 0; i+1 < len(values); i += 2 {
			out = append(out, Printed{State: items.Name, Sub: values[i], Value: values[i+1]})
		}
		return out, nil
	}
	for i, v := range values {
		out = append(out, Printed{State: items.Name, Sub: int64(i), Value: v})
	}
	return out, nil
}

// itemDecoders are the decoders of the items, by turns.
func itemDecoders(items *Items, raw bool) ([]*codec.Dyn, error) {
	if items.Schema == "" || raw {
		return nil, nil
	}
	schema, err := state.ParseSchema(items.Schema)
	if err != nil {
		return nil, err
	}
	var decoders []*codec.Dyn
	for _, text := range append(schema.Subs, schema.Value) {
		d, err := codec.Dynamic(text)
		if err != nil {
			return nil, err
		}
		decoders = append(decoders, d)
	}
	return decoders, nil
}
