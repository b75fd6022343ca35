package codec

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// ErrText is returned by Dyn.Encode for text that is no value of the schema. The
// message says what is expected.
var ErrText = errors.New("text is no such value")

// Encode appends the encoding of the value that text is: a string or byte slice as
// it is (0x begins hex digits of bytes), a time by RFC 3339, anything else as JSON:
// numbers, true, {"Field":1} with all fields, lists, and maps as objects or as
// lists of {"key":...,"value":...}.
func (y *Dyn) Encode(dst []byte, text string) ([]byte, error) {
	out, err := y.encode(dst, text)
	if err != nil {
		return dst, fmt.Errorf("%q: %w: %w; want %v, such as %s", text, ErrText, err, y.schema.root, y.Example())
	}
	return out, nil
}

func (y *Dyn) encode(dst []byte, text string) ([]byte, error) {
	root := y.schema.root
	switch root.kind {
	case kString, kBytes, kTime:
		return encodeBasic(dst, root, text)
	}
	in := json.NewDecoder(strings.NewReader(text))
	in.UseNumber()
	var v any
	if err := in.Decode(&v); err != nil {
		return nil, errors.New("it is not JSON")
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more behind it")
	}
	return encodeAny(dst, root, v, "")
}

// encodeAny appends v, from JSON, as a value of s. at is the way to it.
func encodeAny(dst []byte, s *shape, v any, at string) ([]byte, error) {
	switch s.kind {
	case kStruct:
		return encodeStruct(dst, s, v, at)
	case kArray, kSlice:
		return encodeList(dst, s, v, at)
	case kMap:
		return encodeMap(dst, s, v, at)
	case kPointer:
		if v == nil {
			return append(dst, 0), nil
		}
		return encodeAny(append(dst, 1), s.elem, v, at)
	}
	if v == nil && s.kind == kBytes {
		return appendZero(dst, s), nil
	}
	text, isText := v.(string)
	switch v := v.(type) {
	case bool:
		text = strconv.FormatBool(v)
	case json.Number:
		text = v.String()
	}
	wantsText := s.kind == kString || s.kind == kBytes || s.kind == kTime || isFloat(s.kind) && isText
	if wantsText != isText {
		return nil, mismatch(s, v, at)
	}
	out, err := encodeBasic(dst, s, text)
	if err != nil {
		return nil, fmt.Errorf("%s%w", label(at), err)
	}
	return out, nil
}

func label(at string) string {
	if at == "" {
		return ""
	}
	return strings.TrimPrefix(at, ".") + ": "
}

func mismatch(s *shape, v any, at string) error {
	text, _ := json.Marshal(v)
	return fmt.Errorf("%s%s is no %v", label(at), text, s)
}

func encodeBasic(dst []byte, s *shape, text string) ([]byte, error) {
	c, ok := cell{}, true
	var err error
	switch k := s.kind; {
	case k == kBool:
		ok = text == "true" || text == "false"
		if text == "true" {
			c.set(kBool, 1)
		}
	case isSigned(k):
		var n int64
		n, err = strconv.ParseInt(text, 10, k.bits())
		c.set(k, uint64(n))
	case isUnsigned(k):
		var n uint64
		n, err = strconv.ParseUint(text, 10, k.bits())
		c.set(k, n)
	case isFloat(k):
		var f float64
		f, err = strconv.ParseFloat(text, k.bits())
		c.setFloat(k, f)
		ok = !math.IsInf(f, 0) || err == nil
	case k == kString:
		c.text = text
	case k == kTime:
		c.at, err = time.Parse(time.RFC3339Nano, text)
	default:
		c.bytes, err = parseBytes(text)
	}
	if err != nil || !ok {
		return nil, fmt.Errorf("%s is no %v", text, s)
	}
	return c.append(dst, s), nil
}

func parseBytes(text string) ([]byte, error) {
	if digits, ok := strings.CutPrefix(text, "0x"); ok {
		return hex.DecodeString(digits)
	}
	return []byte(text), nil
}

func encodeStruct(dst []byte, s *shape, v any, at string) ([]byte, error) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, mismatch(s, v, at)
	}
	for _, f := range s.fields {
		value, there := object[f.name]
		if !there {
			return nil, fmt.Errorf("%sthere is no field %s", label(at), f.name)
		}
		var err error
		if dst, err = encodeAny(dst, f.shape, value, at+"."+f.name); err != nil {
			return nil, err
		}
	}
	if len(object) > len(s.fields) {
		return nil, fmt.Errorf("%sthere are fields that the type has not", label(at))
	}
	return dst, nil
}

func encodeList(dst []byte, s *shape, v any, at string) (_ []byte, err error) {
	if v == nil && s.kind == kSlice {
		return append(dst, 0), nil
	}
	list, ok := v.([]any)
	if !ok || s.kind == kArray && len(list) != s.length {
		return nil, mismatch(s, v, at)
	}
	if s.kind == kSlice {
		dst = appendCount(dst, len(list), false)
	}
	for i, elem := range list {
		if dst, err = encodeAny(dst, s.elem, elem, fmt.Sprintf("%s[%d]", at, i)); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func encodeMap(dst []byte, s *shape, v any, at string) ([]byte, error) {
	var w mapWriter
	add := func(key, value any) (err error) {
		w.begin()
		if w.buf, err = encodeAny(w.buf, s.key, key, at+"[key]"); err != nil {
			return err
		}
		w.endKey()
		w.buf, err = encodeAny(w.buf, s.elem, value, at+"[]")
		w.end()
		return err
	}
	switch v := v.(type) {
	case nil:
		return append(dst, 0), nil
	case map[string]any:
		for key, value := range v {
			if err := add(key, value); err != nil {
				return nil, err
			}
		}
	case []any:
		for _, e := range v {
			entry, ok := e.(map[string]any)
			if !ok || len(entry) != 2 {
				return nil, mismatch(s, e, at)
			}
			if err := add(entry["key"], entry["value"]); err != nil {
				return nil, err
			}
		}
	default:
		return nil, mismatch(s, v, at)
	}
	if w.duplicate() {
		return nil, fmt.Errorf("%sa key is there twice", label(at))
	}
	return w.append(dst, false), nil
}
