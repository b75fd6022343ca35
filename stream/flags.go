package stream

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// With makes a Builder of a function with a configuration. Each exported field
// of C, a struct, is a flag: Rate is --rate, MaxDelay is --max-delay, and a tag
// `flag:"name"` or `help:"text"` says otherwise and more. Fields are strings,
// bools, ints, int64s, float64s and time.Durations; defaults holds their defaults. An
// argument that is no flag is refused.
func With[C any](defaults C, build func(*Pipeline, C)) Builder {
	return func(p *Pipeline, args []string) error {
		cfg := defaults
		if err := parse(p.graph.Name, &cfg, args); err != nil {
			return err
		}
		build(p, cfg)
		return nil
	}
}

// parse sets the fields of the struct that cfg points to.
func parse(name string, cfg any, args []string) error {
	var help bytes.Buffer
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(&help)
	v := reflect.ValueOf(cfg).Elem()
	if v.Kind() != reflect.Struct {
		return fmt.Errorf("configuration is a %s: use a struct", v.Type())
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() {
			if err := define(fs, f, v.Field(i).Addr().Interface()); err != nil {
				return err
			}
		}
	}
	err := fs.Parse(args)
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", fs.Arg(0))
		fs.Usage()
	}
	if errors.Is(err, flag.ErrHelp) {
		return helpText(strings.TrimSpace(help.String()) + "\n" + localHelp)
	}
	if err != nil {
		usage := strings.TrimSpace(strings.TrimPrefix(help.String(), err.Error()))
		return fmt.Errorf("%w: %s: %w\n%s", ErrUsage, name, err, usage)
	}
	return nil
}

// helpText is what --help prints: an error, since the job does not run.
type helpText string

func (h helpText) Error() string { return string(h) }

// Is makes it the flag package's word for help.
func (h helpText) Is(target error) bool { return target == flag.ErrHelp }

// localHelp tells of local mode's arguments.
const localHelp = `Before these, when the job runs in this process:
  --cairn.dir=DIR
    	folder for its checkpoints (default: below the user's cache folder)
  --cairn.new
    	forget an interrupted run instead of going on with it`

// define declares the flag of a field.
func define(fs *flag.FlagSet, f reflect.StructField, to any) error {
	name, help := f.Tag.Get("flag"), f.Tag.Get("help")
	if name == "" {
		name = kebab(f.Name)
	}
	switch to := to.(type) {
	case *string:
		fs.StringVar(to, name, *to, help)
	case *bool:
		fs.BoolVar(to, name, *to, help)
	case *int:
		fs.IntVar(to, name, *to, help)
	case *int64:
		fs.Int64Var(to, name, *to, help)
	case *float64:
		fs.Float64Var(to, name, *to, help)
	case *time.Duration:
		fs.DurationVar(to, name, *to, help)
	default:
		return fmt.Errorf("configuration field %s is a %s, which no flag can be", f.Name, f.Type)
	}
	return nil
}

// kebab is MaxDelay as max-delay, and URLPath as url-path.
func kebab(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		begins := i > 0 && unicode.IsUpper(r) &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if begins {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
