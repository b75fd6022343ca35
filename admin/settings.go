package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cairnstream/cairn/dataflow"
)

// setting is one of a job's options by its name in JSON, with a dot for each level:
// checkpoint.max_age.
type setting struct {
	name  string
	value reflect.Value // that of an Options, addressable
}

// settingsOf are all of the options, in their order.
func settingsOf(o *dataflow.Options) []setting {
	return settingsBelow("", reflect.ValueOf(o).Elem())
}

func settingsBelow(prefix string, v reflect.Value) (all []setting) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if f := v.Field(i); f.Kind() == reflect.Struct {
			all = append(all, settingsBelow(prefix+name+".", f)...)
		} else {
			all = append(all, setting{prefix + name, f})
		}
	}
	return all
}

// settingOf is the option of that name.
func settingOf(o *dataflow.Options, name string) (setting, error) {
	all := settingsOf(o)
	i := slices.IndexFunc(all, func(s setting) bool { return s.name == name })
	if i >= 0 {
		return all[i], nil
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	for _, s := range all {
		if strings.HasSuffix("."+s.name, "."+last) {
			return setting{}, usagef("there is no option %q: did you mean %s?", name, s.name)
		}
	}
	return setting{}, usagef("there is no option %q: cairn job set JOB names them all", name)
}

// live tells whether a running job takes another value.
func (s setting) live() bool {
	var o dataflow.Options
	other, err := settingOf(&o, s.name)
	if err != nil {
		return false
	}
	switch other.value.Kind() {
	case reflect.String:
		other.value.SetString("x")
	case reflect.Float64:
		other.value.SetFloat(1)
	default:
		other.value.SetInt(1)
	}
	return len(dataflow.Options{}.NeedsRestart(o)) == 0
}

// text is the value as parse reads it.
func (s setting) text() string { return fmt.Sprint(s.value.Interface()) }

// parse sets the value: a duration such as 500ms, a size such as 64MiB, a number or a
// word. 0 is what is set when nothing is: the default.
func (s setting) parse(text string) error {
	bad := func(use string) error { return usagef("%s=%s: use %s", s.name, text, use) }
	switch to := s.value.Addr().Interface().(type) {
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return bad("a duration such as 500ms, 10s or 1h")
		}
		*to = d
	case *int64: // all of these are numbers of bytes or records
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			if n, err = parseSize(text); err != nil || !strings.HasSuffix(s.name, "bytes") {
				return bad("a whole number, or a size such as 64MiB where bytes are meant")
			}
		}
		*to = n
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return bad("a whole number")
		}
		*to = n
	case *float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return bad("a number such as 0.1")
		}
		*to = n
	case *string:
		*to = text
	default:
		return fmt.Errorf("option %s is a %s, which no text can be", s.name, s.value.Type())
	}
	return nil
}

// assign sets an option from NAME=VALUE and returns it.
func assign(o *dataflow.Options, text string) (setting, error) {
	name, value, found := strings.Cut(text, "=")
	if !found {
		return setting{}, usagef("%q: give an option and its value, such as checkpoint.max_age=10m", text)
	}
	s, err := settingOf(o, name)
	if err != nil {
		return s, err
	}
	return s, s.parse(value)
}

// assignments are what a JSON document of options says, as NAME=VALUE in the order of
// the options' names. Its levels may be objects or dots.
func assignments(document []byte) ([]string, error) {
	var root map[string]any
	in := json.NewDecoder(bytes.NewReader(document))
	in.UseNumber()
	if err := in.Decode(&root); err != nil {
		return nil, fmt.Errorf("not a JSON object of options: %w", err)
	}
	var all []string
	var walk func(prefix string, o map[string]any) error
	walk = func(prefix string, o map[string]any) error {
		for name, v := range o {
			switch v := v.(type) {
			case map[string]any:
				if err := walk(prefix+name+".", v); err != nil {
					return err
				}
			case string, json.Number:
				all = append(all, fmt.Sprintf("%s%s=%v", prefix, name, v))
			default:
				return fmt.Errorf("%s%s: use a text or a number", prefix, name)
			}
		}
		return nil
	}
	err := walk("", root)
	slices.Sort(all)
	return all, err
}

// nested is a JSON object of settings, with an object for each level: durations are
// texts, so that it can be read again.
func nested(settings []setting) object {
	var o object
	for i := 0; i < len(settings); i++ {
		head, _, below := strings.Cut(settings[i].name, ".")
		if !below {
			o = append(o, member{head, settings[i].shown()})
			continue
		}
		var group []setting
		for ; i < len(settings) && strings.HasPrefix(settings[i].name, head+"."); i++ {
			group = append(group, setting{strings.TrimPrefix(settings[i].name, head+"."), settings[i].value})
		}
		i--
		o = append(o, member{head, nested(group)})
	}
	return o
}

// shown is the value for JSON.
func (s setting) shown() any {
	if d, ok := s.value.Interface().(time.Duration); ok {
		return d.String()
	}
	return s.value.Interface()
}

// wanted is the document of the options of these names that SetOptions takes: zeros
// are in it.
func wanted(settings []setting) ([]byte, error) {
	root := map[string]any{}
	for _, s := range settings {
		at, name := root, s.name
		for {
			head, rest, below := strings.Cut(name, ".")
			if !below {
				at[head] = s.value.Interface()
				break
			}
			next, ok := at[head].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[head] = next
			}
			at, name = next, rest
		}
	}
	return json.Marshal(root)
}
